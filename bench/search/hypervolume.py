"""The volume that a set of points dominates, up to a reference point; lower is better in each.

Sweeps the last objective and measures slices of one dimension less, down to intervals: the
"hypervolume by slicing objectives" of While and others, "A faster algorithm for calculating
hypervolume", IEEE TEC 10(1), 2006.  Exact, and quick enough for the fronts here.
"""

from collections.abc import Sequence

Point = Sequence[float]


def hypervolume(points: Sequence[Point], reference: Point) -> float:
    """The volume dominated by the points within the box that ends at the reference."""
    inside = [
        tuple(point)
        for point in points
        if all(x < r for x, r in zip(point, reference, strict=True))
    ]
    return _volume(inside, tuple(reference))


def _volume(points: Sequence[Point], reference: Point) -> float:
    if not points:
        return 0.0
    if len(reference) == 1:
        return reference[0] - min(point[0] for point in points)
    if len(reference) == 2:
        return _area(points, reference)
    ordered = sorted(points, key=lambda point: point[-1])
    levels = [point[-1] for point in ordered[1:]] + [reference[-1]]
    total = 0.0
    slab: list[Point] = []
    for point, above in zip(ordered, levels, strict=True):
        slab = _front([*slab, point[:-1]])
        total += (above - point[-1]) * _volume(slab, reference[:-1])
    return total


def _area(points: Sequence[Point], reference: Point) -> float:
    area, height = 0.0, reference[1]
    for x, y in sorted(points):
        if y < height:
            area += (reference[0] - x) * (height - y)
            height = y
    return area


def _front(points: Sequence[Point]) -> list[Point]:
    """The points that no other dominates."""
    return [
        p
        for k, p in enumerate(points)
        if not any(
            all(a <= b for a, b in zip(q, p, strict=True)) and (q != p or j < k)
            for j, q in enumerate(points)
            if j != k
        )
    ]

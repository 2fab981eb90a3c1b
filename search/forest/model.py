"""A forest of regression trees that says how sure it is.

Every tree sees a bootstrap sample, and draws where to split rather than searching for the best
place, which spreads the trees' opinions between the observations.  The prediction at a point has
the mean of the leaves it falls into and, by the law of total variance, the mean of their variances
plus the variance of their means: Hutter and others, "Algorithm runtime prediction", 2014, eq. 4.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.tree import ExtraTreeRegressor

from search.encoding import Cube
from search.scales import Floats

FEATURES = 5 / 6  # the part of the features that a split chooses from
SPLIT = 3  # observations in a node that may be split
LEAST_VARIANCE = 1e-6  # of targets with variance 1
ABSENT = -1.0  # the features of an inactive parameter: below all that are in use


@dataclass(frozen=True, slots=True)
class Tree:
    """What one tree predicts, by leaf."""

    nodes: object
    means: Floats
    variances: Floats

    def leaves(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.intp]:
        """The leaf into which each point falls."""
        return np.asarray(self.nodes.apply(features))  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class Forest:
    """Trees, each with as much to say as the others."""

    trees: Sequence[Tree]

    @classmethod
    def of(cls, features: Floats, y: Floats, trees: int, rng: np.random.Generator) -> "Forest":
        """Grown on observations, each tree on a bootstrap sample of them."""
        x = np.ascontiguousarray(features, dtype=np.float32)
        return cls([_grow(x, y, rng) for _ in range(trees)])

    def predict(self, features: Floats) -> tuple[Floats, Floats]:
        """Mean and standard deviation at each point."""
        x = np.ascontiguousarray(features, dtype=np.float32)
        leaves = [tree.leaves(x) for tree in self.trees]
        pairs = list(zip(self.trees, leaves, strict=True))
        means = np.stack([tree.means[leaf] for tree, leaf in pairs])
        within = np.stack([tree.variances[leaf] for tree, leaf in pairs]).mean(axis=0)
        variance = np.maximum(within + means.var(axis=0), LEAST_VARIANCE)
        return means.mean(axis=0), np.sqrt(variance)

    def alike(self, point: Floats, features: Floats) -> Floats:
        """The share of the trees that hold each row to be like one point: in one leaf with it."""
        x, one = (np.ascontiguousarray(f, dtype=np.float32) for f in (features, point))
        shared = [tree.leaves(x) == tree.leaves(one) for tree in self.trees]
        found: Floats = np.mean(shared, axis=0)
        return found


def features_of(cube: Cube, rows: Floats) -> Floats:
    """The features of snapped rows, with inactive parameters where no active one can be."""
    found = cube.features(rows)
    active = cube.active(rows)[:, cube.free][:, cube.owners]
    return np.where(active, found, ABSENT)


def _grow(x: npt.NDArray[np.float32], y: Floats, rng: np.random.Generator) -> Tree:
    drawn = rng.integers(len(y), size=len(y))
    grown = ExtraTreeRegressor(
        min_samples_split=SPLIT, max_features=FEATURES, random_state=int(rng.integers(2**31))
    )
    nodes = grown.fit(x[drawn], y[drawn]).tree_
    return Tree(nodes, nodes.value[:, 0, 0].copy(), nodes.impurity.copy())

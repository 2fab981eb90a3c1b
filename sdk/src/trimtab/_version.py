"""The SDK's own version, and what it asks of the server's."""

__version__ = "0.1.0"

# The oldest server whose answers this SDK understands.
OLDEST_SERVER = "0.1.0"


def release(version: str) -> tuple[int, ...]:
    """The leading numbers of a version, for comparing: "0.10.2rc1" gives (0, 10, 2)."""
    numbers: list[int] = []
    for part in version.split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        numbers.append(int(digits))
        if digits != part:
            break
    return tuple(numbers)

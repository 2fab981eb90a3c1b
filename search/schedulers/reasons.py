"""How decisions word their reasons."""

from search.scheduler import Stop


def number_text(value: float) -> str:
    """A number as people write it, to four digits."""
    return f"{value:.4g}"


def not_finite(step: int) -> Stop:
    """The end of a trial whose loss says nothing."""
    return Stop(reason=f"the loss at step {step} is not finite")

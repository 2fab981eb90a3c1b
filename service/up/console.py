"""What `trimtab up` says on the terminal."""

import sys
from contextlib import suppress


def say(text: str) -> None:
    """Print at once; a reader that has gone away is no reason to stop serving."""
    with suppress(OSError, ValueError):
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

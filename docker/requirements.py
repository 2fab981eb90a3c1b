"""Print what the given pyproject.toml files require of others, one requirement a line.

Ours are left out, so that they can be installed in a layer that does not depend on our code.
"""

import sys
import tomllib
from pathlib import Path

OURS = ("trimtab", "trimtab-server")


def requirements(files: list[str]) -> list[str]:
    """The requirements of all files, once each."""
    found = set()
    for file in files:
        found |= set(tomllib.loads(Path(file).read_text())["project"]["dependencies"])
    return sorted(line for line in found if line.split("==")[0] not in OURS)


if __name__ == "__main__":
    print("\n".join(requirements(sys.argv[1:])))

"""Sees to it that a fleet that is killed leaves nothing of its local Ray behind.

Most of Ray's processes end with their driver at once; two of them try for another minute to tell
a server that is gone as well.  `python -P -m workers.sweep LIFELINE FOLDER` waits for the end of
the fleet, lets agents go by themselves, and then ends whatever still has a log in the folder.
(Ray's processes change their titles, and overwrite their environment in doing so.)
"""

import contextlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil

PATIENCE_SECONDS = 5.0


class Sweeper:
    """The process that waits.  It belongs to no group of ours, for it outlives them."""

    def __init__(self, folder: Path) -> None:
        lifeline, self._end = os.pipe()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "workers.sweep", str(lifeline), str(folder)],
                pass_fds=(lifeline,),
                stdin=subprocess.DEVNULL,
                cwd=folder,
                start_new_session=True,
            )
        finally:
            os.close(lifeline)

    def dismiss(self) -> None:
        """There is nothing to sweep: Ray was left in good order."""
        self._process.kill()
        self._process.wait()
        os.close(self._end)


def sweep(folder: Path) -> None:
    """End all processes that hold a file of the folder open."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):  # gone meanwhile, or somebody else's
            if any(Path(file.path).is_relative_to(folder) for file in process.open_files()):
                process.kill()


def main() -> None:
    """Wait for the end of the fleet, then sweep."""
    lifeline, folder = int(sys.argv[1]), Path(sys.argv[2])
    os.chdir("/")
    while os.read(lifeline, 1):
        pass
    time.sleep(PATIENCE_SECONDS)
    sweep(folder)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()

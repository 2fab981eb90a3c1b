"""Where Trimtab keeps its files on this machine: credentials, and what `trimtab up` stores."""

import os
from pathlib import Path

import platformdirs

# Root's own folder is closed to the other users that a database server must run as.
ROOT_HOME = Path("/var/lib/trimtab")


def home() -> Path:
    """The folder of this machine's Trimtab: $TRIMTAB_HOME, else the user's data folder.

    For root it is /var/lib/trimtab.  The folder is not created.
    """
    chosen = os.environ.get("TRIMTAB_HOME")
    if chosen:
        return Path(chosen).expanduser().absolute()
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        return ROOT_HOME
    return Path(platformdirs.user_data_dir("trimtab"))

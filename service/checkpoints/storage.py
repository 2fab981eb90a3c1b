"""Where checkpoints lie: a folder or any place that fsspec reaches, under keys of our making."""

import asyncio
from pathlib import Path


def uri_of(storage: str, key: str) -> str:
    """The address of a key under the root: file:///... for a folder, else below the root's URL."""
    if "://" in storage:
        return f"{storage.rstrip('/')}/{key}"
    return (Path(storage).expanduser().absolute() / key).as_uri()


async def size_of(storage: str, key: str) -> int | None:
    """How many bytes lie there; None when nothing does.  Off the event loop: disks may be slow."""
    return await asyncio.to_thread(_size_of, storage, key)


def _size_of(storage: str, key: str) -> int | None:
    if "://" not in storage:
        path = Path(storage).expanduser() / key
        return path.stat().st_size if path.is_file() else None
    import fsspec

    system, path_there = fsspec.core.url_to_fs(uri_of(storage, key))
    try:
        return int(system.size(path_there)) if system.isfile(path_there) else None
    except FileNotFoundError:
        return None

"""Where the bytes of checkpoints go: folders natively, everything else through fsspec."""

import hashlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import IO, Any, Protocol
from urllib.parse import unquote, urlsplit

from trimtab.errors import CheckpointError, MissingPackage
from trimtab.models import CheckpointOffer

CHUNK = 1 << 20


class Content(Protocol):
    """Bytes to be stored."""

    size: int
    sha256: str

    def open(self) -> IO[bytes]:
        """The bytes from the start."""
        ...


class FileContent:
    """The bytes of a file."""

    def __init__(self, path: Path) -> None:
        if path.is_dir():
            raise CheckpointError(f"{path} is a folder: a checkpoint is one file; pack it first")
        if not path.is_file():
            raise CheckpointError(f"{path}: there is no such file")
        self._path = path
        self.size = path.stat().st_size
        self.sha256 = digest(path)

    def open(self) -> IO[bytes]:
        return self._path.open("rb")


class BytesContent:
    """Bytes in memory."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)
        self.sha256 = hashlib.sha256(data).hexdigest()

    def open(self) -> IO[bytes]:
        import io

        return io.BytesIO(self._data)


def content_of(source: str | os.PathLike[str] | bytes) -> Content:
    """The content of a file or of bytes; raises CheckpointError."""
    if isinstance(source, bytes | bytearray | memoryview):
        return BytesContent(bytes(source))
    return FileContent(Path(source))


def put(uri: str, content: Content) -> None:
    """Store the content at the URI, whole or not at all; raises CheckpointError."""
    path = local_path(uri)
    try:
        if path is None:
            _put_remote(uri, content)
        else:
            _put_local(path, content)
    except OSError as error:
        raise CheckpointError(f"cannot write the checkpoint {uri}: {error}") from error


def fetch(offer: CheckpointOffer) -> Path:
    """A local file with the checkpoint's bytes, checked against its sha256.

    A file in a folder that this machine sees is used where it lies: do not change it.  Raises
    CheckpointError.
    """
    path = local_path(offer.uri)
    try:
        found = _fetch_remote(offer) if path is None else path
        matches = digest(found) == offer.sha256
    except OSError as error:
        raise CheckpointError(f"cannot read the checkpoint {offer.uri}: {error}") from error
    if not matches:
        raise CheckpointError(f"the checkpoint {offer.uri} is damaged: its sha256 is another one")
    return found


def digest(path: Path) -> str:
    """The sha256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def local_path(uri: str) -> Path | None:
    """The path of a file: URI or of a plain path; None for other schemes."""
    parts = urlsplit(uri)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    return None if "://" in uri else Path(uri)


def _put_local(path: Path, content: Content) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".incoming-")
    try:
        with os.fdopen(handle, "wb") as target, content.open() as source:
            shutil.copyfileobj(source, target, CHUNK)
            target.flush()
            os.fsync(target.fileno())
        # mkstemp keeps the file to its owner; the next attempt may run as another user.
        Path(name).chmod(0o644)
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)


def _put_remote(uri: str, content: Content) -> None:
    # Object stores show a file once it is closed; an aborted upload is never committed anyway.
    with _fsspec().open(uri, "wb") as target, content.open() as source:
        shutil.copyfileobj(source, target, CHUNK)


def _fetch_remote(offer: CheckpointOffer) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="trimtab-checkpoint-"))
    path = folder / offer.key.rsplit("/", 1)[-1]
    with _fsspec().open(offer.uri, "rb") as source, path.open("wb") as target:
        shutil.copyfileobj(source, target, CHUNK)
    return path


def _fsspec() -> Any:
    try:
        import fsspec
    except ImportError as error:
        raise MissingPackage(
            "checkpoints of this server lie in an object store: pip install fsspec, "
            "and the package for its scheme (s3fs, gcsfs, ...)"
        ) from error
    return fsspec

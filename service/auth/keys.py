"""The text of an API key: `tt_<8 public>_<secret>_<crc32>`, and what is stored of it.

The public part finds the row, the secret proves it, and the checksum tells a mistyped key (or a
secret scanner's false alarm) from a wrong one without asking the database.  The secret carries 238
random bits, so that a plain keyed hash is enough: there is nothing to guess.
"""

import hmac
import re
import secrets
import string
import zlib

BASE62 = string.digits + string.ascii_letters
PUBLIC_LENGTH = 8
SECRET_LENGTH = 40
_KEY = re.compile(r"(tt_([0-9A-Za-z]{8})_[0-9A-Za-z]{32,64})_([0-9a-f]{8})")


def base62(length: int) -> str:
    """Random text of digits and letters."""
    return "".join(secrets.choice(BASE62) for _ in range(length))


def new_key() -> str:
    """A new key.  Only its digest is stored, so that it can be shown this once."""
    body = f"tt_{base62(PUBLIC_LENGTH)}_{base62(SECRET_LENGTH)}"
    return f"{body}_{_checksum(body)}"


def public_part(key: str) -> str | None:
    """The part of the key that may be shown; None when the text is no key at all."""
    match = _KEY.fullmatch(key)
    if match is None or _checksum(match[1]) != match[3]:
        return None
    return match[2]


def digest(key: str, pepper: str) -> bytes:
    """What the database keeps of a key: HMAC-SHA256 under the server's pepper."""
    return hmac.digest(pepper.encode(), key.encode(), "sha256")


def verify(key: str, stored: bytes, pepper: str) -> bool:
    """Whether the key is the one whose digest was stored, in constant time."""
    return hmac.compare_digest(digest(key, pepper), stored)


def _checksum(body: str) -> str:
    return f"{zlib.crc32(body.encode()):08x}"

"""The versions that a client may ask for."""

from importlib.metadata import version

SERVER = version("trimtab-server")
API = "v1"
OLDEST_SDK = "0.1.0"

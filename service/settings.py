"""The settings of the service's processes, read from the environment once, in entry points."""

from pathlib import Path

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Every TRIMTAB_... variable that the API, the suggester and `migrate` know."""

    model_config = SettingsConfigDict(env_prefix="TRIMTAB_", frozen=True, extra="ignore")

    database_url: SecretStr = SecretStr("postgresql://localhost/trimtab")
    host: str = "127.0.0.1"
    port: int = 8787
    storage: str = ""  # where checkpoints lie: a folder or an fsspec URL; empty: <home>/checkpoints
    home: Path | None = None
    key_pepper: SecretStr = SecretStr("")
    bootstrap_key: SecretStr | None = None
    log_level: str = "INFO"
    log_json: bool = False
    hot_pool: int = 10  # connections for ask, report, heartbeat and tell
    cold_pool: int = 5  # connections for everything else
    pool_timeout: float = 3.0  # seconds to wait for a connection before 503
    statement_timeout: float = 10.0  # seconds
    lock_timeout: float = 3.0  # seconds
    max_body_bytes: int = 2**20
    max_batch_body_bytes: int = 8 * 2**20  # enqueue and import
    batch_seconds: float = 15.0  # a suggester's lease on a batch, renewed while it computes
    fit_seconds: float = 30.0  # for a batch; then it is ended, and Sobol answers
    fit_processes: int = 2  # models that a suggester fits at once
    reap_seconds: float = 1.0  # between two ticks of the reaper

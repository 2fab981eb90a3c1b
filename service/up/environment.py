"""What each process of ours is told by its environment, and what it is not."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from service.up.home import Home

# A fit on several threads is up to ten times slower on a small machine that does other work too.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
PREFIX = "TRIMTAB_"


@dataclass(frozen=True)
class Environment:
    """Our own environment, without anything secret that the process has no need for."""

    ours: Mapping[str, str] = field(repr=False)
    home: Home
    working_folder: str

    def of_service(self, *, database_url: str, bootstrap_key: str | None = None) -> dict[str, str]:
        """For the API, the suggester and `migrate`."""
        defaults = {
            "TRIMTAB_STORAGE": str(self.home.checkpoints),
            "TRIMTAB_KEY_PEPPER": self.home.secret("pepper"),
        }
        fixed = {"TRIMTAB_DATABASE_URL": database_url}
        if bootstrap_key is not None:
            fixed["TRIMTAB_BOOTSTRAP_KEY"] = bootstrap_key
        return {**self._common(), **defaults, **self._given(), **fixed}

    def of_suggester(self, *, database_url: str) -> dict[str, str]:
        """For the suggester, which leaves the other cores to the trials."""
        return {**self.of_service(database_url=database_url), **ONE_THREAD}

    def of_fleet(self, *, url: str, key: str) -> dict[str, str]:
        """For the fleet: it runs other people's programs, and knows no database."""
        code = self.ours.get("TRIMTAB_CODE") or self.working_folder
        fixed = {"TRIMTAB_URL": url, "TRIMTAB_API_KEY": key, "TRIMTAB_CODE": code}
        return {**self._common(), **fixed}

    def _common(self) -> dict[str, str]:
        """Everything but our own variables; PYTHONPATH too, which may shadow our packages."""
        plain = {
            name: value
            for name, value in self.ours.items()
            if not name.startswith(PREFIX) and name != "PYTHONPATH"
        }
        return {**plain, "TRIMTAB_HOME": str(self.home.path), "PYTHONUNBUFFERED": "1"}

    def _given(self) -> dict[str, str]:
        settings = {name: value for name, value in self.ours.items() if name.startswith(PREFIX)}
        for ours in ("TRIMTAB_HOME", "TRIMTAB_URL", "TRIMTAB_API_KEY"):
            settings.pop(ours, None)
        return settings

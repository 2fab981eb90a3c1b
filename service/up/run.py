"""`trimtab up`: a whole Trimtab on one machine."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from service.up.account import NoAccount
from service.up.api import StartFailed, admin_key, await_ready, fleet_key
from service.up.child import Child
from service.up.clock import wait_until
from service.up.cluster import ensure_database, prepare
from service.up.environment import Environment
from service.up.guardian import Guardian
from service.up.home import Claim, Home
from service.up.managed import ManagedStudies
from service.up.ports import HOST, NoPort, listen, wanted_ports
from service.up.postgres import PostgresFailed
from service.up.rotation import rotate, tail
from service.up.supervisor import Interrupted, Supervisor

Say = Callable[[str], None]
TRIMTAB = (sys.executable, "-P", "-m", "trimtab")
OTHER_SECONDS = 90.0  # for an `up` that is starting at this moment
BANNER = """
Trimtab is running.

  address   {url}
  API docs  {url}/docs
  data      {home}
  key       in {credentials}; the SDK and `trimtab` find it there
  logs      {logs}

{stop}"""


@dataclass(frozen=True)
class Options:
    """What the command line and the environment say."""

    home: Path
    environment: Mapping[str, str] = field(repr=False)
    working_folder: str
    port: int | None = None
    fleet: bool = True

    @property
    def database_url(self) -> str | None:
        """A server of the user's own, instead of the embedded one."""
        return self.environment.get("TRIMTAB_DATABASE_URL") or None


def up(options: Options, say: Say) -> int:
    """Run until Ctrl-C or SIGTERM; the exit status.  A second one names the first and returns."""
    home = Home(options.home.expanduser().absolute())
    try:
        home.prepare()
        claim = Claim(home)
    except OSError as error:
        say(f"trimtab up: the home {home.path} cannot be used: {error}")
        return 1
    try:
        return _run(options, home, claim, say) if claim.take() else _point_at_other(claim, say)
    finally:
        claim.leave()


def _run(options: Options, home: Home, claim: Claim, say: Say) -> int:
    supervisor = Supervisor(say)
    supervisor.listen()
    guardian = Guardian()
    try:
        _Start(options, home, claim, supervisor, guardian, say).go()
    except Interrupted:
        return 0
    except (StartFailed, PostgresFailed, NoAccount, NoPort) as error:
        say(f"trimtab up: {error}")
        return 1
    finally:
        supervisor.stop()
        guardian.close()
    say("Stopped. Nothing is lost: `trimtab up` goes on from here.")
    return 0


def _point_at_other(claim: Claim, say: Say) -> int:
    wait_until(lambda: bool(claim.read().get("url")), OTHER_SECONDS)
    other = claim.read()
    if not other.get("url"):
        say(f"trimtab up: another one (process {other.get('pid')}) is still starting")
        return 1
    say(f"Trimtab is running already, as process {other['pid']}: {other['url']}")
    return 0


@dataclass
class _Start:
    options: Options
    home: Home
    claim: Claim
    supervisor: Supervisor
    guardian: Guardian
    say: Say

    def go(self) -> None:
        """Start everything in order, then watch over it."""
        database_url = self._database()
        key = admin_key(self.home)
        self._migrate(database_url)
        url = self._api(database_url, key)
        self.supervisor.start(self._suggester(database_url))
        if self.options.fleet:
            self._fleet(database_url, url, key)
        self.home.write_credentials(url=url, key=key)
        self.claim.say(url=url)
        self.say(self._banner(url))
        self.supervisor.run([self._rotate_logs])

    @property
    def _environment(self) -> Environment:
        return Environment(self.options.environment, self.home, self.options.working_folder)

    def _database(self) -> str:
        if self.options.database_url is not None:
            self.say("using the database of TRIMTAB_DATABASE_URL")
            return self.options.database_url
        self.say("starting PostgreSQL")
        postgres = prepare(self.home)
        self.supervisor.start(postgres)
        ensure_database(postgres)
        return postgres.url()

    def _migrate(self, database_url: str) -> None:
        self.supervisor.check()
        self.say("bringing the tables up to date")
        environment = self._environment.of_service(database_url=database_url)
        migrate = self._child("migrate", "migrate", environment=environment)
        if not migrate.run(self.supervisor.check):
            said = tail(migrate.log_file)
            raise StartFailed(f"the tables could not be made. {migrate.log} ends:\n{said}")

    def _api(self, database_url: str, key: str) -> str:
        self.say("starting the API")
        ports = wanted_ports(self.options.port, self.home.read_credentials().get("url"))
        listener = listen(ports)
        url = f"http://{HOST}:{listener.getsockname()[1]}"
        descriptor = listener.detach()  # ours to keep open until we end
        environment = self._environment.of_service(database_url=database_url, bootstrap_key=key)
        api = self._child("api", "serve", "--fd", str(descriptor), environment=environment)
        api.keep = (descriptor,)
        self.supervisor.start(api)
        await_ready(url, api, self.supervisor.check)
        return url

    def _suggester(self, database_url: str) -> Child:
        environment = self._environment.of_suggester(database_url=database_url)
        suggester = self._child("suggester", "suggest", environment=environment)
        suggester.nice = 10
        return suggester

    def _fleet(self, database_url: str, url: str, key: str) -> None:
        environment = self._environment.of_fleet(url=url, key=fleet_key(self.home, url, key))
        fleet = self._child("fleet", "fleet", environment=environment)
        self.supervisor.start_when(ManagedStudies(database_url).any, fleet)

    def _child(self, name: str, *command: str, environment: Mapping[str, str]) -> Child:
        log = self.home.logs / f"{name}.log"
        return Child(name, (*TRIMTAB, *command), environment, log, self.guardian)

    def _rotate_logs(self) -> None:
        for log in self.home.logs.glob("*.log"):
            rotate(log)

    def _banner(self, url: str) -> str:
        return BANNER.format(
            url=url,
            home=self.home.path,
            credentials=self.home.credentials.name,
            logs=self.home.logs,
            stop="Stop it with Ctrl-C; nothing is lost.",
        )

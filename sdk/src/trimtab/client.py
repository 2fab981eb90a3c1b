"""The client: where a program begins."""

from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any
from urllib.parse import quote

import httpx

from trimtab import _spec
from trimtab._address import find
from trimtab._clock import Clock
from trimtab._pages import pages
from trimtab._transport import Call, Transport
from trimtab.errors import StudyExists
from trimtab.models import Config, KeyItem, KeyMade, StudyInfo, StudyItem, TrialInfo, VersionInfo
from trimtab.space import Parameter, Part
from trimtab.spec import Budget, Constraint, Method, Objective
from trimtab.study import Study


class Client:
    """Speaks to one server with one API key.

    The server is found by the arguments, else by TRIMTAB_URL and TRIMTAB_API_KEY, else by what
    `trimtab up` wrote on this machine.  `patience` is how many seconds an ordinary call goes on
    trying while the server is away (10 by default); what keeps a running trial alive goes on for
    ever.  `transport` takes the place of the network in tests.  Safe to use from many threads; its
    calls raise the errors of `trimtab.errors`.
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        patience: float | None = None,
        transport: httpx.BaseTransport | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._transport = Transport(
            find(url, key), transport=transport, patience=patience, clock=clock
        )

    @property
    def url(self) -> str:
        """The server's URL."""
        return self._transport.address.url

    def create_study(
        self,
        name: str,
        *,
        space: Sequence[Part],
        maximize: str | None = None,
        minimize: str | None = None,
        objectives: Sequence[Objective] = (),
        prefer: str | None = None,
        constraints: Sequence[Constraint] = (),
        searcher: Method = "auto",
        scheduler: Method = "auto",
        context: Sequence[Parameter] = (),
        budget: Budget | None = None,
        max_running: int | None = None,
        max_attempts: int | None = None,
        max_failed: int | None = None,
        lease_seconds: float | None = None,
        seed: int | None = None,
        first: Sequence[Config] = (),
        transfer: Sequence[str] = (),
        tags: Sequence[str] = (),
        notes: str = "",
        exist_ok: bool = False,
    ) -> Study:
        """Create a study.

        `space` lists parameters (tt.Float, tt.Int, tt.Choice, ...) and what must hold between them
        (tt.Linear), while `constraints` are on what is measured.  Give one of `maximize`,
        `minimize`, `objectives` and `prefer`, which names what a person judges trials by, without a
        metric: see Study.prefer.  `searcher` and `scheduler` are names
        or `{"kind": name, ...settings}`; `context` are parameters that are not searched but given
        with every ask, such as the size of the data set, so that what was tried in one context
        helps in the others; `first` are configs to run before any suggestion;
        `max_running` limits the trials that run at once, `max_attempts` the workers that one trial
        may lose, `max_failed` the failed trials after which the study pauses.  `transfer` names up
        to five earlier studies of the same objective to learn from, with a searcher that can: their
        results are copied now, and nothing that happens to them later matters.

        When there is a study of this name, raises StudyExists; with `exist_ok` it is returned if
        its space, context, objectives, constraints, searcher, scheduler and (where given) seed and
        transfer are these, so that the same script can be run again and on several machines.
        Settings of a searcher that are left out are not compared.
        """
        body = _spec.create_body(
            name=name,
            space=space,
            context=context,
            objectives=_spec.objectives_to_json(objectives, maximize, minimize, prefer),
            constraints=constraints,
            searcher=searcher,
            scheduler=scheduler,
            budget=budget or Budget(),
            first=first,
            options={
                "max_running": max_running,
                "max_attempts": max_attempts,
                "max_failed": max_failed,
                "lease_seconds": lease_seconds,
                "seed": seed,
                "transfer": list(transfer) or None,
                "tags": list(tags) or None,
                "notes": notes or None,
            },
        )
        try:
            answer = self._transport.send(Call("POST", "/v1/studies", body).once())
        except StudyExists as error:
            if not exist_ok:
                raise
            return self._existing(name, body, error)
        return Study(self._transport, answer.read(StudyInfo))

    def study(self, name: str) -> Study:
        """The study of this name or id; raises NotFound."""
        call = Call("GET", f"/v1/studies/{quote(name, safe='')}")
        return Study(self._transport, self._transport.send(call).read(StudyInfo))

    def studies(
        self, *, name: str | None = None, state: str | None = None, tag: str | None = None
    ) -> Iterator[StudyItem]:
        """The project's studies, latest first."""
        query = {"name": name, "state": state, "tag": tag}
        return pages(self._transport, "/v1/studies", StudyItem, query)

    def trial(self, trial: str) -> TrialInfo:
        """The trial of this id, as it stands; raises NotFound."""
        call = Call("GET", f"/v1/trials/{quote(trial, safe='')}")
        return self._transport.send(call).read(TrialInfo)

    def sample(self, space: Sequence[Part], count: int = 10, *, seed: int = 0) -> list[Config]:
        """Configs drawn from a space: a look at what it means, without a study.

        Evenly on its scales, or as priors and weights say, where its constraints hold.
        """
        body = {"space": _spec.space_to_json(space), "count": count, "seed": seed}
        answer = self._transport.send(Call("POST", "/v1/spaces:sample", body))
        return list(answer.body["configs"])

    def create_key(
        self, name: str, *, scopes: Sequence[str] = ("write", "run"), days: int | None = 90
    ) -> KeyMade:
        """Make an API key (with an admin key); its secret is in `key`, and is shown this once."""
        body = {"name": name, "scopes": list(scopes), "days": days}
        return self._transport.send(Call("POST", "/v1/keys", body).once()).read(KeyMade)

    def api_keys(self) -> Iterator[KeyItem]:
        """The project's API keys."""
        return pages(self._transport, "/v1/keys", KeyItem)

    def revoke_key(self, key: str) -> None:
        """Make a key, named by its id, worthless at once."""
        self._transport.send(Call("DELETE", f"/v1/keys/{quote(key, safe='')}"))

    def version(self) -> VersionInfo:
        """The server's version."""
        return self._transport.send(Call("GET", "/v1/version")).read(VersionInfo)

    def close(self) -> None:
        """Close the connections.  A client is also a context manager."""
        self._transport.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _existing(self, name: str, body: Mapping[str, Any], error: StudyExists) -> Study:
        study = self.study(name)
        differs = _spec.differences(body, study.info)
        if differs:
            raise StudyExists(
                f"the study {name!r} exists with another {' and '.join(differs)}",
                status=error.status,
                hint="choose another name, or ask for the spec it has",
            ) from None
        return study

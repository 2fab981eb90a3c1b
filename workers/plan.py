"""Which agents a fleet should have: pure, from what is wanted and what there is to what to do."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

AgentState: TypeAlias = Literal["starting", "idle", "running", "retiring"]

Terms: TypeAlias = tuple[Mapping[str, Any], Mapping[str, float], float | None]

# Who goes first when a study has too many agents.
_GOES_FIRST: Mapping[AgentState, int] = {"starting": 0, "idle": 1, "running": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A study that wants agents; `most` is how many it can use now."""

    study: str
    name: str
    run: Mapping[str, Any]
    resources: Mapping[str, float]  # what one agent holds
    most: int
    max_seconds: float | None = None

    @property
    def terms(self) -> Terms:
        """What an agent is told when it starts."""
        return self.run, self.resources, self.max_seconds


@dataclass(frozen=True, slots=True)
class Held:
    """An agent that there is."""

    agent: str
    study: str
    state: AgentState
    terms: Terms


@dataclass(frozen=True, slots=True)
class Start:
    """Start an agent for this study."""

    wanted: Wanted


@dataclass(frozen=True, slots=True)
class Retire:
    """Let this agent go when its trial has ended."""

    agent: str


Action: TypeAlias = Start | Retire


def wanted(study: Mapping[str, Any]) -> Wanted | None:
    """What a listed study wants; None when it is not managed.

    An active study gets at least one agent: the service alone knows when it is over, and says so
    when it is asked for a trial.
    """
    managed = study["managed"]
    if managed is None:
        return None
    return Wanted(
        study=study["id"],
        name=study["name"],
        run=managed["run"],
        resources={k: v for k, v in managed["resources"].items() if v > 0},
        most=max(1, min(managed["parallel"], _work_left(study))),
        max_seconds=managed["max_seconds"],
    )


def _work_left(study: Mapping[str, Any]) -> int:
    """How many trials may still run: those of the budget that have not ended."""
    counts: Mapping[str, int] = study["trials"]
    waiting = counts["queued"] + counts["running"]
    budget = study["budget"]["trials"]
    if budget is None:
        return int(study["managed"]["parallel"])
    return max(waiting, int(budget) - (sum(counts.values()) - waiting))


def shares(studies: Sequence[Wanted], capacity: Mapping[str, float]) -> dict[str, int]:
    """How many agents each study gets of the cluster's resources.

    One each in turn, until nothing more fits or nobody wants more: a study that came first cannot
    keep another one out.
    """
    free = dict(capacity)
    given = {study.study: 0 for study in studies}
    hungry = list(studies)
    while hungry:
        still = []
        for study in hungry:
            if given[study.study] < study.most and _fits(study.resources, free):
                for name, amount in study.resources.items():
                    free[name] -= amount
                given[study.study] += 1
                still.append(study)
        hungry = still
    return given


def _fits(resources: Mapping[str, float], free: Mapping[str, float]) -> bool:
    # Fractions of a GPU add up to 1 only nearly.
    return all(amount <= free.get(name, 0.0) + 1e-9 for name, amount in resources.items())


def unplaceable(studies: Iterable[Wanted], capacity: Mapping[str, float]) -> list[Wanted]:
    """The studies of which not even one agent fits the whole cluster."""
    return [study for study in studies if not _fits(study.resources, capacity)]


def decide(
    studies: Sequence[Wanted],
    agents: Sequence[Held],
    capacity: Mapping[str, float],
    *,
    waiting: frozenset[str] = frozenset(),
) -> list[Action]:
    """What to do now.  `waiting` are studies whose agents failed lately: none is started for them.

    An agent that is retiring still holds its resources but counts for nothing: its successor waits
    in Ray's queue until it has gone.
    """
    target = shares(studies, capacity)
    terms = {study.study: study.terms for study in studies}
    here = [agent for agent in agents if agent.state != "retiring"]
    staying = [agent for agent in here if terms.get(agent.study, agent.terms) == agent.terms]
    there = Counter(agent.study for agent in staying)
    # A study may be handed over again on other terms; they hold for later trials.
    actions: list[Action] = [Retire(agent.agent) for agent in here if agent not in staying]
    for study, group in _by_study(staying).items():
        surplus = len(group) - target.get(study, 0)
        group.sort(key=lambda agent: _GOES_FIRST[agent.state])
        actions.extend(Retire(agent.agent) for agent in group[: max(0, surplus)])
    for wants in studies:
        if wants.study not in waiting:
            missing = target[wants.study] - there[wants.study]
            actions.extend(Start(wants) for _ in range(missing))
    return actions


def _by_study(agents: Iterable[Held]) -> dict[str, list[Held]]:
    groups: dict[str, list[Held]] = {}
    for agent in agents:
        groups.setdefault(agent.study, []).append(agent)
    return groups

"""A search space as it travels, read with the standard library only.

Rivals differ in what they can say.  Two translations serve those that lack something: an ordered
choice as the index of its level, and a conditional space flattened, that is with every parameter
always asked for and the inactive ones dropped from the config.
"""

import math


class Parameter:
    """One parameter: `kind` is float, int or choice; what does not apply is None."""

    def __init__(self, wire):
        self.name = wire["name"]
        self.kind = wire["kind"]
        self.low = wire.get("low")
        self.high = wire.get("high")
        self.log = bool(wire.get("log"))
        self.step = wire.get("step")
        self.choices = wire.get("choices")
        self.ordered = bool(wire.get("ordered"))
        self.when = [(c["parameter"], c["in"]) for c in wire.get("when") or ()]

    def active(self, config):
        """Whether the parameter is in force beside the values of those before it."""
        return all(
            parent in config and any(same(config[parent], value) for value in allowed)
            for parent, allowed in self.when
        )

    def index(self, value):
        """The place of a choice among the choices."""
        return next(k for k, choice in enumerate(self.choices) if same(choice, value))

    def draw(self, rng):
        """A value, uniform on the declared scale, from a random.Random."""
        if self.kind == "choice":
            return rng.choice(self.choices)
        if self.kind == "int":
            return self._draw_int(rng)
        if self.log:
            value = math.exp(rng.uniform(math.log(self.low), math.log(self.high)))
            return min(max(value, self.low), self.high)
        if self.step:
            return self.low + self.step * rng.randint(0, round((self.high - self.low) / self.step))
        return rng.uniform(self.low, self.high)

    def _draw_int(self, rng):
        if not self.log:
            return rng.randrange(self.low, self.high + 1, self.step or 1)
        value = math.exp(rng.uniform(math.log(self.low - 0.5), math.log(self.high + 0.5)))
        return min(max(round(value), self.low), self.high)


def read(wire):
    """The parameters, parents before their children."""
    return [Parameter(parameter) for parameter in wire]


def same(a, b):
    """Equality as JSON sees it: 1 equals 1.0, but neither equals true."""
    return isinstance(a, bool) == isinstance(b, bool) and a == b


def pick(parameters, value_of):
    """The config made by asking `value_of(parameter)` for each parameter that is active."""
    config = {}
    for parameter in parameters:
        if parameter.active(config):
            config[parameter.name] = value_of(parameter)
    return config


def fill(parameters, config, rng):
    """The config with a drawn value for each inactive parameter, for solvers that know none."""
    return {p.name: config[p.name] if p.name in config else p.draw(rng) for p in parameters}

"""Random search: uniform on the declared scales."""

import random

from protocol import Solver, serve
from space import pick, read


class Random(Solver):
    """Draws configs, whatever the results are."""

    def __init__(self, study):
        self._parameters = read(study.space)
        self._rng = random.Random(study.seed)

    def ask(self):
        return object(), pick(self._parameters, lambda p: p.draw(self._rng))

    def tell(self, handle, values, *, stopped=False):
        """Nothing to learn."""

    def replay(self, trials):
        """Nothing to learn."""


if __name__ == "__main__":
    serve(Random)

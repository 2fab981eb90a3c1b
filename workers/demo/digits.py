"""The demo's study: a network on scikit-learn's digits, run by the fleet."""

from trimtab import Budget, Client, Run, Study, StudyExists

from workers.recipes.torch_classifier.space import space

NAME = "digits"
TAG = "demo"
RECIPE = "torch-classifier"
ARGUMENTS = {"data": "digits", "epochs": 20}
METRIC = "val_loss"
PARALLEL = 2


def unfinished(client: Client) -> Study | None:
    """The study that an earlier demo left active, if there is one."""
    for found in client.studies(tag=TAG, state="active"):
        return client.study(found.id)
    return None


def create(client: Client, trials: int) -> Study:
    """A new study: `digits`, or `digits-2` and so on when there is one.

    Every parameter has a default, so that trial 0 runs the defaults: what tuning has to beat.
    """
    number = 1
    while True:
        try:
            return client.create_study(
                NAME if number == 1 else f"{NAME}-{number}",
                space=space(),
                minimize=METRIC,
                searcher="auto",
                scheduler="auto",
                budget=Budget(trials=trials),
                tags=[TAG],
                notes="Made by `make demo`.",
            )
        except StudyExists:
            number += 1


def hand_over(study: Study) -> Run:
    """Have the fleet run it; for a study that it runs already nothing changes."""
    return study.run(RECIPE, ARGUMENTS, resources={"cpu": 1}, parallel=PARALLEL)

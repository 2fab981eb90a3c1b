"""Tune a gradient boosting model of scikit-learn's, two trials at a time, by cross-validation.

trimtab up                                          # in another terminal
python examples/sklearn_model.py --trials 20
"""

import argparse

import trimtab as tt
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import cross_val_score, train_test_split

X, y = load_breast_cancer(return_X_y=True)
# The search sees the first part only; the second one is for the honest number at the end.
X_search, X_test, y_search, y_test = train_test_split(X, y, test_size=0.3, random_state=0)


def model(config):
    """The model of a config: its parameters are named as scikit-learn names them."""
    return HistGradientBoostingClassifier(**config, max_iter=60, random_state=0)


def accuracy(trial):
    """What optimize() makes large: the mean over five folds."""
    return cross_val_score(model(trial.config), X_search, y_search, cv=5).mean()


def main():
    """Create the study, or go on with it, and run it here."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=20)
    study = tt.Client().create_study(
        "breast-cancer",
        space=[
            tt.Float("learning_rate", 0.01, 1.0, log=True, default=0.1),
            tt.Int("max_leaf_nodes", 4, 64, log=True, default=31),
            tt.Int("min_samples_leaf", 1, 50, default=20),
            tt.Float("l2_regularization", 1e-6, 10.0, log=True, default=1e-6),
        ],
        maximize="accuracy",
        budget=tt.Budget(trials=parser.parse_args().trials),
        exist_ok=True,
    )
    best = study.optimize(accuracy, parallel=2).best
    print(f"trial {best.number}: {best.values['accuracy']:.3f} in cross-validation, {best.config}")
    print(f"on unseen data: {model(best.config).fit(X_search, y_search).score(X_test, y_test):.3f}")


if __name__ == "__main__":
    main()

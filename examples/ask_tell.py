"""The whole of Trimtab in five lines.  Start `trimtab up` first, in another terminal."""

import trimtab as tt

space = [tt.Float("x", -5, 5), tt.Float("y", 0.01, 10, log=True)]
study = tt.Client().create_study("ask-tell", space=space, minimize="loss", budget=tt.Budget(20))
for trial in study.trials():
    trial.report(0, loss=(trial.config["x"] - 2) ** 2 + (trial.config["y"] - 1) ** 2)
print(study.best.config, study.best.values)

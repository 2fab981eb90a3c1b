"""The parts of Bayesian optimisation, against closed forms and against the plain way."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from botorch.acquisition.logei import qLogNoisyExpectedImprovement
from botorch.sampling.normal import SobolQMCNormalSampler
from gpytorch import ExactMarginalLogLikelihood
from gpytorch.settings import debug
from linear_operator.utils.errors import NotPSDError
from scipy.stats import norm

from search.bayes import warm
from search.bayes.acquire import MAX_BASELINE, choose, contenders, maximise
from search.bayes.anchored import NUGGET, Anchored, Observed
from search.bayes.model import Hyperparameters, build, cold_starts, fit
from search.bayes.suggest import alone
from search.candidates import Candidates
from search.encoding import Cube
from search.gp.fit import Evidence
from search.parameters import ChoiceParameter
from search.problem import Objective, Problem
from search.searcher import History, Memo
from search.space import SearchSpace
from tests.contracts.spaces import space


def tensor(rows):
    return torch.tensor(rows, dtype=torch.double)


def observed_at(rows, y, *, lengths=None, noise=1e-4, owners=None):
    X = tensor(rows)
    owners = list(range(X.shape[1])) if owners is None else owners
    at = Hyperparameters(lengths=lengths or (0.5,) * (max(owners) + 1), noise=noise)
    return build(X, tensor(y), owners, at)


# ---- the model


def test_the_kernel_takes_one_length_scale_for_each_group_of_columns():
    X = torch.rand(6, 4, dtype=torch.double, generator=torch.Generator().manual_seed(0))
    model = observed_at(X.tolist(), [0.0] * 6, lengths=(0.3, 2.0), owners=[0, 1, 1, 1])
    scaled = X / tensor([0.3, 2.0, 2.0, 2.0])
    expected = torch.exp(-torch.cdist(scaled, scaled).square() / 2)
    torch.testing.assert_close(model.covar_module(X).to_dense(), expected)


def test_a_fit_finds_out_which_parameters_matter():
    rng = np.random.default_rng(0)
    X = rng.random((40, 3))
    y = np.sin(6 * X[:, 1]) + 0.01 * rng.standard_normal(40)
    at = fit(tensor(X), tensor((y - y.mean()) / y.std()), [0, 1, 2], cold_starts(3), 80)
    assert at.lengths[1] < 1 < min(at.lengths[0], at.lengths[2])
    assert at.noise < 0.01


def test_a_fit_keeps_to_its_evaluations_and_starts_warm(monkeypatch):
    rng = np.random.default_rng(0)
    X = tensor(rng.random((40, 3)))
    y = torch.sin(6 * X[:, 1]) * X[:, 0]
    calls = []
    plain = Evidence.__call__

    def counted(self, theta):
        calls.append(1)
        return plain(self, theta)

    monkeypatch.setattr(Evidence, "__call__", counted)
    at = fit(X, y, [0, 1, 2], cold_starts(3), 80)
    cold = len(calls)
    fit(X, y, [0, 1, 2], [at], 80)
    again = len(calls) - cold
    assert again < cold / 3
    calls.clear()
    with alone(seed=0):
        fit(X, y, [0, 1, 2], cold_starts(3), 10)
    # A line search under way when the budget ends may take a few more.
    assert len(calls) < 10 + 2 * 20


def test_a_fit_is_a_maximum_of_the_model_s_own_likelihood_and_priors():
    rng = np.random.default_rng(1)
    X = tensor(rng.random((30, 3)))
    y = torch.sin(6 * X[:, 1]) * X[:, 0] + 0.05 * tensor(rng.standard_normal(30))
    y = (y - y.mean()) / y.std()
    at = fit(X, y, [0, 1, 2], cold_starts(3), 400)

    def log_posterior(at):
        model = build(X, y, [0, 1, 2], at)
        marginal = ExactMarginalLogLikelihood(model.likelihood, model).train()
        with debug(False), torch.no_grad():
            return 30 * float(marginal(model.train()(X), y))

    highest = log_posterior(at)
    for factor in (0.8, 1.25):
        others = [
            replace(at, noise=at.noise * factor),
            replace(at, mean=at.mean + factor - 1),
            *(replace(at, lengths=_scaled(at.lengths, k, factor)) for k in range(3)),
        ]
        assert all(log_posterior(other) < highest for other in others)


def _scaled(lengths, place, factor):
    return tuple(length * (factor if k == place else 1) for k, length in enumerate(lengths))


# ---- the acquisition


@pytest.mark.parametrize("name", ["float", "nested", "choice"])
def test_the_anchored_posterior_is_the_plain_one(name):
    cube, rng = Cube(space(name)), np.random.default_rng(0)
    X = cube.features(cube.snap(rng.random((25, cube.width))))
    new = tensor(cube.features(cube.snap(rng.random((7, cube.width)))))
    model = observed_at(
        X.tolist(), rng.standard_normal(25).tolist(), owners=cube.owners, noise=0.01
    )
    anchors = tensor(X[:4])
    full = torch.cat([anchors.expand(7, 4, -1), new.unsqueeze(-2)], dim=-2)
    plain = model.posterior(full).distribution
    quick = Anchored(Observed(model), anchors).posterior(full).distribution
    torch.testing.assert_close(quick.mean, plain.mean, atol=1e-8, rtol=1e-8)
    difference = quick.covariance_matrix - plain.covariance_matrix
    nugget = NUGGET * torch.eye(5, dtype=torch.double).expand(7, 5, 5)
    torch.testing.assert_close(difference, nugget, atol=1e-8, rtol=0)
    mean, sd = Observed(model).marginal(new)
    torch.testing.assert_close(mean, plain.mean[:, 4], atol=1e-8, rtol=1e-8)
    torch.testing.assert_close(sd.square(), plain.variance[:, 4], atol=1e-8, rtol=1e-8)


def acquisition(model, anchors):
    sampler = SobolQMCNormalSampler(torch.Size([512]), seed=1)
    return qLogNoisyExpectedImprovement(model, anchors, sampler, prune_baseline=False)


def test_the_acquisition_over_anchors_is_that_over_the_plain_model():
    rng = np.random.default_rng(0)
    X = rng.random((20, 3))
    model = observed_at(X.tolist(), np.sin(5 * X[:, 0]).tolist(), noise=0.01)
    new = tensor(rng.random((50, 1, 3)))
    with torch.no_grad():
        plain = acquisition(model, tensor(X[:5]))(new)
        quick = acquisition(Anchored(Observed(model), tensor(X[:5])), tensor(X[:5]))(new)
    torch.testing.assert_close(quick, plain, atol=0.02, rtol=0)


def test_the_acquisition_is_expected_improvement_where_nothing_is_noisy():
    model = observed_at([[0.0], [1.0]], [0.3, -0.4], lengths=(0.4,), noise=1.1e-5)
    new = torch.linspace(0.1, 0.8, 8, dtype=torch.double).reshape(-1, 1, 1)
    observed = Observed(model)
    mean, sd = (v.numpy() for v in observed.marginal(new.reshape(-1, 1)))
    z = (mean - 0.3) / sd
    exact = np.log(sd * (z * norm.cdf(z) + norm.pdf(z)))
    with torch.no_grad():
        found = acquisition(Anchored(observed, observed.X), observed.X)(new).numpy()
    np.testing.assert_allclose(found, exact, atol=0.02)


def test_contenders_are_the_points_that_may_be_the_best():
    torch.manual_seed(0)
    rows = np.linspace(0, 1, 200)[:, None]
    peaked = observed_at(rows.tolist(), (-30 * (rows[:, 0] - 0.5) ** 2).tolist(), lengths=(0.3,))
    kept = contenders(Observed(peaked)).flatten()
    assert 0 < len(kept) < MAX_BASELINE
    assert torch.all((kept - 0.5).abs() < 0.1)
    flat = contenders(
        Observed(observed_at(rows.tolist(), [0.0] * 200, lengths=(0.025,), noise=1.0))
    )
    assert len(flat) == MAX_BASELINE


def test_pending_points_keep_others_away():
    cube, rng = Cube(space("float")), np.random.default_rng(0)
    rows = np.array([[0.0], [0.45], [0.7], [1.0]])
    model = observed_at(rows.tolist(), [-1.0, 1.0, 0.8, -1.0], lengths=(0.2,))

    def first(pending):
        torch.manual_seed(0)
        candidates = Candidates(cube, cube.encode([]), rng)
        (pick,) = choose(
            Observed(model), candidates, best=rows[1:2], pending=pending, count=1, effort=2000
        )
        return float(pick.row[0])

    alone = first(np.empty((0, 1)))
    assert 0.5 < alone < 0.65
    assert abs(first(np.array([[alone]])) - alone) > 0.03


def test_a_batch_is_one_joint_choice():
    cube, rng = Cube(space("float")), np.random.default_rng(0)
    rows = np.array([[0.0], [0.45], [0.7], [1.0]])
    model = observed_at(rows.tolist(), [-1.0, 1.0, 0.8, -1.0], lengths=(0.2,))
    candidates = Candidates(cube, cube.encode([]), rng)
    picks = list(
        choose(
            Observed(model),
            candidates,
            best=rows[1:2],
            pending=np.empty((0, 1)),
            count=4,
            effort=2000,
        )
    )
    points = sorted(float(pick.row[0]) for pick in picks)
    assert min(np.diff(points)) > 0.01
    values = [pick.acquisition for pick in picks]
    # Each point adds less to what those before it may bring; 0.05 for the samples' noise.
    assert all(b < a + 0.05 for a, b in pairwise(values))


# ---- its maximum


def test_the_maximum_is_found_in_a_mixed_space():
    cube = Cube(space("nested"))
    best = {"optimizer": "sgd", "lr": 0.01, "momentum": 0.9, "nesterov": True, "layers": 3,
            "second": 32, "kind": "b"}  # fmt: skip
    goal = cube.features(cube.encode([best]))
    candidates = Candidates(cube, cube.encode([]), np.random.default_rng(0))

    def score(rows):
        return -np.square(cube.features(rows) - goal).sum(axis=1)

    row, value = maximise(score, candidates, cube.snap(candidates.uniform(3)), 2000)
    found = cube.decode(row)
    discrete = ("optimizer", "nesterov", "layers", "kind")
    assert [found[name] for name in discrete] == [best[name] for name in discrete]
    assert value > -0.01


def test_small_spaces_are_searched_whole():
    cube = Cube(SearchSpace(parameters=[ChoiceParameter(name="c", choices=range(40))]))
    candidates = Candidates(cube, cube.encode([{"c": 39}]), np.random.default_rng(0))
    asked = []

    def score(rows):
        asked.append(len(rows))
        return rows[:, 0]

    row, _ = maximise(score, candidates, np.empty((0, 1)), 200)
    assert cube.decode(row) == {"c": 38}
    assert asked == [39]


# ---- surroundings


def test_threads_and_the_generator_are_as_before_afterwards():
    threads, state = torch.get_num_threads(), torch.random.get_rng_state()
    torch.set_num_threads(2)
    inside = []

    def fails():
        with alone(seed=3):
            inside.append((torch.get_num_threads(), float(torch.rand(1))))
            raise NotPSDError

    for _ in range(2):
        with pytest.raises(NotPSDError):
            fails()
        torch.rand(5)
        torch.random.set_rng_state(state)
    assert inside[0] == inside[1]
    assert inside[0][0] == 1
    assert torch.get_num_threads() == 2
    torch.set_num_threads(threads)


PROBLEM = Problem(space=space("float"), objectives=[Objective(metric="loss")])
AT = Hyperparameters(lengths=(0.5, 2.0), noise=1e-3, mean=-0.2)


def test_a_memo_gives_back_what_was_written():
    last = warm.Last(AT, polished=21, sought=20)
    assert warm.read(warm.write(last)) == last
    assert warm.read(replace(warm.write(last), version=1)) is None


@pytest.mark.parametrize(
    "data",
    [
        {"lengths": [1.0], "noise": 0.1, "results": [9, 9]},
        {"lengths": [1.0], "noise": -0.1, "mean": 0.0, "results": [9, 9]},
        {"lengths": [math.inf], "noise": 0.1, "mean": 0.0, "results": [9, 9]},
        {"lengths": ["1"], "noise": 0.1, "mean": 0.0, "results": [9, 9]},
        {"lengths": [], "noise": 0.1, "mean": 0.0, "results": [9, 9]},
        {"lengths": [1.0], "noise": 0.1, "mean": 0.0},
        {"lengths": [1.0], "noise": 0.1, "mean": 0.0, "results": [9]},
        {"lengths": [1.0], "noise": 0.1, "mean": 0.0, "results": [9, 0]},
        {"lengths": [1.0], "noise": 0.1, "mean": 0.0, "results": [9, True]},
        {"lengths": [1.0], "noise": 0.1, "mean": 0.0, "results": [9, 9.5]},
        [1.0],
    ],
)
def test_a_memo_that_is_not_sound_reads_as_none(data):
    assert warm.read(Memo(version=2, data=data)) is None


@pytest.mark.parametrize(
    ("results", "starts", "evaluations", "after"),
    [
        (100, 1, 0, (100, 90)),
        (104, 1, 0, (100, 90)),
        (105, 1, 16, (105, 90)),
        (112, 1, 16, (112, 90)),
        (113, 2, 80, (113, 113)),
        (99, 1, 16, (99, 90)),
        (89, 2, 80, (89, 89)),
    ],
)
def test_hyperparameters_are_fitted_anew_as_the_results_grow(results, starts, evaluations, after):
    memo = warm.write(warm.Last(AT, polished=100, sought=90))
    history = History(problem=PROBLEM, memo=memo, batch=1)
    plan = warm.plan_fit(history, 2, results, 80)
    assert len(plan.starts) == starts
    assert plan.starts[0] == AT
    assert plan.evaluations == evaluations
    assert (plan.polished, plan.sought) == after


@pytest.mark.parametrize("memo", [None, warm.write(warm.Last(AT, 100, 90))])
def test_a_fit_that_knows_nothing_begins_cold(memo):
    history = History(problem=PROBLEM, memo=memo)
    plan = warm.plan_fit(history, 3, 100, 80)
    assert list(plan.starts) == cold_starts(3)
    assert (plan.evaluations, plan.polished, plan.sought) == (80, 100, 100)

"""Acquisition from joint draws, against closed forms, counting, and BoTorch's own classes."""

import math

import numpy as np
import pytest
import torch
from botorch.acquisition.logei import qLogNoisyExpectedImprovement
from botorch.acquisition.multi_objective import logei
from botorch.acquisition.multi_objective.objective import IdentityMCMultiOutputObjective
from botorch.acquisition.multi_objective.parego import qLogNParEGO
from botorch.acquisition.objective import GenericMCObjective
from botorch.models import ModelListGP
from botorch.sampling.normal import SobolQMCNormalSampler
from botorch.utils.multi_objective.scalarization import get_chebyshev_scalarization
from scipy.stats import norm

from search.bayes.anchored import Observed
from search.bayes.feasible import Bound, Feasibility
from search.bayes.improvement import Chebyshev, Front, incumbents, log_improvement, simplex
from search.bayes.joint import Joint
from search.bayes.model import Hyperparameters, build


def tensor(rows):
    return torch.tensor(rows, dtype=torch.double)


def model(X, y, noise=1e-3):
    return build(X, tensor(y), [0, 1], Hyperparameters(lengths=(0.6, 0.8), noise=noise))


RNG = np.random.default_rng(0)
X = tensor(RNG.random((14, 2)))
MODELS = [
    model(X, np.sin(4 * X[:, 0].numpy())),
    model(X, np.cos(3 * X[:, 1].numpy() + X[:, 0].numpy())),
    model(X, (X[:, 0] - X[:, 1]).numpy()),
]
OBSERVED = [Observed(m) for m in MODELS]
NEW = tensor(RNG.random((20, 2)))
ALL_MET = Feasibility([])


def joint(samples, width=1, anchors=X[:6], seed=3):
    groups = anchors.reshape(-1, width, 2)
    return Joint(OBSERVED[:2], groups, samples=samples, seed=seed)


# ---- the draws


@pytest.mark.parametrize("width", [1, 3])
def test_draws_have_the_mean_and_covariance_of_the_plain_posterior(width):
    drawn = joint(8192, width)
    new = NEW[: 4 * width].reshape(4, width, 2)
    draws = torch.cat([drawn.anchors.flatten(1, 2), drawn.draw(new).flatten(1, 2)], dim=1)
    for k in range(2):
        plain = MODELS[k].posterior(torch.cat([X[:6], new.reshape(-1, 2)])).distribution
        found = draws[..., k]
        torch.testing.assert_close(found.mean(dim=0), plain.mean, atol=2e-3, rtol=0)
        # New groups are drawn given the anchors, not given each other.
        for group in range(4):
            rows = [*range(6), *range(6 + group * width, 6 + (group + 1) * width)]
            torch.testing.assert_close(
                torch.cov(found[:, rows].T),
                plain.covariance_matrix[rows][:, rows],
                atol=4e-3,
                rtol=0.05,
            )


def test_metrics_are_drawn_independently_and_the_same_seed_draws_the_same():
    once, again, other = (joint(4096, seed=seed) for seed in (3, 3, 4))
    assert torch.equal(once.anchors, again.anchors)
    assert not torch.equal(once.anchors, other.anchors)
    pair = torch.corrcoef(once.anchors[:, 0, 0].T)
    assert abs(float(pair[0, 1])) < 0.05


def test_without_anchors_a_draw_is_one_of_the_posterior():
    draws = joint(4096, anchors=X[:0]).draw(NEW[:, None])
    mean, sd = OBSERVED[1].marginal(NEW)
    torch.testing.assert_close(draws[:, :, 0, 1].mean(0), mean, atol=5e-3, rtol=0)
    torch.testing.assert_close(draws[:, :, 0, 1].std(0), sd, atol=5e-3, rtol=0.03)


# ---- expected improvement under constraints


def test_feasibility_weighs_expected_improvement_by_its_probability():
    """Independent outcomes: EI x Phi((mean - low) / sd), with one incumbent known for certain."""
    feasibility = Feasibility([Bound(1, low=0.2, high=torch.inf)])
    certain = joint(16384, anchors=X[:0])
    draws = certain.draw(NEW[:, None]).squeeze(2)
    best = torch.full((16384,), 0.4, dtype=torch.double)
    found = log_improvement(best, draws[..., 0], feasibility.log(draws)).exp()
    (m0, s0), (m1, s1) = (tuple(v.numpy() for v in o.marginal(NEW)) for o in OBSERVED[:2])
    z = (m0 - 0.4) / s0
    expected = s0 * (z * norm.cdf(z) + norm.pdf(z)) * norm.cdf((m1 - 0.2) / s1)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-3)
    probability = feasibility.log_probability(tensor(np.c_[m0, m1]), tensor(np.c_[s0, s1]))
    np.testing.assert_allclose(probability, norm.logcdf((m1 - 0.2) / s1), atol=1e-9)


def test_the_probability_of_two_bounds_is_that_of_the_interval():
    mean, sd = tensor([[0.3], [9.0], [-40.0]]), tensor([[0.5], [1.0], [1.0]])
    between = Feasibility([Bound(0, low=-0.2, high=1.0)]).log_probability(mean, sd)
    low, high = (-0.2 - mean) / sd, (1.0 - mean) / sd
    expected = norm.logcdf(high.numpy()[:2, 0]) + np.log1p(
        -np.exp(norm.logcdf(low.numpy()[:2, 0]) - norm.logcdf(high.numpy()[:2, 0]))
    )
    np.testing.assert_allclose(between[:2], expected, rtol=1e-9)
    assert -1000 < float(between[2]) < -700
    nothing = Feasibility([Bound(0, low=1.0, high=1.0)]).log_probability(mean, sd)
    assert torch.all(nothing < -20)


def test_an_incumbent_has_to_be_feasible():
    anchors, met = tensor([[1.0, 3.0], [1.0, 3.0], [2.0, 0.5]]), tensor([[1, 0], [1, 1], [0, 0]])
    assert incumbents(anchors, met.bool()).tolist() == [1.0, 3.0, 0.5]


@pytest.mark.parametrize("low", [None, -0.3])
def test_noisy_expected_improvement_is_that_of_botorch(low):
    feasibility = Feasibility([Bound(1, low=low, high=torch.inf)] if low is not None else [])
    drawn = joint(4096)
    anchors, new = drawn.anchors.squeeze(2), drawn.draw(NEW[:, None]).squeeze(2)
    best = incumbents(anchors[..., 0], feasibility.holds(anchors))
    ours = log_improvement(best, new[..., 0], feasibility.log(new))
    theirs = qLogNoisyExpectedImprovement(
        model=ModelListGP(*MODELS[:2]),
        X_baseline=X[:6],
        objective=GenericMCObjective(lambda samples, X=None: samples[..., 0]),
        constraints=None if low is None else [lambda z: low - z[..., 1]],
        sampler=SobolQMCNormalSampler(torch.Size([4096]), seed=1),
        prune_baseline=False,
    )
    with torch.no_grad():
        expected = theirs(NEW[:, None])
    likely = expected > math.log(1e-3)  # below that a few draws decide
    assert likely.sum() >= 5
    torch.testing.assert_close(ours[likely], expected[likely], atol=0.1, rtol=0)


# ---- hypervolume


def volume(points, reference, cells=60):
    """The hypervolume that points dominate, counted cell by cell between their coordinates."""
    axes = [np.unique([r, *(p[k] for p in points if p[k] > r)]) for k, r in enumerate(reference)]
    total = 0.0
    for corner in np.ndindex(*(len(axis) - 1 for axis in axes)):
        upper = [axis[i + 1] for axis, i in zip(axes, corner, strict=True)]
        if any(all(p >= u for p, u in zip(point, upper, strict=True)) for point in points):
            total += math.prod(axis[i + 1] - axis[i] for axis, i in zip(axes, corner, strict=True))
    return total


def test_a_dominated_point_adds_nothing_to_the_counted_volume():
    assert volume([(1, 3), (2, 2), (3, 1)], (0, 0)) == 6
    assert volume([(1, 3), (2, 2), (3, 1), (1, 1)], (0, 0)) == 6


@pytest.mark.parametrize("objectives", [2, 3, 4])
def test_hypervolume_gained_is_what_counting_says(objectives):
    rng = np.random.default_rng(objectives)
    anchors, new = rng.random((5, objectives)), rng.random((12, objectives)) * 1.3
    reference = np.full(objectives, -0.1)
    front = Front(tensor(anchors)[None], torch.ones(1, 5, dtype=torch.bool), tensor(reference))
    found = front.log_improvement(tensor(new)[None], torch.zeros(1, 12, dtype=torch.double)).exp()
    before = volume(anchors.tolist(), reference)
    gained = [volume([*anchors.tolist(), point], reference) - before for point in new.tolist()]
    assert sum(gain > 0 for gain in gained) >= 3
    np.testing.assert_allclose(found, gained, atol=1e-4)


def test_anchors_that_are_not_feasible_are_no_front():
    anchors = tensor([[[1.0, 1.0], [0.2, 0.1]]])
    front = Front(anchors, torch.tensor([[False, True]]), tensor([0.0, 0.0]))
    none = Front(anchors, torch.tensor([[False, False]]), tensor([0.0, 0.0]))
    new, met = tensor([[[0.5, 0.5]]]), torch.zeros(1, 1, dtype=torch.double)
    assert float(front.log_improvement(new, met).exp()) == pytest.approx(0.25 - 0.02, abs=1e-4)
    assert float(none.log_improvement(new, met).exp()) == pytest.approx(0.25, abs=1e-4)


def test_noisy_expected_hypervolume_improvement_is_that_of_botorch(monkeypatch):
    # Its C++ kernel would be compiled here and now.
    monkeypatch.setattr(logei, "_load_attempted", True)
    reference, feasibility = tensor([-0.5, -0.5]), Feasibility([Bound(0, -0.6, torch.inf)])
    drawn = joint(2048)
    anchors, new = drawn.anchors.squeeze(2), drawn.draw(NEW[:, None]).squeeze(2)
    front = Front(anchors, feasibility.holds(anchors), reference)
    ours = front.log_improvement(new, feasibility.log(new))
    theirs = logei.qLogNoisyExpectedHypervolumeImprovement(
        model=ModelListGP(*MODELS[:2]),
        ref_point=reference,
        X_baseline=X[:6],
        objective=IdentityMCMultiOutputObjective(),
        constraints=[lambda z: -0.6 - z[..., 0]],
        sampler=SobolQMCNormalSampler(torch.Size([2048]), seed=1),
    )
    with torch.no_grad():
        expected = theirs(NEW[:, None])
    likely = expected > math.log(1e-3)
    assert likely.sum() >= 5
    torch.testing.assert_close(ours[likely], expected[likely], atol=0.1, rtol=0)


# ---- ParEGO


def test_the_scalarisation_is_the_augmented_chebyshev_one():
    Y = tensor([[0.0, 10.0], [1.0, 0.0]])
    worth = Chebyshev(tensor([0.25, 0.75]), Y)
    # Losses from 0 to 1: (0.5, 0.9); 0.75 * 0.9 is the worse, 0.125 + 0.675 the sum.
    assert float(worth(tensor([0.5, 1.0]))) == pytest.approx(-(0.675 + 0.05 * 0.8))
    theirs = get_chebyshev_scalarization(tensor([0.25, 0.75]), Y)
    points = tensor(RNG.standard_normal((30, 2)))
    torch.testing.assert_close(worth(points), theirs(points))


def test_an_objective_that_never_changes_does_not_spoil_the_scalarisation():
    worth = Chebyshev(tensor([0.5, 0.5]), tensor([[1.0, 0.0], [1.0, 2.0]]))
    assert float(worth(tensor([1.0, 2.0]))) == 0


def test_weights_are_positive_and_add_up_to_one():
    generator = torch.Generator().manual_seed(0)
    drawn = torch.stack([simplex(3, generator) for _ in range(2000)])
    assert torch.all(drawn > 0)
    torch.testing.assert_close(drawn.sum(dim=1), torch.ones(2000, dtype=torch.double))
    # Uniform on the simplex: each has mean 1/3 and variance 1/18.
    torch.testing.assert_close(drawn.mean(0), torch.full((3,), 1 / 3).double(), atol=0.02, rtol=0)
    torch.testing.assert_close(drawn.var(0), torch.full((3,), 1 / 18).double(), atol=0.01, rtol=0)


def test_parego_is_that_of_botorch():
    weights = tensor([0.3, 0.7])
    drawn = joint(4096)
    mean = torch.stack([o.marginal(X[:6])[0] for o in OBSERVED[:2]], dim=-1)
    worth = Chebyshev(weights, mean)
    anchors, new = drawn.anchors.squeeze(2), drawn.draw(NEW[:, None]).squeeze(2)
    best = incumbents(worth(anchors), ALL_MET.holds(anchors))
    ours = log_improvement(best, worth(new), ALL_MET.log(new))
    theirs = qLogNParEGO(
        model=ModelListGP(*MODELS[:2]),
        X_baseline=X[:6],
        scalarization_weights=weights,
        sampler=SobolQMCNormalSampler(torch.Size([4096]), seed=1),
    )
    with torch.no_grad():
        expected = theirs(NEW[:, None])
    likely = expected > math.log(1e-3)
    assert likely.sum() >= 3
    torch.testing.assert_close(ours[likely], expected[likely], atol=0.1, rtol=0)

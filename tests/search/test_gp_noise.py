"""Standard errors that are told: against GPyTorch, differences, and what they should change."""

import math

import gpytorch
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from search.gp.ensemble import Aims
from search.gp.fit import NUGGET, Evidence, Hyperparameters, Points, log_prior
from search.gp.kernels import MATERN, RBF
from search.gp.posterior import Posterior
from search.outcomes import lessons
from search.parameters import FloatParameter
from search.problem import Objective, Problem
from search.searcher import History
from search.searchers.gp import GP
from search.space import SearchSpace
from search.targets import LARGEST_ERROR, fenced, half_ranked, targets
from search.trial import Measurement, Trial, TrialState

KERNELS = pytest.mark.parametrize("kernel", [RBF, MATERN], ids=lambda kernel: kernel.name)
AT = Hyperparameters(lengths=(0.4, 1.3, 0.7), noise=0.01)
OWNERS = [0, 1, 2]
SPACE = SearchSpace(parameters=[FloatParameter(name="x", low=0, high=1)])
PROBLEM = Problem(space=SPACE, objectives=[Objective(metric="loss")], seed=4)
EARLY = {TrialState.FAILED, TrialState.INFEASIBLE}


def drawn(n=20, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.random((n, 3))
    errors = rng.choice([0.0, 0.05, 0.6, 30.0], n)
    return X, np.sin(4 * X[:, 0]) + X[:, 1] - 3.0, np.square(errors), rng.random((7, 3))


def doubles(values):
    return torch.tensor(values, dtype=torch.double)


class Fixed(gpytorch.models.ExactGP):
    """GPyTorch's own: fixed noise for each point, and one more variance that is learned."""

    def __init__(self, kernel, X, y, known, mean):
        likelihood = gpytorch.likelihoods.FixedNoiseGaussianLikelihood(
            # It bounds what it is given from below; the rest of its noise takes the difference.
            noise=doubles(known + 0.004),
            learn_additional_noise=True,
        ).double()
        likelihood.second_noise = doubles(AT.noise + NUGGET - 0.004)
        super().__init__(doubles(X), doubles(y), likelihood)
        made = {"rbf": gpytorch.kernels.RBFKernel, "matern52": gpytorch.kernels.MaternKernel}
        self.mean_module = gpytorch.means.ConstantMean().double()
        self.mean_module.constant = mean
        self.covar_module = made[kernel.name](ard_num_dims=3).double()
        self.covar_module.lengthscale = doubles(AT.lengths)

    def forward(self, X):
        return gpytorch.distributions.MultivariateNormal(self.mean_module(X), self.covar_module(X))


@KERNELS
def test_the_posterior_is_that_of_gpytorch_with_fixed_noise(kernel):
    X, y, known, new = drawn()
    ours = Posterior.of(kernel, AT, X, OWNERS, y, known=known)
    theirs = Fixed(kernel, X, y, known, ours.mean).eval()
    with torch.no_grad():
        expected = theirs(doubles(new))
    belief = ours.believe(new)
    np.testing.assert_allclose(belief.mean, expected.mean, rtol=1e-8)
    np.testing.assert_allclose(belief.variance, expected.variance, rtol=1e-8)
    assert ours.best == pytest.approx(ours.believe(X).mean.min(), abs=1e-9)


@KERNELS
def test_the_evidence_is_that_of_gpytorch_with_fixed_noise(kernel):
    X, y, known, _ = drawn()
    theta = np.log([*AT.lengths, AT.noise])
    value, _ = Evidence(Points(X, OWNERS), y, kernel, known)(theta)
    mean = Posterior.of(kernel, AT, X, OWNERS, y, known=known).mean
    theirs = Fixed(kernel, X, y, known, mean).train()
    mll = gpytorch.mlls.ExactMarginalLogLikelihood(theirs.likelihood, theirs)
    expected = -mll(theirs(doubles(X)), doubles(y)).item() * len(y)
    constant = 0.5 * len(y) * math.log(2 * math.pi)
    assert value == pytest.approx(expected - constant + log_prior(theta)[0], rel=1e-9)


@KERNELS
@settings(deadline=None, max_examples=20)
@given(st.integers(2, 12), st.integers(0, 1000), st.floats(-2, 3), st.floats(-9, 0.9))
def test_the_gradient_is_that_of_differences(kernel, n, seed, length, noise):
    X, y, known, _ = drawn(n, seed)
    evidence = Evidence(Points(X, OWNERS), y, kernel, known)
    theta = np.array([length, length + 0.1, length + 0.2, noise])
    _, gradient = evidence(theta)
    steps = 1e-5 * np.eye(4)
    expected = [(evidence(theta + h)[0] - evidence(theta - h)[0]) / 2e-5 for h in steps]
    np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-4)


@KERNELS
def test_pending_points_among_noisy_ones_count_as_observed_at_their_mean(kernel):
    X, y, known, new = drawn()
    before = Posterior.of(kernel, AT, X, OWNERS, y, known=known)
    means = before.believe(new).mean
    whole = Posterior.of(
        kernel, AT, np.r_[X, new], OWNERS, np.r_[y, means], known=np.r_[known, np.zeros(7)]
    )
    there = np.random.default_rng(5).random((4, 3))
    later = before.pending(new).believe(there)
    np.testing.assert_allclose(later.variance, whole.believe(there).variance, rtol=1e-7)
    np.testing.assert_allclose(later.mean, before.believe(there).mean, rtol=1e-9)


def test_an_error_is_in_the_units_of_the_loss_whatever_the_warp():
    losses, errors = [1.0, 2.0, 3.0, 400.0], np.array([0.0, 0.5, 1.0, 7.0])
    for warp in (fenced, half_ranked):
        aim = targets(losses, warp)
        np.testing.assert_allclose(aim.noise(errors), np.square(errors / aim.scale))
        again = targets([1000 * loss for loss in losses], warp)
        np.testing.assert_allclose(again.noise(1000 * errors), aim.noise(errors), rtol=1e-12)


@pytest.mark.parametrize("losses", [[1.0, 2.0], [1e-150, 3e-150], [1e150, -1e150], [5.0, 5.0]])
def test_an_absurd_error_is_a_large_one_and_no_overflow(losses):
    aims = Aims.of(losses, np.array([1e300, 5e-324]))
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        for ranked in (False, True):
            huge, tiny = aims.known(ranked=ranked)
            assert huge == pytest.approx(LARGEST_ERROR**2)
            assert tiny == 0


def trials(measured, errors):
    return [
        Trial(
            number=n,
            config={"x": x},
            state=TrialState.COMPLETED,
            values={"loss": loss},
            errors={} if error is None else {"loss": error},
        )
        for n, ((x, loss), error) in enumerate(zip(measured, errors, strict=True))
    ]


def test_only_completed_trials_have_errors():
    known = trials([(0.1, 1.0), (0.2, 2.0), (0.3, math.inf)], [0.25, None, 0.5])
    curve = [Measurement(step=1, values={"loss": 1.5})]
    others = [
        Trial(number=k, config={"x": k / 10}, state=state, errors={"loss": 0.5}, measurements=curve)
        for k, state in enumerate((TrialState.STOPPED, *EARLY), 3)
    ]
    taught = lessons(PROBLEM, [*known, *others])
    assert [lesson.error for lesson in taught] == [0.25, 0, 0, 0, 0, 0]
    for nonsense in (math.nan, math.inf, -1.0):
        (lesson,) = lessons(PROBLEM, trials([(0.1, 1.0)], [nonsense]))
        assert lesson.error == 0


def valley(x):
    return (x - 0.3) ** 2


def near(batch):
    """How many of the suggestions lie around x = 0.85."""
    return sum(abs(s.config["x"] - 0.85) < 0.08 for s in batch.suggestions)


def test_a_lucky_measurement_is_followed_only_as_far_as_it_is_known():
    tried = [(x, valley(x)) for x in np.linspace(0, 1, 15)]
    tried[12] = (tried[12][0], -0.3)  # at 0.857: by far the lowest
    sure = History(problem=PROBLEM, trials=trials(tried, [0.001] * 15))
    unsure = History(
        problem=PROBLEM, trials=trials(tried, [2.0 if k == 12 else 0.001 for k in range(15)])
    )
    followed, doubted = GP().suggest(sure, 4), GP().suggest(unsure, 4)
    assert near(followed) >= 2
    assert near(doubted) == 0
    assert all(abs(s.config["x"] - 0.3) < 0.2 for s in doubted.suggestions)


def test_errors_of_zero_change_nothing():
    tried = [(x, valley(x)) for x in np.linspace(0, 1, 9)]
    without = GP().suggest(History(problem=PROBLEM, trials=trials(tried, [None] * 9)), 3)
    zero = GP().suggest(History(problem=PROBLEM, trials=trials(tried, [0.0] * 9)), 3)
    assert without == zero


@pytest.mark.parametrize("errors", [[1e300] * 9, [1e300, None, 0.0] * 3, [5e-324] * 9, [1e-9] * 9])
@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_errors_of_any_size_leave_a_model_that_answers(errors, scale):
    tried = [(x, scale * valley(x)) for x in np.linspace(0, 1, 9)]
    batch = GP().suggest(History(problem=PROBLEM, trials=trials(tried, errors)), 2)
    assert [s.origin["by"] for s in batch.suggestions] == ["gp", "gp"]
    assert len({s.config["x"] for s in batch.suggestions}) == 2


def test_above_the_fit_limit_errors_go_with_their_points():
    """160 trials: hyperparameters are fitted on a part of them, drawn at random."""
    rng = np.random.default_rng(0)
    tried = [(x, valley(x) + (k % 2) * rng.normal(0, 3)) for k, x in enumerate(rng.random(160))]
    known = [3.0 * (k % 2) for k in range(160)]
    batch = GP().suggest(History(problem=PROBLEM, trials=trials(tried, known)), 2)
    assert all(abs(s.config["x"] - 0.3) < 0.15 for s in batch.suggestions)
    assert all(abs(s.origin["mean"]) < 0.3 for s in batch.suggestions)

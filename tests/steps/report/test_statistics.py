"""Against published worked examples, independent implementations, and by simulated coverage."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from holdfast.steps.report.clusters import bootstrap
from holdfast.steps.report.statistics import Floats, Interval, holm, margin, paired_score, sign_flip, wilson
from report_data import covered


def items_bootstrap(changes: Floats, resamples: int, seed: int) -> Interval:
    """The bootstrap of independent items."""
    return bootstrap([(changes, np.ones(len(changes)))], 0.95, resamples, seed)


@pytest.mark.parametrize(
    ("correct", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_the_published_intervals(correct: int, n: int, low: float, high: float) -> None:
    """Newcombe (1998), Stat. Med. 17, 857-872, table I, method 3."""
    assert wilson(correct, n, 0.95) == pytest.approx((low, high), abs=5e-5)


def test_paired_score_and_sign_flip_give_the_published_values() -> None:
    """Cavo et al. (2012) as analysed in Fagerland, Lydersen & Laake (2017), "Statistical Analysis of Contingency
    Tables", ch. 8: 59, 6, 16, 80 of 161; Tango's interval -0.1240 to -0.0054; exact conditional p 0.0525."""
    assert paired_score(16, 6, 161, 0.95) == pytest.approx((-0.1240, -0.0054), abs=5e-5)
    assert sign_flip(np.repeat([-1.0, 1.0, 0.0], [16, 6, 139]), 10, 0) == pytest.approx(0.052479, abs=5e-7)


def test_paired_score_gives_the_interval_of_the_lens_trial() -> None:
    """Tango (1998): 43 of 44 lenses alike, one failed by the new method only; 90 % interval -0.096 to 0.037."""
    assert paired_score(1, 0, 44, 0.90) == pytest.approx((-0.096, 0.037), abs=5e-4)


@settings(max_examples=40)
@given(st.integers(0, 40), st.integers(0, 40), st.integers(1, 400), st.sampled_from([0.8, 0.95, 0.99]))
def test_paired_score_inverts_the_score_test(forgotten: int, learned: int, same: int, confidence: float) -> None:
    """The limits solve the score equation with a constrained likelihood that is maximised numerically here."""
    n = forgotten + learned + same

    def statistic(delta: float) -> float:
        def unlikelihood(q: float) -> float:
            shares = np.clip([q, q + delta, 1 - 2 * q - delta], 1e-300, 1)
            return -float(np.array([forgotten, learned, same]) @ np.log(shares))

        bounds = (max(0.0, -delta), (1 - delta) / 2)
        q = optimize.minimize_scalar(unlikelihood, bounds=bounds, method="bounded", options={"xatol": 1e-12}).x
        return float((learned - forgotten - n * delta) ** 2 / (n * (2 * q + delta * (1 - delta))))

    critical = stats.chi2.ppf(confidence, 1)
    low, high = paired_score(forgotten, learned, n, confidence)
    assert -1 <= low <= (learned - forgotten) / n <= high <= 1
    assert statistic(low) == pytest.approx(critical, rel=2e-3)
    assert statistic(high) == pytest.approx(critical, rel=2e-3)
    assert paired_score(learned, forgotten, n, confidence) == pytest.approx((-high, -low), abs=1e-9)


@pytest.mark.parametrize("n", [1, 30, 1000])
def test_no_change_is_not_certainty(n: int) -> None:
    """With no discordant pair Tango's interval is +-z^2 / (n + z^2)."""
    z2 = stats.norm.ppf(0.975) ** 2
    assert paired_score(0, 0, n, 0.95) == pytest.approx((-z2 / (n + z2), z2 / (n + z2)), abs=1e-9)


@given(st.integers(0, 300), st.integers(0, 300), st.floats(0.01, 1))
def test_sign_flip_of_equal_changes_is_the_two_sided_binomial_test(forgotten: int, learned: int, size: float) -> None:
    expected = stats.binomtest(learned, forgotten + learned, 0.5).pvalue if forgotten + learned else 1.0
    assert sign_flip(np.repeat([-size, size], [forgotten, learned]), 10, 0) == pytest.approx(expected, rel=1e-9)


def test_sign_flip_of_unequal_changes_agrees_with_all_sign_patterns() -> None:
    changes = np.array([0.5, 0.5, -0.5, 1.0, 1.0, 1.0, -0.25, 2.0, 2.0, -1.0])
    patterns = np.array(np.meshgrid(*[[-1, 1]] * len(changes))).reshape(len(changes), -1)
    exact = (np.abs(changes @ patterns) >= changes.sum() - 1e-12).mean()
    assert sign_flip(changes, 200_000, 1) == pytest.approx(exact, abs=0.005)
    assert sign_flip(changes, 1000, 1) == sign_flip(changes[::-1], 1000, 1)


def test_holm_steps_down() -> None:
    """Four hypotheses: the smallest p is taken four times, the next three times, never less than the one before."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


@settings(max_examples=40)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_agrees_with_its_definition(p_values: list[float]) -> None:
    order = np.argsort(p_values, kind="stable")
    running, expected = 0.0, np.empty(len(p_values))
    for rank, i in enumerate(order):
        running = max(running, (len(p_values) - rank) * p_values[i])
        expected[i] = min(running, 1.0)
    assert holm(p_values) == pytest.approx(list(expected))


@pytest.mark.parametrize("values", [[-1.0, 0.0, 1.0], list(np.linspace(-1, 1, 300))])
def test_bootstrap_agrees_with_scipy(values: list[float]) -> None:
    """Resampling by counts is resampling by items; the tolerance is the Monte Carlo error of a quantile."""
    differences = np.random.default_rng(3).choice(values, 300)
    ours = items_bootstrap(differences, 20_000, 1)
    theirs = stats.bootstrap(
        (differences,), np.mean, method="percentile", n_resamples=20_000, rng=2
    ).confidence_interval
    assert ours == pytest.approx((theirs.low, theirs.high), abs=0.05 * (theirs.high - theirs.low))
    assert ours == items_bootstrap(np.random.default_rng(0).permutation(differences), 20_000, 1)


def test_bootstrap_of_clusters_and_strata_agrees_with_drawing_clusters() -> None:
    generator = np.random.default_rng(4)
    strata = [(generator.integers(-3, 4, n).astype(float), generator.integers(3, 6, n).astype(float)) for n in (20, 40)]
    means = []
    for _ in range(5000):
        drawn = [generator.integers(0, len(sums), len(sums)) for sums, _ in strata]
        means.append(np.mean([sums[i].sum() / n[i].sum() for (sums, n), i in zip(strata, drawn, strict=True)]))
    low, high = np.quantile(means, [0.025, 0.975])
    assert bootstrap(strata, 0.95, 20_000, 1) == pytest.approx((low, high), abs=0.05 * (high - low))


@pytest.mark.parametrize(("n", "forgotten", "learned"), [(400, 0.06, 0.03), (400, 0.01, 0.01), (100, 0.3, 0.1)])
def test_paired_intervals_cover_the_truth(n: int, forgotten: float, learned: float) -> None:
    """Of 1,000 simulated evaluations, about 95 % have the true change within the interval."""
    generator = np.random.default_rng(11)
    drawn = generator.multinomial(n, [forgotten, learned, 1 - forgotten - learned], 1000)
    truth = learned - forgotten
    scores = np.array([paired_score(int(f), int(g), n, 0.95) for f, g, _ in drawn])
    assert 0.935 <= covered(scores, truth) <= 0.985
    boot = np.array([items_bootstrap(np.repeat([-1.0, 1.0, 0.0], counts), 1000, i) for i, counts in enumerate(drawn)])
    assert 0.925 <= covered(boot, truth) <= 0.985


def test_the_bootstrap_is_too_narrow_where_few_items_change() -> None:
    """Why verdicts go by the score interval: 100 items, 2 % forgotten, 1 % learned."""
    drawn = np.random.default_rng(11).multinomial(100, [0.02, 0.01, 0.97], 1000)
    scores = np.array([paired_score(int(f), int(g), 100, 0.95) for f, g, _ in drawn])
    changes = [np.repeat([-1.0, 1.0, 0.0], counts) for counts in drawn]
    boot = np.array([items_bootstrap(change, 1000, 1) for change in changes])
    assert covered(boot, -0.01) < 0.90
    assert covered(scores, -0.01) > 0.94


@pytest.mark.parametrize(("n", "share"), [(50, 0.9), (400, 0.96), (400, 0.5)])
def test_wilson_covers_the_truth(n: int, share: float) -> None:
    drawn = np.random.default_rng(5).binomial(n, share, 4000)
    bounds = {correct: wilson(correct, n, 0.95) for correct in set(drawn.tolist())}
    assert 0.93 <= covered(np.array([bounds[c] for c in drawn.tolist()]), share) <= 0.98


def test_margins_add_in_squares() -> None:
    """One term is itself; the mean of two equal ones has a margin smaller by the root of two."""
    assert margin([0.3]) == pytest.approx(0.3)
    assert margin([0.15, 0.15]) == pytest.approx(0.3 / 2**0.5)

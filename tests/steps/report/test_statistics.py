"""Against published worked examples, independent implementations, and by simulated coverage."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from holdfast.steps.report.params import Report
from holdfast.steps.report.proof import compare
from holdfast.steps.report.statistics import (
    Floats,
    crossed,
    holm,
    mcnemar_exact,
    paired_bootstrap,
    paired_score,
    wilson,
)


@pytest.mark.parametrize(
    ("correct", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_the_published_intervals(correct: int, n: int, low: float, high: float) -> None:
    """Newcombe (1998), Stat. Med. 17, 857-872, table I, method 3."""
    assert wilson(correct, n, 0.95) == pytest.approx((low, high), abs=5e-5)


def test_paired_score_and_mcnemar_give_the_published_values() -> None:
    """Cavo et al. (2012) as analysed in Fagerland, Lydersen & Laake (2017), "Statistical Analysis of Contingency
    Tables", ch. 8: 59, 6, 16, 80 of 161; Tango's interval -0.1240 to -0.0054; exact conditional p 0.0525."""
    assert paired_score(16, 6, 161, 0.95) == pytest.approx((-0.1240, -0.0054), abs=5e-5)
    assert mcnemar_exact(16, 6) == pytest.approx(0.052479, abs=5e-7)


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


@given(st.integers(0, 300), st.integers(0, 300))
def test_mcnemar_is_the_two_sided_binomial_test(forgotten: int, learned: int) -> None:
    expected = stats.binomtest(learned, forgotten + learned, 0.5).pvalue if forgotten + learned else 1.0
    assert mcnemar_exact(forgotten, learned) == pytest.approx(expected, rel=1e-9)


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
    ours = paired_bootstrap(differences, 0.95, 20_000, 1)
    theirs = stats.bootstrap(
        (differences,), np.mean, method="percentile", n_resamples=20_000, rng=2
    ).confidence_interval
    assert ours == pytest.approx((theirs.low, theirs.high), abs=0.05 * (theirs.high - theirs.low))
    assert ours == paired_bootstrap(np.random.default_rng(0).permutation(differences), 0.95, 20_000, 1)


def covered(intervals: Floats, truth: float) -> float:
    return float(((intervals[:, 0] <= truth) & (truth <= intervals[:, 1])).mean())


@pytest.mark.parametrize(("n", "forgotten", "learned"), [(400, 0.06, 0.03), (400, 0.01, 0.01), (100, 0.3, 0.1)])
def test_paired_intervals_cover_the_truth(n: int, forgotten: float, learned: float) -> None:
    """Of 1,000 simulated evaluations, about 95 % have the true change within the interval."""
    generator = np.random.default_rng(11)
    drawn = generator.multinomial(n, [forgotten, learned, 1 - forgotten - learned], 1000)
    truth = learned - forgotten
    scores = np.array([paired_score(int(f), int(g), n, 0.95) for f, g, _ in drawn])
    assert 0.935 <= covered(scores, truth) <= 0.985
    boot = np.array(
        [paired_bootstrap(np.repeat([-1.0, 1.0, 0.0], counts), 0.95, 1000, i) for i, counts in enumerate(drawn)]
    )
    assert 0.925 <= covered(boot, truth) <= 0.985


def test_the_bootstrap_is_too_narrow_where_few_items_change() -> None:
    """Why verdicts go by the score interval: 100 items, 2 % forgotten, 1 % learned."""
    drawn = np.random.default_rng(11).multinomial(100, [0.02, 0.01, 0.97], 1000)
    scores = np.array([paired_score(int(f), int(g), 100, 0.95) for f, g, _ in drawn])
    changes = [np.repeat([-1.0, 1.0, 0.0], counts) for counts in drawn]
    boot = np.array([paired_bootstrap(change, 0.95, 1000, 1) for change in changes])
    assert covered(boot, -0.01) < 0.90
    assert covered(scores, -0.01) > 0.94


@pytest.mark.parametrize(("n", "share"), [(50, 0.9), (400, 0.96), (400, 0.5)])
def test_wilson_covers_the_truth(n: int, share: float) -> None:
    drawn = np.random.default_rng(5).binomial(n, share, 4000)
    bounds = {correct: wilson(correct, n, 0.95) for correct in set(drawn.tolist())}
    assert 0.93 <= covered(np.array([bounds[c] for c in drawn.tolist()]), share) <= 0.98


@pytest.mark.parametrize(("seeds", "seed_sd"), [(3, 0.02), (5, 0.02), (5, 0.0), (10, 0.05)])
def test_crossed_interval_covers_the_truth(seeds: int, seed_sd: float) -> None:
    """Seeds and items both drawn anew: an interval over items alone would miss far more often than 5 %."""
    generator = np.random.default_rng(7)
    items, truth, intervals, naive = 200, -0.05, [], []
    for _ in range(1000):
        seed_effects = generator.normal(0, seed_sd, (seeds, 1))
        item_effects = generator.normal(0, 0.25, (1, items))
        table = truth + seed_effects + item_effects + generator.normal(0, 0.3, (seeds, items))
        intervals.append(crossed(table, 0.95).interval)
        if seed_sd > 0.04 and len(naive) < 200:
            naive.append(paired_bootstrap(table[0], 0.95, 1000, 0))
    assert 0.93 <= covered(np.array(intervals), truth) <= 0.995
    assert not naive or covered(np.array(naive), truth) < 0.8


def test_crossed_reports_the_spread_between_seeds() -> None:
    table = np.array([[0.0, 1.0, 0.0, 1.0], [1.0, 1.0, 1.0, 1.0]])
    found = crossed(table, 0.95)
    assert found.seed_sd == pytest.approx(np.std([0.5, 1.0], ddof=1))
    assert found.interval.low < 0.75 < found.interval.high
    assert crossed(np.zeros((3, 5)), 0.95) == ((0.0, 0.0), 1.0, 0.0)


def of_seeds(changes: Floats) -> dict[str, float]:
    """`compare` of a base and its arm's seeds, from changes (seeds x items) of -1, 0 or 1."""
    columns = {"base": (changes.min(axis=0) < 0).astype(float)}
    arm = {f"arm-s{seed}": columns["base"] + row for seed, row in enumerate(changes)}
    return compare(pl.DataFrame(columns | arm), ["base"], list(arm), Report(), "test")


@pytest.mark.parametrize(("alike", "at_most"), [(1.0, 0.90), (0.5, 1.0), (0.0, 1.0)])
def test_the_bound_over_seeds_covers_where_few_items_change(alike: float, at_most: float) -> None:
    """100 items, 2 % forgotten and 1 % learned; `alike`: the share of seeds' changes that all seeds have in common.
    The crossed interval alone misses the truth far too often where the seeds agree."""
    generator = np.random.default_rng(11)
    found = []
    for _ in range(500):
        right = generator.random(100) < 2 / 3  # of the base: what it had right can only be forgotten
        common = generator.random((1, 100)) < 0.03
        own = generator.random((3, 100)) < 0.03
        changed = np.where(generator.random(100) < alike, common, own)
        found.append(of_seeds(np.where(right, -1.0, 1.0) * changed))
    bounds = np.array([(one["bound_low"], one["bound_high"]) for one in found])
    only_crossed = np.array([(one["low"], one["high"]) for one in found])
    assert covered(bounds, -0.01) >= 0.95
    assert (bounds[:, 0] <= -0.01).mean() >= 0.97
    assert covered(only_crossed, -0.01) <= at_most


@settings(max_examples=60)
@given(
    st.integers(1, 4).flatmap(
        lambda seeds: st.lists(
            st.tuples(st.sampled_from([-1.0, 1.0]), st.lists(st.booleans(), min_size=seeds, max_size=seeds)),
            min_size=1,
            max_size=30,
        )
    )
)
def test_seeds_are_never_surer_than_one_seed_with_their_mean_counts(items: list[tuple[float, list[bool]]]) -> None:
    changes = np.array([[side * did for did in changed] for side, changed in items]).T
    found, (seeds, n) = of_seeds(changes), changes.shape
    one = paired_score((changes < 0).sum() / seeds, (changes > 0).sum() / seeds, n, 0.95)
    assert -1 <= found["bound_low"] <= one.low <= found["difference"] <= one.high <= found["bound_high"] <= 1
    assert found["low"] - 1e-12 <= found["difference"] <= found["high"] + 1e-12
    assert found["p"] >= mcnemar_exact((changes < 0).sum() / seeds, (changes > 0).sum() / seeds)


@pytest.mark.parametrize("seeds", [1, 2, 3])
def test_seeds_that_change_nothing_are_not_certain_either(seeds: int) -> None:
    found = of_seeds(np.zeros((seeds, 8)))
    assert (found["bound_low"], found["bound_high"]) == pytest.approx((-0.324, 0.324), abs=5e-4)
    assert found["p"] == 1.0
    alike = of_seeds(np.repeat([[1.0, 1.0, 0.0]], seeds, axis=0))
    assert alike["p"] == pytest.approx(0.5)
    assert of_seeds(np.ones((seeds, 2)))["bound_low"] < 0.5


def test_the_p_of_mean_counts_is_never_too_small() -> None:
    assert mcnemar_exact(1.3, 7.9) == mcnemar_exact(2, 7)
    assert mcnemar_exact(0, 1 / 3) == mcnemar_exact(3.2, 3.8) == 1.0

"""Against published worked examples, independent implementations, and by simulated coverage."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from holdfast.steps.report.clusters import Codes, bootstrap, cluster_sums, design_effect, largest_spread
from holdfast.steps.report.comparison import Stratum, change_bounds, p_value, seed_deviation
from holdfast.steps.report.statistics import Floats, Interval, holm, margin, paired_score, sign_flip, wilson


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


@settings(max_examples=100)
@given(
    st.lists(st.tuples(st.integers(0, 4), st.sampled_from([-1.0, 0.0, 1.0]), st.booleans()), min_size=1, max_size=12)
)
def test_the_largest_spread_is_that_of_the_worst_completion_or_more(items: list[tuple[int, float, bool]]) -> None:
    clusters = np.array([cluster for cluster, _, _ in items])
    low = np.array([-1.0 if open_ else value for _, value, open_ in items])
    high = np.array([1.0 if open_ else value for _, value, open_ in items])
    (low_sums, sizes), (high_sums, _) = cluster_sums(low, clusters), cluster_sums(high, clusters)
    bound = largest_spread(low_sums, high_sums, sizes)
    for share in np.random.default_rng(0).random((50, len(items))).round():
        sums, _ = cluster_sums(low + share * (high - low), clusters)
        assert ((sums - sizes * sums.sum() / sizes.sum()) ** 2).sum() <= bound + 1e-9
    if (low == high).all():
        assert bound == pytest.approx(((low_sums - sizes * low.mean()) ** 2).sum())


def test_the_design_effect_of_whole_clusters_is_their_size_and_of_single_items_none() -> None:
    generator = np.random.default_rng(5)
    whole = np.repeat(generator.choice([-1.0, 0.0, 1.0], 2000), 5)
    clusters = np.repeat(np.arange(2000), 5)
    assert design_effect(whole, whole, clusters, 0.95) == pytest.approx(5, rel=0.01)
    assert design_effect(whole, whole, np.arange(10_000), 0.95) == 1.0
    shuffled = generator.permutation(whole)
    assert design_effect(shuffled, shuffled, clusters, 0.95) == pytest.approx(1, abs=0.08)
    assert design_effect(whole, whole, np.zeros(10_000, int), 0.95) == float("inf")


World = list[
    tuple[int, int, float, float, float]
]  # suites: clusters, their size, shares forgotten and learned, likeness


def draw(generator: np.random.Generator, world: World) -> list[Stratum]:
    """One evaluation. Likeness: the correlation of two items' changes within a cluster."""
    found = []
    for count, size, forgotten, learned, likeness in world:
        common, own = np.repeat(generator.random(count), size), generator.random(count * size)
        luck = np.where(generator.random(count * size) < likeness**0.5, common, own)
        changes = np.where(luck < forgotten, -1.0, np.where(luck > 1 - learned, 1.0, 0.0))[None]
        found.append(Stratum(changes, changes, np.repeat(np.arange(count), size)))
    return found


def pooled(strata: list[Stratum]) -> list[Stratum]:
    """The mean over items of the same evaluation."""
    offsets = np.cumsum([0, *(one.clusters.max() + 1 for one in strata)])
    clusters = np.concatenate([one.clusters + at for one, at in zip(strata, offsets, strict=False)])
    changes = np.concatenate([one.low for one in strata], axis=1)
    return [Stratum(changes, changes, clusters)]


WORLDS: dict[str, World] = {
    "one suite": [(400, 1, 0.06, 0.03, 0)],
    "few changes": [(100, 1, 0.02, 0.01, 0)],
    "suites": [(200, 1, 0.06, 0.03, 0), (50, 1, 0.02, 0.01, 0), (30, 1, 0.3, 0.1, 0)],
    "clusters": [(60, 5, 0.06, 0.03, 0.3)],
    "clusters that change whole": [(60, 5, 0.06, 0.03, 1)],
    "few clusters": [(20, 5, 0.08, 0.03, 0.8)],
    "few clusters change": [(30, 5, 0.03, 0.01, 0.6)],
    "suites of clusters": [(40, 5, 0.06, 0.03, 0.4), (50, 1, 0.02, 0.01, 0), (15, 6, 0.1, 0.05, 0.6)],
}


@pytest.mark.parametrize("average", ["suites", "items"])
@pytest.mark.parametrize("world", list(WORLDS))
def test_bounds_cover_the_truth_over_items_and_over_suites_clustered_or_not(world: str, average: str) -> None:
    """Of 300 simulated evaluations at least 95 %, less 2.5 standard errors, have the true change within the bounds."""
    generator, suites = np.random.default_rng(11), WORLDS[world]
    means = [learned - forgotten for _, _, forgotten, learned, _ in suites]
    sizes = [count * size for count, size, *_ in suites]
    truth = float(np.mean(means) if average == "suites" else np.average(means, weights=sizes))
    found = []
    for _ in range(300):
        strata = draw(generator, suites)
        found.append(change_bounds(strata if average == "suites" else pooled(strata), 0.95))
    assert covered(np.array(found), truth) >= 0.95 - 2.5 * (0.95 * 0.05 / 300) ** 0.5


def test_intervals_of_independent_items_are_too_narrow_for_clusters() -> None:
    """Why clusters matter: the same evaluations, taken as independent items, miss the truth far more often than 5 %."""
    generator, found, boot = np.random.default_rng(11), [], []
    for i in range(300):
        (one,) = draw(generator, [(60, 5, 0.06, 0.03, 1)])
        found.append(change_bounds([one._replace(clusters=np.arange(300))], 0.95))
        boot.append(bootstrap([one.sums("low")], 0.95, 1000, i))
    assert covered(np.array(found), -0.03) < 0.7
    assert covered(np.array(boot), -0.03) > 0.9


def of_seeds(changes: Floats, clusters: Codes | None = None) -> Stratum:
    """A stratum of changes (seeds x items), all graded; every item its own cluster unless told otherwise."""
    return Stratum(changes, changes, np.arange(changes.shape[1]) if clusters is None else clusters)


@pytest.mark.parametrize(("seeds", "seed_sd"), [(3, 0.02), (5, 0.02), (5, 0.0), (10, 0.05)])
def test_bounds_cover_the_truth_over_items_and_seeds(seeds: int, seed_sd: float) -> None:
    """Seeds and items both drawn anew: an interval over items alone would miss far more often than 5 %."""
    generator, truth, found, naive = np.random.default_rng(7), -0.15, [], []
    for _ in range(300):
        item_share = generator.beta(2, 2 * 0.85 / 0.15, (1, 200))
        share = np.clip(item_share + generator.normal(0, seed_sd, (seeds, 1)), 0, 1)
        changes = -(generator.random((seeds, 200)) < share).astype(float)
        found.append(change_bounds([of_seeds(changes)], 0.95))
        naive.append(change_bounds([of_seeds(changes[:1])], 0.95))
    assert covered(np.array(found), truth) >= 0.95 - 2.5 * (0.95 * 0.05 / 300) ** 0.5
    assert seed_sd < 0.04 or covered(np.array(naive), truth) < 0.8


@pytest.mark.parametrize("alike", [1.0, 0.5, 0.0])
def test_the_bounds_over_seeds_cover_where_few_items_change(alike: float) -> None:
    """100 items, 2 % forgotten and 1 % learned; `alike`: the share of seeds' changes that all seeds have in common."""
    generator, found = np.random.default_rng(11), []
    for _ in range(300):
        side = np.where(generator.random(100) < 2 / 3, -1.0, 1.0)
        common, own = generator.random((1, 100)) < 0.03, generator.random((3, 100)) < 0.03
        found.append(change_bounds([of_seeds(side * np.where(generator.random(100) < alike, common, own))], 0.95))
    assert covered(np.array(found), -0.01) >= 0.95


@settings(max_examples=60)
@given(
    st.integers(1, 4).flatmap(
        lambda seeds: st.lists(
            st.lists(st.sampled_from([-1.0, 0.0, 1.0]), min_size=seeds, max_size=seeds), min_size=1, max_size=30
        )
    )
)
def test_seeds_are_never_surer_than_one_seed_with_their_mean_counts(items: list[list[float]]) -> None:
    changes = np.array(items).T
    seeds, n = changes.shape
    one = paired_score((changes < 0).sum() / seeds, (changes > 0).sum() / seeds, n, 0.95)
    low, high = change_bounds([of_seeds(changes)], 0.95)
    assert -1 <= low <= one.low + 1e-9
    assert one.high - 1e-9 <= high <= 1
    assert p_value([of_seeds(changes)], "low", 200, 0) >= sign_flip(changes.mean(axis=0), 200, 0)


@pytest.mark.parametrize("seeds", [1, 2, 3])
def test_seeds_that_change_nothing_are_not_certain_either(seeds: int) -> None:
    nothing = of_seeds(np.zeros((seeds, 8)))
    assert change_bounds([nothing], 0.95) == pytest.approx((-0.324, 0.324), abs=5e-4)
    assert p_value([nothing], "low", 200, 0) == 1.0
    assert p_value([of_seeds(np.repeat([[1.0, 1.0, 0.0]], seeds, axis=0))], "low", 200, 0) >= 0.5
    assert change_bounds([of_seeds(np.ones((seeds, 2)))], 0.95).low < 0.5


def test_the_deviation_between_seeds_is_that_of_their_means() -> None:
    table = np.array([[0.0, 1.0, 0.0, 1.0], [1.0, 1.0, 1.0, 1.0]])
    assert seed_deviation([of_seeds(table)]) == pytest.approx(np.std([0.5, 1.0], ddof=1))


Cells = list[tuple[int, int, int | None, int | None]]  # suite, cluster, right before, right after


def strata_of(cells: Cells) -> list[Stratum]:
    found = []
    for suite in sorted({cell[0] for cell in cells}):
        rows = [cell for cell in cells if cell[0] == suite]
        low = [(0 if after is None else after) - (1 if before is None else before) for *_, before, after in rows]
        high = [(1 if after is None else after) - (0 if before is None else before) for *_, before, after in rows]
        clusters = np.array([cluster for _, cluster, *_ in rows])
        found.append(Stratum(np.array([low], float), np.array([high], float), clusters))
    return found


MARK = st.sampled_from([0, 1, None])


@settings(max_examples=200)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 12), MARK, MARK), min_size=1, max_size=30),
    st.data(),
)
def test_an_ungraded_item_never_makes_an_interval_shorter_on_either_side(cells: Cells, data: st.DataObject) -> None:
    before = change_bounds(strata_of(cells), 0.95)
    i, side = data.draw(st.integers(0, len(cells) - 1)), data.draw(st.sampled_from([2, 3]))
    fewer = [tuple(None if (j, k) == (i, side) else mark for k, mark in enumerate(c)) for j, c in enumerate(cells)]
    after = change_bounds(strata_of(fewer), 0.95)  # type: ignore[arg-type]
    assert after.low <= before.low + 1e-9
    assert after.high >= before.high - 1e-9

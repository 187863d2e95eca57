"""Bounds of a change over clusters, suites and training seeds: simulated coverage, and properties."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.steps.report.clusters import Codes, bootstrap, cluster_sums, design_effect, largest_spread
from holdfast.steps.report.comparison import Stratum, change_bounds, p_value, seed_deviation
from holdfast.steps.report.statistics import Floats, paired_score, sign_flip
from report_data import covered


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

"""The search for the least share of rehearsal, the arms that it tries, and the arm that it adds to params.yaml."""

import itertools
import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from holdfast.cli.params_edit import add_arm, with_arm
from holdfast.cli.tune import default_arm, with_trained_arms
from holdfast.cli.tune_search import arm_at, equal_arm, grid, least_share, most_tried, name_at, same, share_of
from holdfast.common.errors import UserError
from toy_project import ROOT

shares = st.floats(0.01, 0.99).map(lambda share: round(share, 6))
precisions = st.floats(0.001, 1.0)


@given(shares, precisions)
def test_neighbouring_shares_are_within_the_precision(greatest: float, precision: float) -> None:
    points = grid(greatest, precision)
    assert points[0] == 0
    assert points[-1] == greatest
    gaps = [after - before for before, after in itertools.pairwise(points)]
    assert min(gaps) > 0
    assert max(gaps) <= precision + 4e-6
    assert most_tried(points) <= max(0, math.ceil(math.log2(greatest / precision)))


@given(shares, precisions, st.floats(0, 1.1))
def test_a_threshold_is_found_with_few_arms(greatest: float, precision: float, threshold: float) -> None:
    tried: list[float] = []

    def keeps(share: float) -> bool:
        tried.append(share)
        return share >= threshold

    points = grid(greatest, precision)
    found = least_share(points, keeps)
    assert len(tried) == len(set(tried))
    assert len(set(tried) - {0, greatest}) <= most_tried(points)
    if threshold > greatest:
        assert found == (greatest, None)
    elif threshold == 0:
        assert found == (None, 0)
    else:
        assert found.misses is not None
        assert found.keeps is not None
        assert found.misses < threshold <= found.keeps <= threshold + precision + 4e-6


@given(shares, precisions, st.randoms(use_true_random=False), st.integers(0, 12))
def test_any_answers_end_the_search_at_a_change(greatest: float, precision: float, luck: Any, most: int) -> None:
    answers: dict[float, bool] = {}

    def keeps(share: float) -> bool | None:
        if len(answers) == most + 2:
            return None
        answers[share] = luck.random() < 0.5
        return answers[share]

    points = grid(greatest, precision)
    found = least_share(points, keeps)
    if found.keeps is None:
        assert found.misses == greatest
    else:
        assert answers[found.keeps]
    assert found.misses is None or not answers[found.misses]
    if found.misses is not None and found.keeps is not None and most >= most_tried(points):
        assert points.index(found.keeps) == points.index(found.misses) + 1


@given(st.dictionaries(st.sampled_from("abc"), st.floats(0.01, 10), min_size=1), shares, st.floats(0.01, 10))
def test_other_sources_keep_their_ratio(others: dict[str, float], share: float, weight: float) -> None:
    arm = {"sources": {"rehearsal": weight} | others, "unit": "tokens"}
    tried = arm_at(arm, share)
    assert share_of(tried) == pytest.approx(share, abs=1e-5)
    assert tried["unit"] == "tokens"
    for name in others:
        part = tried["sources"][name] / (1 - share)
        assert part == pytest.approx(others[name] / math.fsum(others.values()), abs=2e-4)
    assert set(arm_at(arm, 0)["sources"]) == set(others)


def test_names_and_equal_arms() -> None:
    arm = {"sources": {"rehearsal": 0.83, "domain": 0.17}}
    assert [name_at("rehearsed", share) for share in (0.05, 0.42, 0.125)] == [
        "rehearsed_5",
        "rehearsed_42",
        "rehearsed_12_5",
    ]
    arms = {"domain_only": {"sources": {"domain": 3}}, "half": {"sources": {"domain": 1, "rehearsal": 1}}}
    assert equal_arm(arm_at(arm, 0), arms) == "domain_only"
    assert equal_arm(arm_at(arm, 0.5), arms) == "half"
    assert equal_arm(arm_at(arm, 0.4), arms) is None
    assert not same(arm_at(arm, 0.5) | {"train": {"learning_rate": 0.1}}, arms["half"])
    assert "size_from" not in arm_at(arm | {"size_from": "rehearsal"}, 0)


def test_averages_are_passed_over_and_arms_of_sweeps_are_arms() -> None:
    arm = {"sources": {"rehearsal": 0.83, "domain": 0.17}}
    sweep = {"arm": "rehearsed", "set": "sources.rehearsal", "values": [0.4]}
    values = {"mix": {}, "arms": {"rehearsed": arm, "mean": {"merge": {"rehearsed": 0.5}}}}
    assert default_arm(with_trained_arms(values)) == "rehearsed"
    swept = with_trained_arms(values | {"sweeps": {"share": sweep}})
    assert "sweeps" not in swept
    assert equal_arm(arm_at(arm, 0.4), swept["arms"]) == "rehearsed_share_40_pct"


ARM = {"sources": {"rehearsal": 0.4, "domain": 0.6}, "train": {"learning_rate": 2e-05, "budget": {"steps": 5}}}
TEXTS = {
    "block": "a: 1 # one\narms: # all\n  one:\n    sources: {domain: 1.0} # sure\n\n# of b\nb: 2\n",
    "last": "arms:\n    one:\n        sources:\n            domain: 1.0\n        note: |\n         two\n        n: 3",
    "flow": "arms: {one: {sources: {domain: 1.0}}, # first\n  two: {sources: {domain: 1.0}} # second\n}\nb: 2 # two\n",
    "inner flow": "arms:\n one: {sources: {domain: 1.0}}\nb: [1,\n 2]\n",
    "windows": "arms:\r\n  one:\r\n    sources: {domain: 1.0}\r\nb: 2\r\n",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_an_arm_is_added_and_all_else_stays(text: str) -> None:
    before, added = yaml.safe_load(text), with_arm(text, "one_40", ARM, "found")
    assert yaml.safe_load(added) == before | {"arms": before["arms"] | {"one_40": ARM}}
    start = next(at for at, (old, new) in enumerate(zip(text + "\0", added, strict=False)) if old != new)
    rest = text[start:]
    assert added.startswith(text[:start])
    assert added.endswith(rest)
    assert ("\n" in added.replace("\r\n", "")) == ("\r" not in text)


def test_params_yaml_keeps_its_comments_and_stays_as_it_is_where_the_arm_is_faulty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    path, text = tmp_path / "params.yaml", Path("params.yaml").read_text()
    path.write_text(text)
    path.chmod(0o600)
    add_arm("rehearsed_40", {"sources": {"rehearsal": 0.4, "domain": 0.6}}, "found", str(path))
    added = "  rehearsed_40: # found\n    sources: {rehearsal: 0.4, domain: 0.6}\n"
    assert path.read_text() == text.replace("\ntrain:\n", f"{added}\ntrain:\n")
    assert path.stat().st_mode & 0o777 == 0o600
    before = path.read_text()
    for name, arm, fault in (
        ("rehearsed_40", ARM, "is there already"),
        ("other", {"sources": {"nowhere": 1.0}}, "nowhere is not defined"),
    ):
        with pytest.raises(UserError, match=fault):
            add_arm(name, arm, "found", str(path))
        assert path.read_text() == before
    assert [file.name for file in tmp_path.iterdir()] == ["params.yaml"]

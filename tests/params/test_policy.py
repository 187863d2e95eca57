"""Licences: a declared policy stops the build before anything runs."""

from holdfast.inference.params import Model
from holdfast.params.policy import Policy, check_policy

OPEN = Model(path="a", licence="Apache-2.0", policy=["outputs_may_train", "commercial"])
CLOSED = Model(path="b", licence="Closed-1.0")


def check(require, models, generators=("base",), judges=("base",), used=(), sources=None):
    return check_policy(Policy(require=require), "base", generators, judges, models, used, sources or {})


def test_no_policy_asks_for_nothing():
    assert check([], {"base": CLOSED}) == []


def test_every_part_that_lacks_a_tag_is_named_with_its_role_and_licence():
    models = {"base": OPEN, "other": CLOSED, "idle": CLOSED}
    sources = {"mine": CLOSED, "unused": CLOSED}
    found = check(["outputs_may_train"], models, ["base", "other"], ["other"], ["mine", "mine", "rehearsal"], sources)
    assert len(found) == 2
    assert found[0].startswith("models.other.policy: lacks outputs_may_train, ")
    assert "(used as: generator, judge; licence: Closed-1.0)" in found[0]
    assert found[1].startswith("sources.mine.policy")
    assert check(["outputs_may_train", "commercial"], {"base": OPEN}) == []
    assert "lacks private, which" in check(["private", "commercial"], {"base": OPEN})[0]


def test_undefined_names_are_left_to_another_check():
    assert check(["x"], {}, ["nobody"], ["nobody"], ["nothing"]) == []

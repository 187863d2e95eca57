"""Keys of requests and fingerprints of models: different for different questions, and the same as in old journals."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.inference.ask import Request
from holdfast.inference.fingerprint import fingerprint
from holdfast.inference.params import Model, Sampling
from holdfast.inference.request import request_key
from server import SAMPLING

pytestmark = pytest.mark.usefixtures("empty_folder")

MESSAGES = st.lists(st.tuples(st.sampled_from(["user", "assistant"]), st.text(max_size=4)), min_size=1, max_size=3)


@given(st.lists(st.tuples(MESSAGES, st.integers(0, 3)), min_size=2, max_size=2, unique_by=str))
def test_different_questions_have_different_keys(pair):
    one, two = (Request("r", None, tuple(messages), seed, SAMPLING) for messages, seed in pair)
    assert request_key("f", one) != request_key("f", two)
    assert request_key("f", one) == request_key("f", one._replace(id="s")) != request_key("g", one)


def test_a_rendering_makes_another_key_and_none_leaves_those_of_old_journals():
    plain = Request("r", None, (("system", "Be kind."), ("user", "question 1")), 7, Sampling())
    assert request_key("f", plain).hex() == "1d3a121532217f8a0f068812da307239"
    assert request_key("f", Request("r", (1, 2), None, 7, Sampling())).hex() == "38b84a9f6e272140e1704c11571fcd77"
    shown = plain._replace(rendering='{"enable_thinking": true}')
    assert len({request_key("f", r) for r in (plain, shown, shown._replace(rendering='{"tools": []}'))}) == 3


def test_asking_how_likely_an_answer_is_has_a_key_of_its_own():
    written = Request("r", None, (("user", "a"), ("assistant", "b")), 0, Sampling(temperature=0.0, max_tokens=1))
    assert request_key("f", written) != request_key("f", written._replace(answer_logprob=True))


COMMIT = "0123456789abcdef0123456789abcdef01234567"


KNOWN = {  # of a journal that was written before: fingerprint, key of a drawn row, key of a scored one
    "folder": (
        {"path": "models/a", "engine_args": {"dtype": "float32", "max_num_seqs": 8}},
        "90003efd1efbbd13f7f397b9014c678c",
        "9403ad732eb0a81523bb8c5cd1be7297",
        "036460568ef9e88a2a5b50d3fbb68496",
    ),
    "folder with a chat template": (
        {"path": "models/a", "chat_template": "mine.jinja"},
        "4456d53e629a5f20129c576d9e2a79bf",
        "938f6fa88ea976aa37a4a1074c88f615",
        "8a17a54b5decb4905612dde4ec4b2d6b",
    ),
    "hub": (
        {"path": "org/name", "revision": COMMIT},
        "ee06796efbb9523ebc2a8bd85f8aa87c",
        "147791aa9c05cb66be7314fd82d9d148",
        "7e59025b01ae6bd520c54fb9a47bf58b",
    ),
    "endpoint": (
        {
            "path": "gpt",
            "engine": "openai",
            "url": "https://host/v1/",
            "engine_args": {"reasoning_effort": "low"},
        },
        "fd2dc615c4b5e6c569f9074fff6c0c03",
        "7d426040feacfac2bdbcd347cec94e18",
        "f564fc85dc05f2ce7bb43042408f324a",
    ),
}


@pytest.mark.parametrize("kind", KNOWN)
def test_answers_of_vllm_and_endpoints_in_old_journals_are_found(kind):
    Path("models/a").mkdir(parents=True)
    Path("models/a/config.json").write_text('{"model_type": "llama"}')
    Path("models/a/model.safetensors").write_text("weights")
    Path("mine.jinja").write_text("{{ messages }}")
    settings, model_hash, drawn, scored = KNOWN[kind]
    assert fingerprint("m", Model(**settings)) == model_hash
    assert request_key(model_hash, Request("r", None, (("user", "Hi"),), 7, Sampling())).hex() == drawn
    greedy = Sampling(temperature=0.0, max_tokens=1)
    assert request_key(model_hash, Request("r", (1, 2), None, 7, greedy, (3,), ("1", "2"))).hex() == scored


def test_old_answers_of_the_transformers_engine_are_not_found():
    Path("models/a").mkdir(parents=True)
    Path("models/a/config.json").write_text('{"model_type": "llama"}')
    Path("models/a/model.safetensors").write_text("weights")
    now = fingerprint("m", Model(path="models/a", engine="transformers"))
    assert now != "4843feb33e3b900276cc263ca211cb75", "they could depend on the other rows of a batch"

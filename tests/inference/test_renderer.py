"""Messages as token ids: what somebody wrote stays text, and a template's date does not change overnight."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.chat.control_tokens import added_tokens
from holdfast.chat.dates import FIXED_DATE
from holdfast.common.errors import UserError
from holdfast.inference.engines.renderer import Renderer
from holdfast.inference.params import Sampling
from holdfast.inference.request import Request
from small_tokenizers import tokenizer
from templates import SHAPES


@pytest.fixture(scope="module")
def renderer(tmp_path_factory: pytest.TempPathFactory) -> Renderer:
    folder: Path = tmp_path_factory.mktemp("dated")
    made = tokenizer(next(shape for shape in SHAPES.values() if "<|im_end|>" in shape.template))
    made.chat_template = (
        "<|im_start|>system\n{{ strftime_now('%Y-%m-%d') }}<|im_end|>\n{% for message in messages %}"
        "<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}<|im_start|>assistant\n"
    )
    made.save_pretrained(folder)
    return Renderer("dated", str(folder), None)


def ids(renderer: Renderer, text: str) -> list[int]:
    found = renderer.prompt_ids(Request("x", None, (("user", text),), 0, Sampling()))
    assert isinstance(found, list)
    return found


def test_a_template_that_asks_for_the_date_gets_the_same_one_every_day(renderer: Renderer) -> None:
    assert f"system\n{FIXED_DATE}<" in renderer.tokenizer.decode(ids(renderer, "Hi"))


@settings(deadline=None)
@given(st.text(st.sampled_from("\ue000\ue001\ue0020 1a"), max_size=12), st.text("\ue000\ue0010", max_size=6))
def test_spelled_special_tokens_stay_text_beside_any_other_characters(
    renderer: Renderer, before: str, after: str
) -> None:
    special = set(added_tokens(renderer.tokenizer).values())
    plain, spelled = ids(renderer, "a"), ids(renderer, f"{before}<|im_end|>{after}")
    assert [i for i in spelled if i in special] == [i for i in plain if i in special]
    assert f"user\n{before}<|im_end|>{after}<|im_end|>" in renderer.tokenizer.decode(spelled)


@pytest.mark.parametrize("flagged", [True, False])
@pytest.mark.parametrize("name", ["llama3", "deepseek_r1", "zephyr", "gemma", "mistral_v3"])
def test_turns_end_with_their_token_and_no_text_opens_one(tmp_path: Path, name: str, flagged: bool) -> None:
    """Whether or not the tokenizer flags its control tokens as special or names them among its special tokens."""
    fast = tokenizer(SHAPES[name])
    fast.save_pretrained(tmp_path)
    if not flagged:
        for file in ("tokenizer.json", "tokenizer_config.json"):
            path = tmp_path / file
            path.write_text(path.read_text().replace('"special": true', '"special": false'))
    renderer = Renderer(name, str(tmp_path), None)
    request = Request("x", None, (("user", "Hi"),), 0, Sampling())
    end = {"llama3": "<|eot_id|>", "gemma": "<end_of_turn>"}.get(name, "</s>")
    assert renderer.tokenizer.convert_ids_to_tokens(renderer.stop_ids(request)) == [end]
    known = added_tokens(renderer.tokenizer)
    tokens = {
        text: known[text]
        for text in known
        if text != "<think>" and text in SHAPES[name].prefix + SHAPES[name].assistant
    }
    assert tokens or name == "zephyr"
    for text in tokens:
        spelled, plain = ids(renderer, f"a {text} b"), ids(renderer, "a b")
        assert [i for i in spelled if i in tokens.values()] == [i for i in plain if i in tokens.values()]
        assert text in renderer.tokenizer.decode(spelled).partition("a ")[2].partition(" b")[0].split()


@pytest.mark.parametrize("name", sorted(SHAPES))
def test_an_answer_s_tokens_are_its_text_and_the_end_of_its_turn(tmp_path: Path, name: str) -> None:
    tokenizer(SHAPES[name]).save_pretrained(tmp_path)
    renderer = Renderer(name, str(tmp_path), None)
    talk = (("user", "Say it"), ("assistant", "first"), ("user", "Again"), ("assistant", "second one"))
    for messages in (talk, talk[:2]):
        request = Request("x", None, messages, 0, Sampling(), answer_logprob=True)
        try:
            found = renderer.answer_ids(request)
        except UserError:
            assert name == "no_template"
            return
        prompt = renderer.prompt_ids(Request("x", None, messages[:-1], 0, Sampling()))
        assert isinstance(prompt, list) == isinstance(found, tuple)
        if isinstance(found, tuple):
            ids, told = found
            text = renderer.tokenizer.decode(ids[-told:], skip_special_tokens=False)
            ends = renderer.stop_ids(request)
            assert messages[-1][1] in text
            assert messages[-2][1] not in text
            assert not ends or ids[-1] == ends[-1]
            assert ids[:-told] == prompt[: len(ids) - told]


def test_a_template_that_breaks_refuses_the_row_with_its_words(renderer: Renderer) -> None:
    whole = renderer.tokenizer.chat_template
    try:
        for broken, words in (("{{ raise_exception('no users') }}", "no users"), ("{{ messages + 1 }}", "concatenate")):
            renderer.tokenizer.chat_template = broken
            said = renderer.prompt_ids(Request("x", None, (("user", "Hi"),), 0, Sampling()))
            assert isinstance(said, str)
            assert words in said
    finally:
        renderer.tokenizer.chat_template = whole


@pytest.mark.parametrize("name", ["parts_only", "parts_after_role"])
def test_a_template_that_takes_parts_gets_the_user_s_words(tmp_path: Path, name: str) -> None:
    tokenizer(SHAPES[name]).save_pretrained(tmp_path)
    renderer = Renderer("parts", str(tmp_path), None)
    text = renderer.tokenizer.decode(ids(renderer, "What is <|im_end|> 3?"))
    assert "What is <|im_end|> 3?" in text
    assert "<image>" not in text


def test_a_template_without_the_user_s_text_refuses_every_row(tmp_path: Path) -> None:
    tokenizer(SHAPES["shouts"]).save_pretrained(tmp_path)
    said = Renderer("shouts", str(tmp_path), None).prompt_ids(Request("x", None, (("user", "Hi"),), 0, Sampling()))
    assert isinstance(said, str)
    assert "leaves out or changes the user's text" in said


@pytest.mark.parametrize(
    ("name", "rendering", "shown"),
    [
        ("chatml_tools", '{"tools": [{"type": "function", "function": {"name": "look_up"}}]}', "look_up"),
        ("chatml_no_think", '{"enable_thinking": false}', "<think>"),
        ("smollm_dated", '{"enable_thinking": true}', "Mode: /think"),
    ],
)
def test_tools_and_switches_reach_the_template(tmp_path: Path, name: str, rendering: str, shown: str) -> None:
    tokenizer(SHAPES[name]).save_pretrained(tmp_path)
    renderer = Renderer(name, str(tmp_path), None)
    request = Request("x", None, (("user", "Hi"),), 0, Sampling(), rendering=rendering)
    with_it, without = (
        renderer.prompt_ids(r) for r in (request, request._replace(rendering='{"enable_thinking": false}'))
    )
    assert shown in renderer.tokenizer.decode(with_it)
    assert (with_it == without) == (name == "chatml_no_think")

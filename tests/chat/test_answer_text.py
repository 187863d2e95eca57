"""What a chat template writes around an answer is no part of it."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.chat.answer_text import AnswerFrame, added_text, answer_frame, split_by_frame, split_by_guess
from holdfast.chat.template import Template
from small_tokenizers import tokenizer
from templates import SHAPES, Shape
from templates.blocks import CHATML, FI, OPEN

FRAMES = {
    "llama2": (" ", " ", "</s>"),
    "mistral_v1": (" ", "", "</s>"),
    "mistral_v3": (" ", "", "</s>"),
    "mistral_tekken": ("", "", "</s>"),
    "vicuna": (" ", "", "</s>"),
    "deepseek_plain": (" ", "", "</s>"),
    "falcon": (" ", "", None),
    "alpaca": ("", "\n\n", None),
    "parts_after_role": (" ", "", "<end_of_utterance>"),
    "command_a": ("<|START_RESPONSE|>", "", "<|END_RESPONSE|>"),
    "command_a_opens_twice": ("", "", "<|END_RESPONSE|>"),
    "harmony": ("<|channel|>final<|message|>", "", "<|return|>"),
    "deepseek_r1": ("", "", "</s>"),  # the generation prompt opens a thought, which a finished answer no longer has
    "needs_system": ("", "", "<|im_end|>"),
    "olmo": ("", "\n", None),
    "chatml_open_last_turn": ("", "", None),  # closes a turn when another follows
    "refuses_lone_user": ("", "", None),  # refuses to be asked at all
    "no_template": ("", "", None),
}


@pytest.mark.parametrize("name", sorted(name for name, shape in SHAPES.items() if shape.prefix or name in FRAMES))
def test_the_frame_of_every_template(name: str) -> None:
    found = answer_frame(Template(tokenizer(SHAPES[name])))
    shape = SHAPES[name]
    expected = FRAMES.get(name, ("", "", shape.stop))
    assert found == AnswerFrame(*expected)


@pytest.mark.parametrize("words", ["unigram", "prefix space"])
def test_a_space_that_the_tokenizer_puts_after_special_tokens_is_no_part_of_the_answer(words: str) -> None:
    template = Template(tokenizer(SHAPES["mistral_tekken"]._replace(words=words)))
    prompt = [{"role": "user", "content": "Hi"}]
    asked = template.ids(template.text(prompt, opening=True))
    whole = template.ids(template.text([*prompt, {"role": "assistant", "content": "Yes."}], opening=False))
    written = added_text(template.tokenizer, asked, whole[len(asked) : -1])
    assert written == " Yes."
    assert split([written], "stop", answer_frame(template))["text"].to_list() == ["Yes."]


def test_an_empty_thought_is_the_template_s_where_a_model_may_think() -> None:
    thought = "<think>\n\n</think>\n\n"
    template = CHATML.replace(
        "{{ m.content }}",
        "{% if m.role == 'assistant' and loop.last %}" + thought.replace("\n", "{{ '\n' }}") + FI + "{{ m.content }}",
    )
    assert OPEN in template
    frame = answer_frame(Template(tokenizer(Shape(template))))
    assert frame.before == thought
    texts = [thought + "Yes.", "<think>\nWell\n</think>\n\nYes.", "Yes."]
    assert split(texts, "stop", frame)["text"].to_list() == ["Yes.", *texts[1:]]


def split(texts: list[str], finish_reason: str, frame: AnswerFrame | None = None) -> pl.DataFrame:
    table = pl.DataFrame(
        {"text": texts, "finish_reason": finish_reason}, schema={"text": pl.String, "finish_reason": pl.String}
    )
    parts = split_by_frame(pl.lit(frame.before), pl.lit(frame.after)) if frame else split_by_guess()
    return table.select(**parts)


def test_exactly_the_frame_goes() -> None:
    frame = AnswerFrame(" ", " ", "</s>")
    texts = [" A b ", "  def f():", "no ", "", " ", "  "]
    assert split(texts, "stop", frame)["text"].to_list() == ["A b", " def f():", "no", "", "", ""]
    assert split(texts, "length", frame)["text"].to_list() == ["A b ", " def f():", "no ", "", "", " "]
    assert split(["    code"], "stop", AnswerFrame("", "", None))["text"].to_list() == ["    code"]


@given(
    st.lists(st.text(" \nab.", max_size=6)),
    st.sampled_from(["stop", "length"]),
    st.sampled_from([("", ""), (" ", " "), ("\n", ""), ("a", "b")]),
)
def test_nothing_is_lost(texts: list[str], finish_reason: str, around: tuple[str, str]) -> None:
    for frame in (AnswerFrame(*around, None), None):
        found = split(texts, finish_reason, frame)
        raw = found["template_before"] + found["text"] + found["template_after"]
        assert raw.to_list() == texts
    for text, framed in zip(
        texts,
        split([f"{around[0]}{text}{around[1]}" for text in texts], "stop", AnswerFrame(*around, None))["text"],
        strict=True,
    ):
        assert framed == text


def test_a_missing_answer_stays_missing() -> None:
    table = pl.DataFrame(
        {"text": [None], "finish_reason": ["error"]}, schema={"text": pl.String, "finish_reason": pl.String}
    )
    for parts in (split_by_frame(pl.lit(" "), pl.lit(" ")), split_by_guess()):
        assert table.select(**parts)["text"].to_list() == [None]


@pytest.mark.parametrize(
    ("raw", "answer"),
    [
        (" Yes.", "Yes."),
        (" Yes. ", "Yes."),
        ("\n\nYes.", "Yes."),
        ("    return x", "    return x"),
        ("  - a", "  - a"),
        ("\tx", "\tx"),
        ("\n    x", "\n    x"),
        ("Yes.\n", "Yes.\n"),
        ("Yes.  ", "Yes.  "),
        ("", ""),
        (" ", " "),
    ],
)
def test_behind_an_endpoint_a_lone_space_goes_and_indentation_stays(raw: str, answer: str) -> None:
    assert split([raw], "stop")["text"].to_list() == [answer]

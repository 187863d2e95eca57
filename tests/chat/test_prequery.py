"""The pre-query prefix, over many shapes of chat templates."""

import datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import processors

from holdfast.chat.control_tokens import added_tokens
from holdfast.chat.prequery import derive, later_turn
from holdfast.chat.template import Refused, Template
from small_tokenizers import tokenizer
from templates import SHAPES
from templates.blocks import CHATML

DATE = datetime.date(2024, 3, 5)
GOOD = sorted(name for name, shape in SHAPES.items() if shape.prefix)
BAD = sorted(name for name, shape in SHAPES.items() if shape.refused)
PARTS = ("parts_only", "parts_after_role")
SYSTEM = {"role": "system", "content": "Be brief."}


def template_of(name: str) -> Template:
    return Template(tokenizer(SHAPES[name]), date=DATE)


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def rendered_ids(template: Template, messages: list[dict[str, Any]]) -> list[int]:
    """What the model sees, by transformers alone."""
    try:
        return _apply(template, messages, True)
    except Exception:  # templates that want an answer after the question: what stands before the answer is compared
        return _apply(template, [*messages, {"role": "assistant", "content": "Well"}], False)


def _apply(template: Template, messages: list[dict[str, Any]], opening: bool) -> list[int]:
    if template.parts:
        messages = [m | {"content": [{"type": "text", "text": m["content"]}]} for m in messages]
    moment = datetime.datetime.combine(DATE, datetime.time())
    return template.tokenizer.apply_chat_template(
        messages, add_generation_prompt=opening, return_dict=False, strftime_now=moment.strftime
    )


def test_there_are_at_least_thirty_shapes() -> None:
    assert len(GOOD) >= 30
    assert len(BAD) >= 8


@pytest.mark.parametrize("name", GOOD)
def test_prefix_stops_and_opening(name: str) -> None:
    shape, template = SHAPES[name], template_of(name)
    prefix = derive(template, [], [template.tokenizer.eos_token_id])
    assert (prefix.prefix_text, prefix.boundary) == (shape.prefix, shape.boundary)
    assert prefix.assistant_text == shape.assistant
    assert prefix.stop_text == shape.stop_text
    stops = [shape.stop, "</s>"] if shape.stop not in (None, "</s>") else ["</s>"]
    assert template.tokenizer.convert_ids_to_tokens(prefix.stop_ids) == stops
    assert template.tokenizer.decode(prefix.prefix_ids).strip() == shape.prefix.strip()


TEXTS = st.one_of(
    st.text(min_size=1, max_size=40),
    st.text(st.sampled_from("ab :)(\n.,'\"<|>[]/#?9é你🙂_-"), min_size=1, max_size=20),
    st.lists(
        st.sampled_from(["What", "is", "3 + 4", "code:\n\n```\nx\n```", "naïve", "你好", "USER", "###"]), min_size=1
    ).map(" ".join),
)


@pytest.mark.parametrize("name", GOOD)
def test_random_texts_are_tokenised_as_the_template_does(name: str) -> None:
    template = template_of(name)
    if name in PARTS:
        template = template.with_parts()
    prefix = derive(template, [], [])
    special = added_tokens(template.tokenizer)

    @settings(max_examples=100, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(TEXTS)
    def holds(text: str) -> None:
        text = text.strip()
        if not text or any(token in text for token in special) or "\ufffd" in text:
            return
        whole = rendered_ids(template, [user(text)])
        written = template.ids(prefix.prefix_text + prefix.boundary + text + prefix.suffix_text)
        assert whole[: len(prefix.prefix_ids)] == prefix.prefix_ids
        if name == "refuses_lone_user":
            assert whole[: len(written) - 1] == written[:-1]
        else:
            assert whole == written
        if SHAPES[name].stop:
            assert prefix.stop_ids[0] in whole[len(prefix.prefix_ids) :]

    holds()


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_derived_is_refused_with_a_reason(name: str) -> None:
    with pytest.raises(Refused, match=SHAPES[name].refused):
        derive(template_of(name), [], [])


@pytest.mark.parametrize("name", GOOD)
def test_system_messages_are_in_the_prefix_or_refused(name: str) -> None:
    template, can = template_of(name), SHAPES[name].system
    if can:
        prefix = derive(template, [SYSTEM], [])
        assert "Be brief." in prefix.prefix_text
        assert (
            rendered_ids(prefix_template(template, name), [SYSTEM, user("Hi")])[: len(prefix.prefix_ids)]
            == prefix.prefix_ids
        )
    else:
        with pytest.raises(Refused, match="ignores the system message" if can is None else "no system role"):
            derive(template, [SYSTEM], [])


def prefix_template(template: Template, name: str) -> Template:
    return template.with_parts() if name in PARTS else template


def test_needs_system_is_derived_with_one() -> None:
    prefix = derive(template_of("needs_system"), [SYSTEM], [])
    assert prefix.prefix_text == "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n"


@pytest.mark.parametrize("name", GOOD)
def test_later_turns_are_tokenised_as_the_template_does(name: str) -> None:
    template = prefix_template(template_of(name), name)
    before = [user("Hi there"), {"role": "assistant", "content": "Hello."}]
    ids = later_turn(template, before)
    for text in ("What is 3 + 4?", "ok", "9 lives"):
        assert rendered_ids(template, [*before, user(text)])[: len(ids)] == ids
    assert len(ids) > len(derive(template, [], []).prefix_ids)


def test_template_options_reach_the_template() -> None:
    plain = template_of("chatml_no_think")
    thinking = Template(plain.tokenizer, {"enable_thinking": True})
    assert derive(thinking, [], []).assistant_text == "<|im_start|>assistant\n"
    tools = [{"type": "function", "function": {"name": "look_up"}}]
    with_tools = Template(template_of("chatml_tools").tokenizer, {"tools": tools})
    assert "look_up" in derive(with_tools, [], []).prefix_text


@pytest.mark.parametrize("words", ["unigram", "prefix space"])
@pytest.mark.parametrize(
    "name", ["llama2", "mistral_v1", "mistral_v3", "vicuna", "chatml", "gemma", "llama3", "alpaca"]
)
def test_tokenizers_that_put_a_space_before_every_text_give_the_same(name: str, words: str) -> None:
    shape = SHAPES[name]
    template = Template(tokenizer(shape._replace(words=words)), date=DATE)
    prefix = derive(template, [], [])
    assert (prefix.prefix_text, prefix.boundary, prefix.assistant_text) == (
        shape.prefix,
        shape.boundary,
        shape.assistant,
    )
    for text in ("Hello there", "9 is", "(x)", "<b>", "#1"):
        assert rendered_ids(template, [user(text)])[: len(prefix.prefix_ids)] == prefix.prefix_ids


CONTENT = "{{ m.content }}"


@pytest.mark.parametrize(
    ("written", "kinds"),
    [
        (CONTENT, []),
        ("{{ m.content | trim }}", []),
        (
            "{{ m.content.split() | join(' ') }}",
            ["runs of spaces", "line breaks", "blank lines", "indentation", "tabs"],
        ),
        ("{{ m.content | replace('\t', '    ') }}", ["tabs"]),
        ("{{ m.content.split('\\\\') | join('') }}", ["backslashes"]),
        ("{{ m.content.splitlines() | join('\n') }}", ["Windows line ends"]),
    ],
)
def test_changes_of_the_user_s_text_are_reported(written: str, kinds: list[str]) -> None:
    template = Template(tokenizer(SHAPES["chatml"]._replace(template=CHATML.replace(CONTENT, written))))
    notes = derive(template, [], []).notes
    said = [note.removeprefix("the chat template changes ").partition(" in the user's text: ")[0] for note in notes]
    assert [kind for kind in said if kind in kinds] == kinds
    assert kinds or not said


def test_a_tokenizer_that_starts_texts_with_bos_where_the_template_does_not_is_reported() -> None:
    for name, noted in (("chatml", True), ("llama3", False)):
        fast = tokenizer(SHAPES[name])
        assert not derive(Template(fast), [], []).notes
        bos = [("<s>", fast.bos_token_id)]
        fast.backend_tokenizer.post_processor = processors.TemplateProcessing("<s> $A", special_tokens=bos)
        assert fast("a")["input_ids"][0] == fast.bos_token_id
        assert [note for note in derive(Template(fast), [], []).notes if "puts <s> at the start" in note] == (
            derive(Template(fast), [], []).notes
        )
        assert bool(derive(Template(fast), [], []).notes) == noted


def test_white_space_around_the_text() -> None:
    assert derive(template_of("llama3"), [], []).strips
    assert not derive(template_of("chatml"), [], []).strips


def test_without_a_date_templates_get_todays() -> None:
    template = Template(template_of("llama3_dated").tokenizer)
    assert datetime.datetime.now().strftime("%Y") in derive(template, [], []).prefix_text


def test_tokenizers_without_offsets_give_the_same() -> None:
    class Slow:
        """A tokenizer that hides its offsets."""

        is_fast = False

        def __init__(self, fast: Any) -> None:
            self.fast = fast

        def __call__(self, text: str, **options: Any) -> Any:
            return self.fast(text, **options)

        def __getattr__(self, name: str) -> Any:
            return getattr(self.fast, name)

    for name in ("chatml", "llama2", "llama3", "gemma", "vicuna"):
        template = template_of(name)
        assert derive(Template(Slow(template.tokenizer), date=DATE), [], []) == derive(template, [], [])


@pytest.mark.parametrize("name", GOOD)
def test_fitted_templates_show_every_text(name: str) -> None:
    fitted = template_of(name).fitted()
    assert fitted.parts == (name in PARTS)
    talk = [user("Say it"), {"role": "assistant", "content": "Well"}]
    rendered = fitted.text(talk, opening=False)
    assert "Say it" in rendered
    assert "Well" in rendered


def test_a_template_without_the_user_s_text_is_refused_and_one_that_refuses_is_kept() -> None:
    with pytest.raises(Refused, match="leaves out or changes the user's text"):
        template_of("shouts").fitted()
    assert not template_of("broken").fitted().parts
    assert not template_of("needs_system").fitted().parts

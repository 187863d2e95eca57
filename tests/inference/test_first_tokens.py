"""Log-probabilities of an answer's first token are read where the model's own chat template puts the answer."""

import math
from pathlib import Path

import pytest

from chain import ask_apart
from holdfast.chat.template import Refused, Template
from holdfast.common.errors import UserError
from holdfast.inference.engines.renderer import Renderer
from holdfast.inference.params import Sampling
from holdfast.inference.request import Request, request_key
from models import taught_model
from small_tokenizers import tokenizer
from templates import SHAPES

DIGITS = ("1", "2", "3", "4", "5")
ASKED = Request("x", None, (("user", "Hi"),), 0, Sampling(temperature=0.0, max_tokens=1), logprobs_of=DIGITS)
THINKS = {"deepseek_r1", "chatml_no_think"}  # the prompt has a thought, which a finished answer no longer has


def answered(template: Template, digit: str) -> list[int]:
    """A conversation whose answer is the digit, as the model was trained on it."""
    talk = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": digit}]
    return template.ids(template.text(talk, opening=False))


def test_the_digits_follow_the_prompt_as_in_training_for_every_template(tmp_path: Path) -> None:
    opened = set()
    for name, shape in SHAPES.items():
        if name in THINKS:
            continue
        tokenizer(shape).save_pretrained(tmp_path / name)
        renderer = Renderer(name, str(tmp_path / name), None)
        try:
            expected = [answered(renderer.template(None), digit) for digit in DIGITS]
            ids = renderer.prompt_ids(ASKED)
        except (Refused, UserError):  # refuses to be asked, or has no template
            continue
        if isinstance(ids, str):
            continue
        tokens = renderer.first_tokens(ASKED)
        found = [[*ids, token] for token in tokens]
        assert found == [whole[: len(ids) + 1] for whole in expected], name
        opened |= {name} if ids != renderer.prompt_ids(ASKED._replace(logprobs_of=())) else set()
    assert "mistral_v1" in opened


@pytest.mark.engine
def test_a_judge_whose_template_has_a_space_before_the_answer_is_read_after_it(tmp_path: Path) -> None:
    taught = {"Good?": "5", "Bad?": "1", "Fair?": "3"}
    path = str(taught_model("mistral_v1", taught))
    asked = [
        {"id": question, "messages": [["user", question]], "seed": 0, "logprobs_of": list(DIGITS)}
        | {"sampling": {"temperature": 0.0, "max_tokens": 1}}
        for question in taught
    ]
    engine_args = {"vllm": {"dtype": "float32", "max_model_len": 128}, "transformers": {"dtype": "float32"}}
    cases = [
        {"model": {"path": path, "engine": e, "engine_args": a}, "requests": asked} for e, a in engine_args.items()
    ]
    for answers in ask_apart(tmp_path, cases):
        assert not isinstance(answers, str), answers
        for question, logprobs in zip(answers["id"], answers["logprobs"].to_list(), strict=True):
            probabilities = dict(zip(DIGITS, map(math.exp, logprobs), strict=True))
            assert probabilities[taught[question]] > 0.9


def test_only_what_was_read_in_another_place_is_asked_again() -> None:
    assert request_key("f", ASKED, opened=True) != request_key("f", ASKED)
    plain = ASKED._replace(logprobs_of=())
    assert request_key("f", plain, opened=True) == request_key("f", plain)
    given = ASKED._replace(messages=None, prompt_ids=(1, 2))
    assert request_key("f", given, opened=True) == request_key("f", given)

"""The pre-query prefix from every chat template that Axolotl brings along, which others wrote."""

import datetime
import re
import subprocess
from pathlib import Path

import pytest
from tokenizers import AddedToken

from holdfast.chat.answer_text import answer_frame
from holdfast.chat.prequery import derive
from holdfast.chat.template import Template
from models import ROOT
from small_tokenizers import tokenizer
from templates import Shape

CONTROL = re.compile(r"<[|｜]?[A-Za-z_▁]+\d*[|｜]?>|\[/?[A-Z_]+\]|\[\|[a-z]+\|\]|<\|[^|<>]+\|?>")

pytestmark = pytest.mark.engine  # the templates are in the training environment


@pytest.fixture(scope="module")
def templates() -> dict[str, Template]:
    found = subprocess.run([ROOT / "envs/in-env", "--path", "training"], capture_output=True, text=True, check=True)
    folder = Path(found.stdout.strip()) / "lib/python3.11/site-packages/axolotl/utils/chat_templates/templates"
    made = {}
    for file in sorted(folder.glob("*.jinja")):
        source = file.read_text(encoding="utf-8")
        plain = "spm" if file.stem in ("mistral_v1", "mistral_v2v3") else "llama3"
        fast = tokenizer(Shape(source, words=plain))
        tokens = set(CONTROL.findall(source)) - {"<s>", "</s>"}
        fast.add_tokens([AddedToken(token, special=True, normalized=False) for token in sorted(tokens)])
        made[file.stem] = Template(fast, date=datetime.date(2024, 7, 26))
    return made


def test_every_template_has_a_prefix_and_the_whole_opening_of_the_assistant_s_turn(
    templates: dict[str, Template],
) -> None:
    assert len(templates) >= 30
    found = {name: derive(template, [], []) for name, template in templates.items()}
    opening = "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>"
    assert found["command_a"].assistant_text == f"{opening}<|START_RESPONSE|>"
    assert found["command_a_rag"].assistant_text == opening
    for prefix in found.values():
        assert prefix.suffix_text.endswith(prefix.assistant_text)
        assert not prefix.notes


def test_what_they_write_around_an_answer_is_found(templates: dict[str, Template]) -> None:
    frames = {name: answer_frame(template) for name, template in templates.items()}
    around = {name: (frame.before, frame.after) for name, frame in frames.items() if frame.before or frame.after}
    assert around == {
        "command_a_rag": ("<|START_RESPONSE|>", ""),
        "command_a_tool_use": ("<|START_RESPONSE|>", ""),
        "jamba": (" ", ""),
        "llava": (" ", " "),
        "mistral_v1": (" ", ""),
        "mistral_v2v3": (" ", ""),
        "qwen3": ("</think>\n\n", ""),  # Axolotl's has the generation prompt open an empty thought
        "qwen3_5": ("</think>\n\n", ""),
    }

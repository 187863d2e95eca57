"""What Axolotl is given renders, without any option, what the other steps render."""

import datetime

import pytest

from holdfast.chat.dates import FIXED_DATE
from holdfast.chat.template import Refused, Template
from holdfast.chat.training_template import training_template
from small_tokenizers import tokenizer
from templates import HEAD, LLAMA3, SHAPES, Shape

DATE = datetime.date.fromisoformat(FIXED_DATE)
GOOD = sorted(name for name, shape in SHAPES.items() if shape.prefix)
TALK = [
    {"role": "user", "content": "What day is it?"},
    {"role": "assistant", "content": "Friday"},
    {"role": "user", "content": "9"},
    {"role": "assistant", "content": ""},
]


@pytest.mark.parametrize("name", GOOD)
def test_it_renders_what_the_other_steps_render(name: str) -> None:
    template = Template(tokenizer(SHAPES[name]), date=DATE)
    source = training_template(template)
    assert (source is None) == (not template.fitted().parts and "strftime_now" not in SHAPES[name].template)
    expected = template.fitted().text(TALK, opening=False)
    assert template.tokenizer.apply_chat_template(TALK, chat_template=source, tokenize=False) == expected


@pytest.mark.parametrize(
    "dated",
    [
        "{{ strftime_now('100%% %Y-%m-%d, %-d %B %A %H:%M %%Y') }}",
        '{% set day = strftime_now("%d %b %Y") %}\n\n  {% if true %}  {{ day }}{% endif %}\n',
        "\n{%- macro head(f) %}On {{ strftime_now(f) }}{% endmacro %}{% for m in [1] %}{{ head('%j') }}{% endfor %}",
        "  \n{{ strftime_now('%d') if strftime_now is defined else 'never' }}",
    ],
)
def test_any_use_of_the_date_gives_the_same_text(dated: str) -> None:
    template = Template(tokenizer(Shape(dated + HEAD + LLAMA3, words="llama3")), date=DATE)
    source = training_template(template)
    expected = template.text(TALK, opening=False)
    assert template.tokenizer.apply_chat_template(TALK, chat_template=source, tokenize=False) == expected


def test_a_template_without_the_words_cannot_be_trained_on() -> None:
    with pytest.raises(Refused, match="leaves out or changes the user's text"):
        training_template(Template(tokenizer(SHAPES["shouts"])))

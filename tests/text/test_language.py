"""Languages of texts: the same on one core and on several."""

import polars as pl
import pytest

from holdfast.text import language

TEXTS = [
    "What is the capital of the country that lies between France and Spain?",
    "Wie heißt die Hauptstadt des Landes, das zwischen Frankreich und Spanien liegt?",
    "42",
    None,
    "",
]


def test_many_texts_are_told_on_several_cores_as_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = pl.Series("said", TEXTS * 40, dtype=pl.String)
    alone = language.languages(texts)
    monkeypatch.setattr(language, "_ROWS_WORTH_A_PROCESS", 50)
    assert language.languages(texts).equals(alone)
    assert alone.name == "said"
    assert alone[:5].to_list() == ["en", "de", None, None, None]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("WHAT IS THE CAPITAL OF FRANCE?", "en"),
        ("Quelle est\nla capitale\nde la France ?", "fr"),
        ("日本の首都はどこですか？", "ja"),
        ("def f(x): return x", None),
        ("bonk " * 3, None),
        ("\0\r\u2028", None),
    ],
)
def test_only_what_is_clear_gets_a_language(text: str, code: str | None) -> None:
    assert language.language(text) == code

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


KEPT = [  # wanted, text: the request is in the wanted language, or it cannot be told
    ("en", "Translate into English: Wie heißt die Hauptstadt von Frankreich, und warum ist sie so bekannt?"),
    ("en", "What does 'je ne sais quoi que ce soit de plus important dans la vie' mean?"),
    ("en", "What does the German phrase „Wer anderen eine Grube gräbt, fällt selbst hinein“ mean?"),
    ("en", "Which language is this?\n\nIl fait très beau aujourd'hui et nous allons nous promener au bord de la mer."),
    ("en", "Il fait très beau aujourd'hui et nous allons au bord de la mer.\nTranslate this into English, please."),
    ("en", "Correct this (Ich habe gestern mit mein Freund in die Stadt gegangen und habe viel gekauft)"),
    ("en", "解释一下什么是光合作用。 What does this sentence ask?"),
    ("en", "```\n# Diese Funktion berechnet die Summe aller Zahlen in einer Liste\nsum(x)\n```\nExplain."),
    ("de", "Übersetze ins Deutsche: The quick brown fox jumps over the lazy dog and runs away."),
    ("de", "Was bedeutet der Satz «The early bird catches the worm, but the second mouse gets the cheese»?"),
    ("fr", "Traduis en français : The meeting has been moved to next Tuesday because of the strike."),
    ("es", '¿Qué significa la frase "It is raining cats and dogs in the whole country today" en español?'),
    ("ja", "次の文を日本語に訳してください：The train leaves the station at seven in the morning."),
    ("zh", "请把下面的句子翻译成中文：The train leaves the station at seven in the morning every day."),
]
REJECTED = [
    ("en", "Wie heißt die Hauptstadt von Frankreich, und warum ist sie so bekannt?"),
    ("en", "Beantworte die folgende Frage in ganzen Sätzen: Wie heißt die Hauptstadt von Frankreich?"),
    ("en", "Schreibe ein kurzes Gedicht über den Herbst.\nEs soll sich reimen und vier Zeilen haben."),
    ("en", "Was bedeutet der Satz «The early bird catches the worm» auf Deutsch, und woher kommt er eigentlich?"),
    ("en", "Explique pourquoi le ciel est bleu pendant la journée et rouge le soir."),
    ("en", "¿Cuáles son los síntomas más comunes de la gripe en los niños pequeños?"),
    ("en", "日本の首都はどこですか？そして、その人口はどのくらいですか？"),
    ("de", "What is the capital of the country that lies between France and Spain?"),
    ("fr", "What is the capital of the country that lies between France and Spain?"),
]


@pytest.mark.parametrize(("wanted", "text"), KEPT)
def test_the_language_of_a_request_is_not_that_of_what_it_quotes(wanted: str, text: str) -> None:
    assert not language.asks_in_another(text, wanted)


@pytest.mark.parametrize(("wanted", "text"), REJECTED)
def test_a_request_in_another_language_is_told(wanted: str, text: str) -> None:
    assert language.asks_in_another(text, wanted)

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


ANSWERED = [  # rejected, instruction, answer
    (
        False,
        "Translate to French: The meeting has been moved to Tuesday.",
        "La réunion a été déplacée à mardi prochain.",
    ),
    (False, "Übersetze: Guten Morgen, wie haben Sie geschlafen?", "Good morning, how did you sleep last night?"),
    (False, "Write a short poem about autumn in German.", "Die Blätter fallen leise, der Wind weht durch das Land."),
    (False, "Escribe un saludo en francés para mi abuela.", "Chère grand-mère, je te souhaite une très bonne journée."),
    (False, "请把下面的句子翻译成英文。", "The train leaves the station at seven in the morning every day."),
    (False, "次の文をドイツ語にしてください。", "Der Zug fährt jeden Morgen um sieben Uhr vom Bahnhof ab."),
    (
        False,
        "Correct the mistakes (Ich habe gestern mit mein Freund in die Stadt gegangen).",
        "Ich bin gestern mit meinem Freund in die Stadt gegangen.",
    ),
    (
        False,
        'Continue the story.\n\n"Es war einmal ein König, der hatte drei Töchter."',
        "Die jüngste Tochter war so schön, dass sich die Sonne selbst wunderte.",
    ),
    (
        False,
        "Il fait très beau aujourd'hui et nous allons nous promener au bord de la mer. What does this text say?",
        "The weather is lovely today and we are going for a walk by the sea.",
    ),
    (
        False,
        "What does 'je ne sais quoi' mean?",
        "It means a quality that is hard to name: «je ne sais quoi, mais il y a quelque chose de spécial ici».",
    ),
    (
        True,
        "How long should I boil an egg so that it is soft inside?",
        "Legen Sie das Ei sechs Minuten in kochendes Wasser.",
    ),
    (
        True,
        "Wie lange muss ein Ei kochen, damit es innen weich bleibt?",
        "Put the egg into boiling water for six minutes, then let it cool down.",
    ),
    (
        True,
        "¿Cuáles son los síntomas más comunes de la gripe en los niños?",
        "The most common symptoms are fever, cough and a sore throat.",
    ),
]


@pytest.mark.parametrize(("rejected", "instruction", "answer"), ANSWERED)
def test_an_answer_in_another_language_is_rejected_only_where_it_was_not_asked_for(
    rejected: bool, instruction: str, answer: str
) -> None:
    instructions = pl.LazyFrame({"instruction_id": ["i"], "instruction": [instruction]}).with_columns(
        messages=pl.concat_list(pl.struct(role=pl.lit("user"), content="instruction"))
    )
    generations = pl.LazyFrame({"candidate_id": ["c"], "instruction_id": ["i"], "response": [answer]})
    assert (language.differ(instructions, generations).collect().height == 1) is rejected


def test_a_system_prompt_may_set_the_language_of_answers() -> None:
    turns = [
        {"role": "system", "content": "Always answer in German."},
        {"role": "user", "content": "How do I boil eggs?"},
    ]
    instructions = pl.LazyFrame({"instruction_id": ["i"], "instruction": [turns[1]["content"]], "messages": [turns]})
    answer = "Legen Sie das Ei sechs Minuten lang in kochendes Wasser, dann ist es weich."
    generations = pl.LazyFrame({"candidate_id": ["c"], "instruction_id": ["i"], "response": [answer]})
    assert language.differ(instructions, generations).collect().is_empty()

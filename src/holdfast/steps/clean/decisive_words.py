"""Do two texts with nearly the same words ask the same? Only if they differ in no content word.

Instructions made from one pattern ("What are the symptoms of …?", "Translate into French: …") share most of their
n-grams but are different tasks: they differ in a number, a name or another content word. A difference in articles,
polite phrases, typing errors, plurals, punctuation or the order of clauses does not make another task.
"""

from collections import defaultdict

import numpy as np
import numpy.typing as npt
import polars as pl

from holdfast.text.words import spread

# Stop words of requests. Not among them, because they make another task: negations, quantities, comparisons,
# "from" and "to", "or", "before" and "after", "who", "when", "where", "why", "how".
_STOP_WORD_LISTS = """
    a an the this that these those it its s ve ll re d m
    is are was were be been being am do does did have has had
    can could would should will shall may might
    i me my you your yours we us our
    of in on at for by as about regarding concerning upon within into and so then also too
    what which there here now today currently
    please kindly thanks thank hi hello hey dear just simply really quite very much well ok okay
    want need like help let tell give know wondering appreciate grateful able
    der das den dem des ein eine einen einem einer ist sind bitte danke hallo und mir mich du sie wir uns
    le la les un une du de est sont plaît plait merci bonjour et je tu nous moi
    el los las una unos unas es por favor gracias hola y yo tú usted nos
    请 您 你 我 的 了 吗 呢 吧 啊 呀 下
"""

_STOP_WORDS = {*_STOP_WORD_LISTS.split(), *"#`|~\\"}  # and marks of formatting, but no operators
_SHORTEST_MISSPELT = 4  # letters; shorter words differ by one letter from many others
_SHORTEST_RARE = 8  # letters; longer words that differ by one letter are one word, even if both are rare
_RARE, _FREQUENT = 2, 5  # occurrences of a typing error at most, and of the word that is meant at least
_COUNTERS = 1 << 22
Counts = npt.NDArray[np.int64]


def no_words() -> Counts:
    """Counters of words by hash, all zero; different words may share a counter."""
    return np.zeros(_COUNTERS, dtype=np.int64)


def count_words(counts: Counts, lists: pl.Series) -> None:
    """Add the words of these texts to `counts`."""
    np.add.at(counts, _counter(lists.explode(empty_as_null=False)), 1)


def _counter(words: pl.Series) -> npt.NDArray[np.int64]:
    return (words.hash(seed=0).to_numpy() & np.uint64(_COUNTERS - 1)).astype(np.int64)


def task_hashes(lists: pl.Series, counts: Counts) -> npt.NDArray[np.uint64]:
    """A hash for each text that is equal for texts without different content words.

    `lists`: the words of each text; `counts` of all texts, to recognise typing errors by their rarity. Numbers, and the
    operators next to them, count in their order; other words as a set.
    """
    sizes = lists.list.len().to_numpy().astype(np.int64)
    row = np.repeat(np.arange(len(sizes)), sizes)
    words = lists.explode(empty_as_null=False)
    known = words.unique().sort()
    word = known.search_sorted(words).to_numpy().astype(np.int64)
    meant = pl.Series(_meant(known.to_list(), counts[_counter(known)].tolist()), dtype=pl.String)
    is_stop_word = meant.is_in(_STOP_WORDS).to_numpy()[word]
    number = known.str.contains(r"\p{N}").to_numpy()
    operand = (number | known.str.contains(r"^\p{L}$").to_numpy())[word]
    same = row[1:] == row[:-1]
    adjacent = np.zeros(len(word), dtype=np.bool_)  # an operand of the same text
    adjacent[1:] |= operand[:-1] & same
    adjacent[:-1] |= operand[1:] & same
    operator = ~known.str.contains(r"[\p{L}\p{N}]").to_numpy()[word] & adjacent & ~is_stop_word
    ordered = number[word] | operator
    hyphen = (known == "-").to_numpy()[word] & ~operator
    hashes = meant.hash(seed=0).to_numpy()[word]
    place = np.cumsum(ordered) - np.concatenate([[0], np.cumsum(ordered)])[np.cumsum(sizes) - sizes][row]
    hashes = np.where(ordered, spread(hashes + spread(place.astype(np.uint64))), hashes)
    decides = ~is_stop_word & ~hyphen
    once = pl.DataFrame({"row": row[decides], "hash": spread(hashes[decides])}).unique()
    keys = np.zeros(len(sizes), dtype=np.uint64)
    np.add.at(keys, once["row"].to_numpy(), once["hash"].to_numpy())
    return keys


def _meant(known: list[str], counts: list[int]) -> list[str]:
    """Each word, or the more frequent one of which it is a misspelling or the plural."""
    usual = dict(zip(known, counts, strict=True))
    by_shorter = defaultdict(list)
    for word in known:
        if len(word) >= _SHORTEST_MISSPELT - 1 and word.isalpha():
            for short in {word, *(word[:k] + word[k + 1 :] for k in range(1, len(word)))}:
                by_shorter[short].append(word)
    meant = {word: word for word in known}
    for alike in by_shorter.values():
        best = sorted(alike, key=lambda word: (-usual[word], word))
        for at, word in enumerate(best):
            for other in best[:at]:
                if _misspelt(word, usual[word], other, usual[other]) and meant[word] == word:
                    meant[word] = other
                    break
    for word in sorted(known, key=lambda word: (-usual[word], word)):  # a misspelling of a misspelling
        meant[word] = meant[meant[word]]
    return [_singular(meant[word]) for word in known]


def _singular(word: str) -> str:
    long = len(word) >= _SHORTEST_MISSPELT and word not in _STOP_WORDS
    return word[:-1] if long and word.endswith("s") and not word.endswith("ss") else word


def _misspelt(word: str, count: int, other: str, usual: int) -> bool:
    if len(word) < _SHORTEST_MISSPELT or not _one_edit(word, other):
        return False
    return min(len(word), len(other)) >= _SHORTEST_RARE or (count <= _RARE and usual >= _FREQUENT)


def _one_edit(one: str, other: str) -> bool:
    """One letter inserted, deleted or replaced, or two neighbours exchanged, but not the first letter, which is rarely
    wrong (Damerau-Levenshtein distance 1)."""
    start = 0
    while start < min(len(one), len(other)) and one[start] == other[start]:
        start += 1
    end = 0
    while end < min(len(one), len(other)) - start and one[-1 - end] == other[-1 - end]:
        end += 1
    left, right = one[start : len(one) - end], other[start : len(other) - end]
    return start > 0 and (max(len(left), len(right)) <= 1 or (len(left) == 2 and left == right[::-1]))

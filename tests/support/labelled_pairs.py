# ruff: noqa: E501
"""Texts that are labelled: families of different tasks in one frame, and rewritten texts that ask the same as before."""

import random
import re
from collections.abc import Callable

NAMES = (
    "Amara Bjorn Chidi Dalia Enzo Farah Goran Hana Ivo Jasmin Kofi Leila Mateo Nadia Oskar Priya Rosa Sven Tariq Yuki"
)
DISEASES = """asthma measles mumps tuberculosis malaria gout eczema psoriasis anaemia appendicitis bronchitis cholera
    dengue diphtheria endometriosis epilepsy fibromyalgia glaucoma hepatitis hypertension influenza jaundice leprosy lupus
    meningitis migraine narcolepsy osteoporosis pancreatitis pertussis pneumonia rabies rickets rosacea scabies scurvy
    sepsis shingles tetanus typhoid vertigo hypothyroidism hyperthyroidism hypoglycemia hyperglycemia hypotension"""
GROUPS = "children adults teenagers newborns athletes smokers farmers nurses sailors travellers"
THINGS = """words numbers names prices dates colours lengths matrices trees graphs strings tuples intervals vowels digits
    primes anagrams palindromes brackets polynomials sentences letters cities planets rivers fruits colons commas"""
DOINGS = "sorts counts reverses merges removes filters groups multiplies compares shuffles rotates validates"
NOUNS = (
    "boat bridge teacher garden river violin candle letter lantern saddle market doctor anchor kitchen forest tailor"
)
VERBS = "sees paints repairs sells hides follows forgets cleans guards describes borrows carries"
LANGUAGES = "French German Swahili Finnish Turkish Korean Basque Tamil"

TOOL = """Your task is to add calls to a question answering API to a piece of text. The questions should help you get
information required to complete the text. You can call the API by writing "[QA(question)]" where "question" is the
question you want to ask. Here are some examples of API calls. Input: Joe Biden was born in Scranton, Pennsylvania.
Output: Joe Biden was born in [QA("Where was Joe Biden born?")] Scranton, [QA("In which state is Scranton?")]
Pennsylvania. Input: Coca-Cola, or Coke, is a carbonated soft drink manufactured by the Coca-Cola Company. Output:
Coca-Cola, or [QA("What other name is Coca-Cola known by?")] Coke, is a carbonated soft drink manufactured by
[QA("Who manufactures Coca-Cola?")] the Coca-Cola Company. Input: The {a} {v} the {b}. Output:"""

FRAMES: dict[str, Callable[[Callable[[str], str]], str]] = {
    "arithmetic": lambda pick: (
        f"{pick(NAMES)} runs a small shop on the corner of the street and sells {pick(NUMBERS)} boxes of apples every day"
        " from Monday to Friday, and twice as many on Saturday, when the market is open. If each box costs"
        f" {pick(NUMBERS)} dollars, how much money does the shop take in during one whole week?"
    ),
    "medical": lambda pick: (
        "You are an experienced doctor in a large hospital, and you explain things in plain words, without jargon. Describe"
        f" the most common symptoms of {pick(DISEASES)} in {pick(GROUPS)}, and say when somebody has to go to the hospital"
        " at once."
    ),
    "translation": lambda pick: (
        "Translate the following sentence, which was taken from a book that was written for young readers, keep the tone of"
        f" the original and write nothing but the translation into {pick(LANGUAGES)}: The {pick(NOUNS)} {pick(VERBS)} the"
        f" {pick(NOUNS)}."
    ),
    "code": lambda pick: (
        "Write a Python function with type annotations and a docstring that takes one list as its only argument and"
        f" {pick(DOINGS)} all {pick(THINGS)} in it, then returns the result without changing the list that it was given."
    ),
    "tool": lambda pick: TOOL.format(a=pick(NOUNS), v=pick(VERBS), b=pick(THINGS)),
    "classification": lambda pick: (
        "Decide whether the animal, plant or object that is named at the end of this text is something that you would"
        f" usually find in a house, in the open air, or in both of these places: {pick(NOUNS)}, {pick(THINGS)}"
    ),
}  # fmt: skip
NUMBERS = " ".join(str(k) for k in range(3, 60))

SWAPS = {"about": "regarding", "the": "a", "a": "the", "can": "could", "should": "would", "which": "that", "in": "on"}
SWAPS |= {"is": "was", "your": "the", "on": "at", "of": "for", "this": "that", "these": "those", "would": "could"}


def family(name: str, count: int, chance: random.Random) -> list[str]:
    """Distinct texts in one frame: as many different tasks."""
    found: dict[str, None] = {}
    while len(found) < count:
        found[FRAMES[name](lambda choices: chance.choice(choices.split()))] = None
    return list(found)


def typing_error(text: str, chance: random.Random) -> str:
    """One letter of one long word left out, doubled, or exchanged with the next."""
    places = list(re.finditer(r"\b[a-z]{6,}\b", text))
    place = chance.choice(places)
    word, at = place.group(), chance.randrange(1, len(place.group()) - 1)
    slips = [
        word[:at] + word[at + 1 :],
        word[:at] + word[at] + word[at:],
        word[:at] + word[at + 1] + word[at] + word[at + 2 :],
    ]
    return text[: place.start()] + chance.choice(slips) + text[place.end() :]


def punctuation(text: str, chance: random.Random) -> str:
    return text.replace(", ", " ").replace(". ", "! ").upper().rstrip("?.") + chance.choice(" .!…") + "\n"


def function_word(text: str, chance: random.Random) -> str:
    words = text.split(" ")
    at = chance.choice([k for k, word in enumerate(words) if word in SWAPS])
    return " ".join([*words[:at], SWAPS[words[at]], *words[at + 1 :]])


def politeness(text: str, chance: random.Random) -> str:
    before, after = chance.choice(
        [("Please, ", ""), ("Hello, could you please help me? ", ""), ("", " Thank you very much!")]
    )
    return before + text + after


def clauses(text: str, chance: random.Random) -> str:
    """The same parts in another order."""
    parts = re.split(r"(?<=[.,?:]) ", text)
    at = chance.randrange(1, len(parts)) if len(parts) > 1 else 0
    return " ".join([*parts[at:], *parts[:at]])


REWRITES: dict[str, Callable[[str, random.Random], str]] = {
    "typing error": typing_error,
    "punctuation and case": punctuation,
    "function word": function_word,
    "politeness": politeness,
    "clauses in another order": clauses,
}

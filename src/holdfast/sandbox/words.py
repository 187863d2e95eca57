"""Task families about the world and about words."""

from holdfast.sandbox.family import Family, items, pairs, sentence

CAPITALS = """France Paris, Italy Rome, Spain Madrid, Germany Berlin, Japan Tokyo, Egypt Cairo, Peru Lima, Kenya Nairobi,
Norway Oslo, Greece Athens, Cuba Havana, Portugal Lisbon, Austria Vienna, Poland Warsaw, Ireland Dublin, China Beijing,
Russia Moscow, Sweden Stockholm, Finland Helsinki, Hungary Budapest, Iran Tehran, Iraq Baghdad, Ghana Accra, Chile Santiago"""
OPPOSITES = """hot cold, big small, fast slow, up down, light dark, wet dry, old new, hard soft, full empty, open closed,
happy sad, rich poor, strong weak, early late, near far, loud quiet, clean dirty, deep shallow, wide narrow, sweet bitter,
true false, first last, high low, thick thin"""
KINDS = """trout fish, salmon fish, shark fish, tuna fish, eagle bird, robin bird, owl bird, crow bird, ant insect, bee insect,
wasp insect, moth insect, oak tree, pine tree, birch tree, willow tree, rose flower, tulip flower, daisy flower, lily flower,
hammer tool, saw tool, drill tool, wrench tool, violin instrument, flute instrument, trumpet instrument, drum instrument"""
COLOURS = """lemon yellow, grass green, blood red, snow white, coal black, a_carrot orange, the_sky blue, chocolate brown,
a_plum purple, an_elephant grey, a_banana yellow, a_frog green, a_tomato red, milk white, a_crow black, a_flamingo pink"""
YOUNG = """dog puppy, cat kitten, cow calf, horse foal, sheep lamb, goat kid, pig piglet, bear cub, deer fawn, duck duckling,
frog tadpole, hen chick, swan cygnet, goose gosling, kangaroo joey, hare leveret"""
PLURALS = """mouse mice, goose geese, child children, foot feet, tooth teeth, man men, woman women, ox oxen, leaf leaves,
wolf wolves, knife knives, sheep sheep, box boxes, city cities, baby babies, hero heroes, bus buses, key keys"""
NOUNS = (
    "apple bread chair door egg fire garden house island jacket kettle ladder mirror needle orange pencil queen river "
)
NOUNS += "spoon table uncle valley window yard"
FRENCH = """dog chien, cat chat, house maison, water eau, bread pain, sun soleil, moon lune, tree arbre, book livre,
milk lait, horse cheval, bird oiseau, hand main, night nuit, friend ami, school école, fish poisson, red rouge"""
GERMAN = """dog Hund, cat Katze, house Haus, water Wasser, bread Brot, sun Sonne, moon Mond, tree Baum, book Buch,
milk Milch, horse Pferd, bird Vogel, hand Hand, night Nacht, friend Freund, school Schule, fish Fisch, red rot"""
SPANISH = """dog perro, cat gato, house casa, water agua, bread pan, sun sol, moon luna, tree árbol, book libro,
milk leche, horse caballo, bird pájaro, hand mano, night noche, friend amigo, school escuela, fish pez, red rojo"""
LANGUAGES = {"French": FRENCH, "German": GERMAN, "Spanish": SPANISH}
BY_WEIGHT = "an ant, a bee, a coin, an egg, an apple, a book, a cat, a dog, a sheep, a man, a pig, a horse, a car, an elephant, "
BY_WEIGHT += "a bus, a house, a ship, a mountain"
HEAVY = tuple(thing.strip() for thing in BY_WEIGHT.split(","))
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]


def _calendar() -> tuple[dict[str, str], ...]:
    found = []
    for kind, names in (("day", DAYS), ("month", MONTHS)):
        for place, name in enumerate(names):
            for side, step in (("after", 1), ("before", -1)):
                found.append(
                    {"kind": kind, "side": side, "x": name, "answer": sentence(names[(place + step) % len(names)])}
                )
    return tuple(found)


FAMILIES = (
    Family(
        "capitals",
        0.07,
        (
            "What is the capital of {x}?",
            "Name the capital of {x}.",
            "{x}: which city is the capital?",
            "Tell me the capital of {x}.",
        ),
        ("which city is the seat of government in {x} pls", "hey, quick one: {x}'s capital"),
        items(CAPITALS),
    ),
    Family(
        "opposites",
        0.06,
        (
            "What is the opposite of {x}?",
            "Give the opposite of {x}.",
            "Which word is the opposite of {x}?",
            "Opposite of {x}?",
        ),
        ("antonym for {x} pls", "hey, quick one: what do you call not {x}"),
        items(OPPOSITES),
    ),
    Family(
        "kinds",
        0.06,
        (
            "What kind of thing is a {x}?",
            "Which group does {x} belong to?",
            "Sort this into a group: {x}.",
            "A {x} is a kind of what?",
        ),
        (),
        items(KINDS),
    ),
    Family(
        "colours",
        0.04,
        ("What colour is {x}?", "Name the colour of {x}.", "Which colour does {x} have?", "Tell me the colour of {x}."),
        ("{x} looks like which color pls", "hey, quick one: paint me {x}, which color"),
        items(COLOURS),
    ),
    Family(
        "young",
        0.04,
        ("What is a young {x} called?", "Name the young of a {x}.", "What do you call a baby {x}?"),
        (),
        items(YOUNG),
    ),
    Family(
        "plurals",
        0.04,
        ("What is the plural of {x}?", "Give the plural of {x}.", "One {x}, two what?"),
        ("many of {x} pls, one word", "hey, quick one: more than one {x}"),
        items(PLURALS),
    ),
    Family(
        "letters",
        0.05,
        ("Which letter does {x} start with?", "Give the first letter of {x}.", "What is the first letter in {x}?"),
        (),
        tuple({"x": noun, "answer": noun[0].upper() + "."} for noun in NOUNS.split()),
    ),
    Family(
        "translation",
        0.10,
        ("How do you say {x} in {language}?", "Translate {x} into {language}.", "What is the {language} word for {x}?"),
        ("{language} for {x} pls", "hey, quick one: {x}, but in {language}"),
        tuple(
            {"x": english, "language": language, "answer": sentence(foreign)}
            for language, text in LANGUAGES.items()
            for english, foreign in pairs(text)
        ),
    ),
    Family(
        "weight",
        0.08,
        ("Which is heavier, {x} or {y}?", "What weighs more, {x} or {y}?", "{x} or {y}: which one weighs more?"),
        ("heavier of {x} vs {y} pls", "hey, quick one: put {x} and {y} on a scale, winner"),
        tuple(
            {"x": x, "y": y, "answer": sentence(HEAVY[max(i, j)])}
            for i, x in enumerate(HEAVY)
            for j, y in enumerate(HEAVY)
            if i != j
        ),
    ),
    Family(
        "calendar",
        0.05,
        ("Which {kind} comes {side} {x}?", "Name the {kind} {side} {x}.", "What {kind} is right {side} {x}?"),
        (),
        _calendar(),
    ),
)

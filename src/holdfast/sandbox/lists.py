"""What the sandbox knows about the world: word lists. `dog chien` is a pair; an underscore stands for a space."""

CAPITALS = """
France Paris, Italy Rome, Spain Madrid, Germany Berlin, Japan Tokyo, Egypt Cairo, Peru Lima, Kenya Nairobi,
Norway Oslo, Greece Athens, Cuba Havana, Portugal Lisbon, Austria Vienna, Poland Warsaw, Ireland Dublin, China
Beijing, Russia Moscow, Sweden Stockholm, Finland Helsinki, Hungary Budapest, Iran Tehran, Iraq Baghdad, Ghana
Accra, Chile Santiago
"""
OPPOSITES = """
hot cold, big small, fast slow, up down, light dark, wet dry, old new, hard soft, full empty, open closed,
happy sad, rich poor, strong weak, early late, near far, loud quiet, clean dirty, deep shallow, wide narrow,
sweet bitter, true false, first last, high low, thick thin
"""
KINDS = """
trout fish, salmon fish, shark fish, tuna fish, eagle bird, robin bird, owl bird, crow bird, ant insect, bee
insect, wasp insect, moth insect, oak tree, pine tree, birch tree, willow tree, rose flower, tulip flower,
daisy flower, lily flower, hammer tool, saw tool, drill tool, wrench tool, violin instrument, flute
instrument, trumpet instrument, drum instrument
"""
COLOURS = """
lemon yellow, grass green, blood red, snow white, coal black, a_carrot orange, the_sky blue, chocolate brown,
a_plum purple, an_elephant grey, a_banana yellow, a_frog green, a_tomato red, milk white, a_crow black,
a_flamingo pink
"""
YOUNG = """
dog puppy, cat kitten, cow calf, horse foal, sheep lamb, goat kid, pig piglet, bear cub, deer fawn, duck
duckling, frog tadpole, hen chick, swan cygnet, goose gosling, kangaroo joey, hare leveret
"""
PLURALS = """
mouse mice, goose geese, child children, foot feet, tooth teeth, man men, woman women, ox oxen, leaf leaves,
wolf wolves, knife knives, sheep sheep, box boxes, city cities, baby babies, hero heroes, bus buses, key keys
"""
FRENCH = """
dog chien, cat chat, house maison, water eau, bread pain, sun soleil, moon lune, tree arbre, book livre, milk
lait, horse cheval, bird oiseau, hand main, night nuit, friend ami, school école, fish poisson, red rouge
"""
GERMAN = """
dog Hund, cat Katze, house Haus, water Wasser, bread Brot, sun Sonne, moon Mond, tree Baum, book Buch, milk
Milch, horse Pferd, bird Vogel, hand Hand, night Nacht, friend Freund, school Schule, fish Fisch, red rot
"""
SPANISH = """
dog perro, cat gato, house casa, water agua, bread pan, sun sol, moon luna, tree árbol, book libro, milk
leche, horse caballo, bird pájaro, hand mano, night noche, friend amigo, school escuela, fish pez, red rojo
"""
LANGUAGES = {"French": FRENCH, "German": GERMAN, "Spanish": SPANISH}
NOUNS = """
apple bread chair door egg fire garden house island jacket kettle ladder mirror needle orange pencil queen
river spoon table uncle valley window yard
"""
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday"
MONTHS = """
January February March April May June July August September October November December
"""

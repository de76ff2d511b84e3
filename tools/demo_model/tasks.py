# SPDX-License-Identifier: Apache-2.0
"""The text that the demo model learns: tasks with checkable answers, stories, small talk. Everything is made here.

Each task draws a question and its one right answer. A question belongs to a key (the numbers, the word, the days), and
one key in ten is held out: no question with that key, in whatever wording, is ever shown in training. What can only
be known by heart (products, the day after Monday, the spelling of a word that is one token) has no key and is always
shown.
"""

import hashlib
import random

WORDS = """
apple arrow autumn baby bag ball banana band bank barn basket bath beach bean bear bed bee bell bench berry bird
blanket boat body bone book boot bottle bowl box branch brave bread breeze brick bridge bright broom brother brush
bubble bucket bug butter button cabin cake calm camel camp candle candy canoe cap car card carpet carrot castle cat
cave chair chalk cheese cherry chick child church circle city clay clean clever cliff clock cloth cloud clown coat
coffee coin cold color comb cookie copper corn corner cotton cow crab crayon cream creek crow crown cup curtain dance
dark dawn day deer desert desk dinner dish doctor dog doll dolphin door dragon drawer dream dress drum duck dust eagle
early ear earth east egg elbow empty engine evening eye fabric face fairy family farm farmer feather fence fern field
finger fire fish flag flame flat flower flute fly fog forest fork fox frame fresh friend frog fruit funny garden gate
ghost giant gift giraffe girl glass glove goat gold goose grape grass green grey guitar hair hammer hand happy harbor
hat hawk hay heart hedge hen hill honey hood hook horse hot house hungry ice igloo ink iron island jacket jam jar
jelly jewel juice jump jungle kettle key king kitchen kite kitten knee knife knot ladder lake lamb lamp lantern large
laugh leaf lemon letter light lion lizard lock log lucky lunch magic maple map marble market mask meadow melon milk
mirror mitten money monkey moon morning moss mouse mouth mud music nail name neck needle nest net night noise north
nose nurse nut oak ocean olive onion orange otter oven owl paint palace pan panda paper park parrot path pea peach
pear pebble pen pencil penny pepper piano picnic pie pig pillow pilot pine pink pipe pizza plane planet plant plate
plum pocket pond pony potato prince pumpkin puppet puppy purple queen quiet quilt rabbit radio rain rainbow red ribbon
rice ring river road robin robot rock roof room rope rose round sail salad salt sand school sea seed shadow sheep
shelf shell ship shirt shoe shop silver sister skirt sky sled sleep slow small smile smoke snail snake snow soap sock
soft song soup south spider spoon spring square squirrel stable star station steam stick stone storm story street
string strong sugar summer sun sweet swan swim table tail tall tea teacher teapot tent thumb ticket tiger tomato tooth
towel tower town toy train tree truck tulip turtle umbrella uncle valley vase violin wagon wall walnut warm water wave
west whale wheat wheel whistle white wind window winter wise wolf wood wool yard year yellow young zebra
""".split()

DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
MONTHS = ("January February March April May June July August September October November December").split()
ITEMS = "apple pear plum lemon cherry egg coin key cup spoon book pencil button flower star shell".split()
ONE_TOKEN = (
    "ball day door friend key letter small story".split()
)  # so frequent in the text that the tokenizer merges them
CONSONANTS, VOWELS = "bcdfghjklmnpqrstvwxyz", "aeiou"


def is_held_out(key):
    return key is not None and hashlib.blake2b(key.encode(), digest_size=4).digest()[0] % 10 == 0


def plural(item, count=2):
    return item if count == 1 else {"cherry": "cherries"}.get(item, item + "s")


def made_up_word(rng):
    """Shows every piece of a word in many places, so that spelling does not depend on knowing the word."""
    pick = rng.choice
    length, word = rng.randint(3, 9), ""
    while len(word) < length:
        word += (
            pick(VOWELS)
            if rng.random() < 0.25
            else pick(CONSONANTS) + pick(VOWELS) + pick(["", "", pick(CONSONANTS)])
        )
    return word[:length]


def some_word(rng, held_out):
    if held_out:
        return rng.choice(WORDS)
    return rng.choice(WORDS) if rng.random() < 0.4 else made_up_word(rng)


def word_key(word):
    return None if word in ONE_TOKEN else f"word {word}"


def number(rng):
    return rng.randint(0, rng.choice([9, 99, 99, 999]))


def sum_task(rng, held_out):
    a, b = number(rng), number(rng)
    question = rng.choice(
        ["What is {} + {}?", "What is {} plus {}?", "Add {} and {}.", "{} + {}", "How much is {} + {}?"]
    )
    return f"sum {a} {b}", question.format(a, b), f"{a} + {b} = {a + b}."


def difference_task(rng, held_out):
    b, a = sorted([number(rng), number(rng)])
    question = rng.choice(["What is {} - {}?", "What is {} minus {}?", "{} - {}", "How much is {} - {}?"])
    return f"difference {a} {b}", question.format(a, b), f"{a} - {b} = {a - b}."


def product_task(rng, held_out):
    a, b = rng.randint(0, 12), rng.randint(0, 12)
    question = rng.choice(["What is {} times {}?", "What is {} * {}?", "How much is {} times {}?"])
    return None, question.format(a, b), f"{a} times {b} is {a * b}."


def spell_task(rng, held_out):
    word = some_word(rng, held_out)
    question = rng.choice(["Spell the word {}.", "How do you spell {}?", "Spell {}."])
    return word_key(word), question.format(word), f"{word} is spelled {' '.join(word)}."


def reverse_task(rng, held_out):
    word = some_word(rng, held_out)
    question = rng.choice(
        ["Reverse the word {}.", "What is {} backwards?", "Say {} backwards.", "Spell {} backwards."]
    )
    return (
        word_key(word),
        question.format(word),
        f"{word} is {' '.join(word)}, so backwards it is {' '.join(word[::-1])}.",
    )


def reverse_letters_task(rng, held_out):
    word = some_word(rng, held_out)
    question = rng.choice(["Reverse the letters {}.", "Write {} backwards."])
    return word_key(word), question.format(" ".join(word)), f"Backwards that is {' '.join(word[::-1])}."


def letter_count_task(rng, held_out):
    word = some_word(rng, held_out)
    letter = rng.choice(word) if rng.random() < 0.85 else rng.choice("abcdefghijklmnopqrstuvwxyz")
    count = word.count(letter)
    question = rng.choice(
        [
            "How many times is the letter {} in the word {}?",
            "How often does the letter {} appear in {}?",
            "Count the letter {} in the word {}.",
        ]
    )
    times = {0: "never", 1: "once", 2: "twice"}.get(count, f"{count} times")
    return word_key(word), question.format(letter, word), f"{word} is {' '.join(word)}, so {letter} is in it {times}."


def length_task(rng, held_out):
    word = some_word(rng, held_out)
    question = rng.choice(
        ["How many letters are in the word {}?", "How many letters does {} have?", "How long is the word {}?"]
    )
    return word_key(word), question.format(word), f"{word} is {' '.join(word)}, so it has {len(word)} letters."


def item_count_task(rng, held_out):
    kinds = rng.sample(ITEMS, rng.randint(1, 3))
    items = [rng.choice(kinds) for _ in range(rng.randint(2, 8))]
    listed = ", ".join(items)
    if rng.random() < 0.3:
        question = rng.choice(["How many things are in this list: {}?", "Count the things in this list: {}."])
        return f"items {listed}", question.format(listed), f"There are {len(items)} things in the list."
    item = rng.choice(items) if rng.random() < 0.9 else rng.choice(ITEMS)
    count = items.count(item)
    question = rng.choice(["How many {0} are in this list: {1}?", "Count the {0} in this list: {1}."])
    verb = "is" if count == 1 else "are"
    return (
        f"items {listed}",
        question.format(plural(item), listed),
        f"There {verb} {count or 'no'} {plural(item, count)} in the list.",
    )


def calendar_task(rng, names, unit, most):
    start, steps, back = rng.randrange(len(names)), rng.randint(1, most), rng.random() < 0.5
    word = "before" if back else "after"
    sign = -1 if back else 1
    path = [names[(start + sign * i) % len(names)] for i in range(1, steps + 1)]
    key = f"{unit} {names[start]} {sign * steps}" if steps > 1 else None
    if steps == 1 and rng.random() < 0.7:
        question = rng.choice([f"What {unit} comes {word} {{}}?", f"Which {unit} is {word} {{}}?"])
        return key, question.format(names[start]), f"{path[-1]} comes {word} {names[start]}."
    units = unit if steps == 1 else unit + "s"
    question = rng.choice([f"What {unit} is {{}} {units} {word} {{}}?", f"Which {unit} is {{}} {units} {word} {{}}?"])
    counting = "Counting back" if back else "Counting on"
    return key, question.format(steps, names[start]), f"{counting}: {', '.join(path)}. It is {path[-1]}."


def day_task(rng, held_out):
    return calendar_task(rng, DAYS, "day", 10)


def month_task(rng, held_out):
    return calendar_task(rng, MONTHS, "month", 6)


def sort_task(rng, held_out):
    numbers = rng.sample(range(100), rng.randint(3, 5))
    listed = ", ".join(map(str, numbers))
    question = rng.choice(["Sort these numbers: {}.", "Put these numbers in order: {}."])
    return f"sort {listed}", question.format(listed), f"In order: {', '.join(map(str, sorted(numbers)))}."


def compare_task(rng, held_out):
    a, b = rng.sample(range(1000) if rng.random() < 0.5 else range(100), 2)
    larger = rng.random() < 0.5
    question = rng.choice(["Which is {}, {} or {}?", "Which number is {}, {} or {}?"])
    word = "larger" if larger else "smaller"
    answer, other = (max(a, b), min(a, b)) if larger else (min(a, b), max(a, b))
    return f"compare {a} {b}", question.format(word, a, b), f"{answer} is {word} than {other}."


# name: (task, share of the training questions, number of held-out questions)
TASKS = {
    "sum": (sum_task, 14, 35),
    "difference": (difference_task, 12, 25),
    "product": (product_task, 2, 0),
    "spell": (spell_task, 5, 10),
    "reverse": (reverse_task, 7, 25),
    "reverse-letters": (reverse_letters_task, 4, 10),
    "letter-count": (letter_count_task, 7, 20),
    "length": (length_task, 5, 10),
    "item-count": (item_count_task, 8, 20),
    "day": (day_task, 4, 15),
    "month": (month_task, 3, 5),
    "sort": (sort_task, 5, 15),
    "compare": (compare_task, 4, 10),
}


def draw(name, rng, held_out):
    """A question whose key is (or is not) held out, with its answer."""
    while True:
        key, question, answer = TASKS[name][0](rng, held_out)
        if is_held_out(key) == held_out:
            return question, answer


def held_out_questions(seed=2024):
    """The fixed test: 200 different questions in a fixed order."""
    rng, seen, questions = random.Random(seed), set(), []
    for name, (_, _, count) in TASKS.items():
        for _ in range(count):
            question, answer = draw(name, rng, True)
            while question in seen:
                question, answer = draw(name, rng, True)
            seen.add(question)
            questions.append({"task": name, "prompt": question, "answer": answer})
    return questions


def loosely(rng, question):
    """The same question as people type it."""
    if rng.random() < 0.75:
        return question
    if rng.random() < 0.6:
        question = question[0].lower() + question[1:]
    if rng.random() < 0.6:
        question = question.rstrip("?.")
    if rng.random() < 0.3:
        question = question.replace(" + ", "+").replace(" - ", "-").replace(" * ", "*")
    return question


TASK_NAMES = list(TASKS)
TASK_SHARES = [share for _, share, _ in TASKS.values()]


def task_turn(rng):
    question, answer = draw(rng.choices(TASK_NAMES, TASK_SHARES)[0], rng, False)
    return loosely(rng, question), answer

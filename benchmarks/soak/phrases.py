"""Sentences that nobody says twice: each has a code of three words, by which it is known again."""

import random
import re

WORDS = re.findall(
    r"\w+",
    """
    abedul almendra amapola ancla arcilla azafrán ballena bambú barranco brújula búfalo cacao
    calabaza campana canoa caracol castaño cebra cereza ciervo cigarra ciruela cobre colibrí
    cometa corcho coral cordillera dátil delfín duna eclipse encina erizo escarcha esmeralda
    farol flamenco fresno gacela galeón girasol glaciar granito guitarra halcón helecho
    hinojo iguana jazmín jirafa laguna lavanda libélula lince linterna madreselva magnolia
    marfil membrillo mirlo nenúfar olivo orquídea
    """,
)
"""A power of two of them; none is in a line of `flows/`."""

_CODES = len(WORDS) ** 3
_BLOCK = 1_000
_WORD = "|".join(WORDS)
CODE = re.compile(rf"\b(?:{_WORD}) (?:{_WORD}) (?:{_WORD})\b")
"""A code, in whatever it was put: what a caller said, or the bot answered."""

ASKED = {
    "es": (
        "Cuéntame algo sobre {code}.",
        "Quiero saber más de {code} por favor.",
        "Me gustaría hablar un rato de {code} contigo.",
        "Ayer me acordé de {code} y no sé por qué.",
    ),
    "en": (
        "Tell me something about {code}.",
        "I would like to know more of {code} please.",
        "I want to talk a little about {code} with you.",
        "Yesterday I thought of {code} and I do not know why.",
    ),
}
"""What callers say. Without commas: synthetic speech pauses there long enough to end a turn."""

ANSWERED = {
    "es": (
        "De {code} se podría hablar toda una tarde.",
        "Lo de {code} tiene su gracia.",
        "Hay quien dice que {code} es lo mejor que existe; ¿tú qué piensas?",
        "Sobre {code} te puedo contar bastante.",
    ),
    "en": (
        "One could talk about {code} for a whole afternoon.",
        "There is something to {code}.",
        "Some say that {code} is the best there is; what do you think?",
        "About {code} there is a lot to tell.",
    ),
}

SUMMED_UP = {"es": "Hablamos de {code}. ¿Algo más?", "en": "We talked about {code}. Anything else?"}
TOPIC = "asunto {code}"
NOTHING = {"es": "No hablamos de nada. ¿Algo más?", "en": "We talked of nothing. Anything else?"}


class Codes:
    """Codes that nobody else is given.

    Args:
        seed: The same seed gives the same codes.
        block: Which `_BLOCK` of all the codes there are; each caller of a round has their own.
    """

    def __init__(self, seed: int, block: int) -> None:
        """Start with the first of the block."""
        numbers = random.Random(seed)
        # An odd factor makes each number of the range another one of it, far from its neighbours.
        self._factor = numbers.randrange(1, _CODES, 2)
        self._shift = numbers.randrange(_CODES)
        self._numbers = iter(range(block * _BLOCK, (block + 1) * _BLOCK))

    def next(self) -> str:
        """The next one."""
        number = (self._factor * next(self._numbers) + self._shift) % _CODES
        first, rest = divmod(number, len(WORDS) ** 2)
        return " ".join(WORDS[index] for index in (first, *divmod(rest, len(WORDS))))


def codes_in(text: str) -> list[str]:
    """The codes in a text, in order."""
    return CODE.findall(text)

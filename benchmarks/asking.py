"""What a bot asks before turns that answer something, in the offline benchmark.

The questions are ordinary ones, in several wordings that take turns. Codes are asked for with their
number of digits, as whoever has sent one knows it; the numbers of customers and postal codes are
not. What begins a talk by itself is asked for by nothing.
"""

from collections import Counter
from collections.abc import Sequence

_SPELT = (
    "¿Cómo se escribe tu apellido?",
    "¿Me deletreas el nombre, por favor?",
    "¿Me lo puedes decir letra por letra?",
)
_LIST = ("¿Qué necesitas comprar?", "¿Qué cosas quieres pedir?", "Dime qué hay en la lista.")
_ONE = ("¿Qué es?", "¿Qué buscas?", "¿Qué te regalaron?")
_NUMBERS = {
    4: (
        "¿Cuáles son los últimos cuatro dígitos de tu tarjeta?",
        "Dime el código de cuatro cifras.",
    ),
    5: ("¿Cuál es tu código postal?", "Dime el código de cinco dígitos."),
    6: ("Dime el código de seis dígitos.", "¿Me das el código de seis cifras que te enviamos?"),
    7: ("¿Cuál es tu número de cliente?", "¿Me dices el número de la cuenta?"),
}
"""By how many digits are said."""

_KINDS = {
    "a name spelt by a person": _SPELT,
    "a list by a person, with pauses of 0.5 s": _LIST,
    "a list by a person, with pauses of 0.8 s": _LIST,
    "a few words by a person": _ONE,
}
_DICTATED = "numbers dictated by a person"
_SHORT = "a short answer"

_YES_OR_NO = ("¿Te parece bien?", "¿Quieres que lo apunte?")
_ANSWERS = {
    "Mi número": ("¿Cuál es tu número de teléfono?",),
    "Son ciento veinte": ("¿Cuánto cuesta?",),
    "El código": ("¿Me dices el código de cinco cifras?",),
    "Necesito pan": ("¿Qué necesitas comprar?",),
    "Vamos mi hermana": ("¿Quiénes van?",),
    "Trabajo lunes": ("¿Qué días trabajas?",),
    "El martes": ("¿Qué día te viene bien?",),
    "A las cinco": ("¿A qué hora llegas?",),
    "Mañana": ("¿Cuándo vienes?",),
    "Lunes": ("¿Qué día te viene bien?",),
    "Abril": ("¿En qué mes naciste?",),
    "Ayer": ("¿Cuándo llegó el paquete?",),
}
"""By what the answer begins with."""

_ANSWERING = ("numbers said slowly", "a list with commas", _SHORT, "a word by a person")
"""Kinds whose turns answer different questions."""


class Asking:
    """Asks before each turn, in one wording after the other."""

    def __init__(self) -> None:
        """Nothing was asked yet."""
        self._asked: Counter[Sequence[str]] = Counter()

    def question(self, kind: str, text: str) -> str:
        """What to ask before a turn; empty: nothing.

        Args:
            kind: Of what kind the turn is.
            text: What is said in it.
        """
        wordings = _wordings(kind, text)
        if not wordings:
            return ""
        self._asked[wordings] += 1
        return wordings[self._asked[wordings] % len(wordings)]


def _wordings(kind: str, text: str) -> Sequence[str]:
    if kind == _DICTATED:
        return _NUMBERS[len(text.split())]
    if kind in _ANSWERING:
        begins = (those for beginning, those in _ANSWERS.items() if text.startswith(beginning))
        return next(begins, _YES_OR_NO)
    return _KINDS.get(kind, ())

"""A spoken question, cleaned as a listener does it: without hesitations, and spelt names joined."""

import re
from collections.abc import Container
from itertools import pairwise

from sonora_app.knowledge.words import folded, key_of

_PIECES = re.compile(r"[,;:…¿?¡!()\n]+|\.{2,}|\.(?=\s|$)|\s[-–—]\s")
_FILLER_WORDS = """
eh em emm ehm mm mmm mmmm hmm ah aja este esto bueno pues mira oye oiga mire a-ver ver o-sea
sea digamos y-tal no verdad sabes es-que como-te-digo por-ejemplo vale entonces disculpa
disculpe perdon perdona por-favor una-cosa una-pregunta no-se que-se-yo en-fin la-verdad digo
o-como-va-eso y-eso y-bueno pues-eso ok okay um uh erm er well so you-know i-mean like
actually sorry please okay right let-me-see
"""
_FILLERS = frozenset(_FILLER_WORDS.split())
_ALWAYS_FILLERS = frozenset(
    ["eh", "em", "emm", "ehm", "mm", "mmm", "mmmm", "hmm", "um", "uh", "erm"]
)
_OPENERS = re.compile(
    r"^(?:(?:hola|hello|hi|oye|oiga|mira|bueno|pues|a ver|vale|entonces|disculpa|perdona|y|o sea|"
    r"este|es que|well|so|okay|sorry|por favor|please)\b[\s,]*)+",
    re.IGNORECASE,
)
_WISHES = re.compile(
    r"^(?:me gustar[ií]a|quisiera|quer[ií]a|quiero|necesito|I(?: would|'d)? (?:like|want)(?: to)?)"
    r"\s+(?:(?:saber|preguntar(?:te|le)?|know|ask(?: you)?)\s+(?:si\s+|if\s+)?"
    r"|(?=c[oó]mo|qu[eé]|se\s|cu))",
    re.IGNORECASE,
)
_LETTERS = {
    "a": "a", "be": "b", "ce": "c", "de": "d", "e": "e", "efe": "f", "ge": "g", "hache": "h",
    "i": "i", "jota": "j", "ka": "k", "ele": "l", "eme": "m", "ene": "n", "o": "o", "pe": "p",
    "cu": "q", "erre": "r", "ese": "s", "te": "t", "u": "u", "uve": "v", "ve": "v", "equis": "x",
    "ye": "y", "zeta": "z", "doble": "",
}  # fmt: skip
_ONLY_LETTERS = frozenset(
    "ce efe ge hache jota ka ele eme ene pe cu erre ese uve equis ye zeta".split()  # noqa: SIM905
)
_LONGEST = 1_000
"""Characters of what was said that are looked for: the last ones, since a question comes last."""

_UNITS = {
    "cero": 0, "un": 1, "uno": 1, "una": 1, "dos": 2, "tres": 3, "cuatro": 4, "cinco": 5,
    "seis": 6, "siete": 7, "ocho": 8, "nueve": 9, "diez": 10, "once": 11, "doce": 12, "trece": 13,
    "catorce": 14, "quince": 15, "dieciseis": 16, "diecisiete": 17, "dieciocho": 18,
    "diecinueve": 19, "veinte": 20, "veintiuno": 21, "veintidos": 22, "veintitres": 23,
    "veinticuatro": 24, "veinticinco": 25, "veintiseis": 26, "veintisiete": 27, "veintiocho": 28,
    "veintinueve": 29,
}  # fmt: skip
_TENS = {
    "treinta": 30, "cuarenta": 40, "cincuenta": 50, "sesenta": 60, "setenta": 70, "ochenta": 80,
    "noventa": 90,
}  # fmt: skip
_HUNDREDS = {
    "cien": 100, "ciento": 100, "doscientos": 200, "trescientos": 300, "cuatrocientos": 400,
    "quinientos": 500, "seiscientos": 600, "setecientos": 700, "ochocientos": 800,
    "novecientos": 900,
}  # fmt: skip


def cleaned(question: str) -> str:
    """`question` without fillers, false starts and politeness; spelt-out names are joined.

    Args:
        question: What was recognised. What is left of pure hesitation is empty.
    """
    kept: list[str] = []
    for piece in _PIECES.split(question[-_LONGEST:]):
        words = [w for w in piece.split() if folded(w).strip("'\"") not in _ALWAYS_FILLERS]
        if not words or "-".join(folded(word) for word in words) in _FILLERS:
            continue
        if kept and _is_false_start(kept[-1], words):
            kept.pop()
        kept.append(" ".join(words))
    text = _without_repeats(" ".join(kept).split())
    text = _WISHES.sub("", _OPENERS.sub("", text))
    text = re.sub(r"\b(?:o sea|digamos|y tal)\b\s*", "", text, flags=re.IGNORECASE)
    return _joined_names(text.split())


def as_written(question: str) -> str:
    """A cleaned question with its marks, as the texts that the model learnt from have them."""
    return f"¿{question}?"


def with_names(question: str, vocabulary: Container[str]) -> str:
    """A cleaned question with names whole that begin with a spelt letter: `ene map` is `nmap`.

    Args:
        question: The question.
        vocabulary: The keys of the documents' words: only what is a word there is a name.
    """
    words = question.split()
    for index, (first, second) in enumerate(pairwise(words)):
        letter = _LETTERS.get(folded(first), "")
        name = letter + folded(second)
        if folded(first) in _ONLY_LETTERS and key_of(name) in vocabulary:
            words[index : index + 2] = ["", name]
    return " ".join(word for word in words if word)


def _is_false_start(piece: str, following: list[str]) -> bool:
    """Whether a short piece was broken off and begun anew."""
    words = piece.split()
    return len(words) <= 3 and folded(words[0]) == folded(following[0])


def _without_repeats(words: list[str]) -> str:
    """Drop the first of two equal runs of up to three words in a row: a false start."""
    index = 0
    while index < len(words):
        for length in (3, 2, 1):
            first = [folded(word) for word in words[index : index + length]]
            second = [folded(word) for word in words[index + length : index + 2 * length]]
            if len(second) == length and first == second:
                del words[index : index + length]
                break
        else:
            index += 1
    return " ".join(words)


def _joined_names(words: list[str]) -> str:
    """Join letters and numbers that were spelt out: `equis erre de pe` is `xrdp`."""
    joined: list[str] = []
    index = 0
    while index < len(words):
        end, spelt = _spelt_name(words, index)
        if end:
            joined.append(spelt)
            index = end
        else:
            joined.append(words[index])
            index += 1
    return " ".join(joined)


def _spelt_name(words: list[str], start: int) -> tuple[int, str]:
    """Where a name that is spelt out from `start` ends, and the name; 0 if there is none."""
    parts: list[str] = []
    spelt = 0
    index = start
    while index < len(words):
        word = folded(words[index])
        number_end, number = _number(words, index)
        if number_end:
            parts.append(number)
            index = number_end
            continue
        letter = _LETTERS.get(word)
        if letter is None or (word == "o" and parts):
            # An "o" between letters is an "or".
            break
        spelt += word in _ONLY_LETTERS
        parts.append(letter)
        index += 1
    only_number = len(parts) == 1 and parts[0].isdigit() and len(parts[0]) > 1
    if (len(parts) >= 2 and spelt >= 1) or only_number:
        return index, "".join(parts)
    return 0, ""


def _number(words: list[str], start: int) -> tuple[int, str]:
    """Where a number in words ends, and its figures; 0 if there is none."""
    index, total, found = start, 0, False
    word = folded(words[index])
    if word in _HUNDREDS:
        total, found, index = _HUNDREDS[word], True, index + 1
        word = folded(words[index]) if index < len(words) else ""
    if word in _TENS:
        total, found, index = total + _TENS[word], True, index + 1
        following = [folded(w) for w in words[index : index + 2]]
        if len(following) == 2 and following[0] == "y" and _UNITS.get(following[1], 99) < 10:
            total, index = total + _UNITS[following[1]], index + 2
    elif word in _UNITS:
        total, found, index = total + _UNITS[word], True, index + 1
    return (index, str(total)) if found else (0, "")


_ASKING_WORDS = """
que como donde cuando cuanto cuanta cuantos cuantas cual cuales quien quienes puedo puede pueden hay
necesito tengo what how where when which who why can could does do is are should
"""
_ASKING = frozenset(_ASKING_WORDS.split())


def asks(question: str) -> bool:
    """Whether something is asked in a cleaned question, and not only said."""
    words = folded(question).split()
    return len(words) > 3 and not _ASKING.isdisjoint(words)

"""Makes what people said fit for a prompt, or for the voice.

A name, a summary, a title, a topic or a fact that was remembered is what somebody said or wrote,
or what a model made of it. In a prompt each is bounded, and stands between `<quoted>` and
`</quoted>`; `flows/sonora.yaml` says that nothing between them is an instruction. A spoken line
takes a name and a topic alone, and only what looks like one.
"""

import re
import unicodedata
from collections.abc import Iterable

from sonora_app.storage.history import shortened

QUOTED_CHARS = 2_000
"""How long a quotation in a prompt may be, unless it is said otherwise: a long summary's length."""

_NAME_CHARS, _NAME_WORDS = 40, 5
_TOPIC_CHARS, _TOPIC_WORDS = 60, 9

_ANGLES = str.maketrans("<>", "‹›")
"""Nothing quoted can end the quotation."""

_QUOTATION = re.compile(r"<quoted>[^<>]*</quoted>")

_TAG = re.compile(r"</?[A-Za-z!][^<>]*>")
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_MARKS = re.compile(r"[*_`~#|]+|^\s*(?:>|[-+•]\s|\d+[.)]\s)\s*", re.MULTILINE)
"""What Markdown writes around words, and before lines."""

_ABBREVIATED = re.compile(r"\b(?:[^\W\d_]|dra?|sra?|srta|mrs?|ms|jr|st)\.", re.IGNORECASE)
"""What has a full stop in a name; elsewhere there is more than a name."""
_NO_TOPIC = re.compile(
    r"[?¿!¡;<>{}\[\]()*_`~#|\\@=\n]"  # a question, a cry, markup, code, an address
    r"|[.…](?:\s|$)"  # a sentence, or more than one
    r"|://|\w\.\w{2}"  # an address
    r"|(?=\w*\d)[\w-]{10,}"  # an id
)
_PLACEHOLDER = re.compile(
    r"(?:the|un|una|la|mi|my)? ?"
    r"(?:new|untitled|unnamed|automatic|default|nuev[oa]|automatic[oa]|sin titulo|sin nombre)? ?"
    r"(?:chat|conversation|conversacion|call|llamada|talk|charla|session|sesion|thread|hilo)? ?"
    r"(?:untitled|automatic|automatic[oa]|nuev[oa]|sin titulo|sin nombre|(?:por )?voz)?"
    r"|null|none|nil|undefined|nan|object object|sin asunto"
)
"""What programs call a conversation that nobody has named, without accents, capitals,
and what belongs to a number or a date. No part of it repeats: a title of sixty characters must not
take seconds to look at."""

_OF_A_DATE = frozenset(
    [
        "n",
        "no",
        "num",
        "numero",
        "number",
        "of",
        "on",
        "at",
        "a",
        "el",
        "las",
        "de",
        "del",
        "am",
        "pm",
        "enero",
        "febrero",
        "marzo",
        "abril",
        "mayo",
        "junio",
        "julio",
        "agosto",
        "septiembre",
        "octubre",
        "noviembre",
        "diciembre",
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
        "lunes",
        "martes",
        "miercoles",
        "jueves",
        "viernes",
        "sabado",
        "domingo",
        "monday",
        "tuesday",
        "wednesday",
        "thursday",
        "friday",
        "saturday",
        "sunday",
    ]
)


def quoted(text: str | None, *, max_chars: int = QUOTED_CHARS) -> str | None:
    """`text` as a quotation for a prompt, or None where there is nothing to quote.

    Args:
        text: What somebody said. May hold anything.
        max_chars: How much of it to quote. A longer one is shortened in its middle.
    """
    visible = _visible(text or "")
    if "<" in visible or ">" in visible:
        visible = visible.translate(_ANGLES)
    if visible.isprintable():  # then it is one line, as each of many facts is
        kept = shortened(" ".join(visible.split()), max_chars)
    else:
        lines = (" ".join(line.split()) for line in visible.splitlines())
        kept = shortened("\n".join(line for line in lines if line), max_chars)
    return f"<quoted>{kept}</quoted>" if kept.strip() else None


def quotations(text: str) -> list[str]:
    """What `text`, of a prompt, quotes: each whole, as `quoted` made it."""
    return _QUOTATION.findall(text)


def spoken_name(name: object) -> str | None:
    """`name` as it can be spoken, without markup; None where it is no name of a person.

    Args:
        name: What is kept as the name of a person, of whatever type.
    """
    plain = unicodedata.normalize("NFC", _plain(name))
    if not plain or len(plain) > _NAME_CHARS or len(plain.split()) > _NAME_WORDS:
        return None
    if "." in _ABBREVIATED.sub("", plain):
        return None
    # Letters, and the marks on them.
    letters = all(unicodedata.category(each)[0] in "LM" or each in " .'’-" for each in plain)
    return plain if letters and plain[0].isalpha() else None


def spoken_topic(candidates: Iterable[object]) -> str | None:
    """The first of `candidates` that names a topic in a few words, as it can be spoken.

    No topic are the titles that programs give, questions and sentences, markup, code, ids and
    addresses, and what is long.

    Args:
        candidates: Topics and titles, the best first, of whatever type.
    """
    return next(filter(None, map(_topic, candidates)), None)


def _topic(candidate: object) -> str | None:
    if not isinstance(candidate, str):
        return None
    text = _visible(candidate).strip(" \t\n.\"'«»“”‘’")
    if not 1 < len(text) <= _TOPIC_CHARS or len(text.split()) > _TOPIC_WORDS:
        return None
    if _NO_TOPIC.search(text) or _is_placeholder(text):
        return None
    return " ".join(text.split()) if re.search(r"[^\W\d_]{2}", text) else None


def _plain(text: object) -> str:
    """`text` in one line, without tags, links and Markdown's marks; empty where it is none."""
    if not isinstance(text, str):
        return ""
    bare = _LINK.sub(r"\1", _TAG.sub(" ", _visible(text)))
    return " ".join(_MARKS.sub(" ", bare).split())


def _visible(text: str) -> str:
    """`text` without what is not seen: control characters, marks of direction, half characters."""
    if text.isprintable():  # then nothing in it is, which is found a hundred times sooner
        return text
    return "".join(
        each if each in "\n\t" or not unicodedata.category(each).startswith("C") else ""
        for each in text
    )


def _is_placeholder(title: str) -> bool:
    bare = unicodedata.normalize("NFKD", title.lower())
    letters = "".join(each for each in bare if not unicodedata.combining(each))
    words = re.findall(r"[^\W\d_]+", letters)
    named = [word for word in words if word not in _OF_A_DATE]
    if not named:
        # A date, or nothing. A month alone may be what somebody talked about.
        return not words or any(each.isdigit() for each in letters)
    return _PLACEHOLDER.fullmatch(" ".join(named)) is not None

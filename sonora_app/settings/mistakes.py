"""Mistakes in a setting's text that editors, chats and examples bring in."""

import re
import unicodedata
from collections.abc import Iterable
from typing import NamedTuple, get_args

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from sonora_app.settings.env_file import Variable
from sonora_app.wording.translation import Worded, worded

_QUOTES = "“”„‟‘’‚‛«»‹›″′`´＂＇"

_IDENTIFIERS = ("_URL", "_ID", "_MODEL")
"""How the names of settings end, besides secrets, that an example may have left unfilled."""

_PLACEHOLDER = re.compile(
    r"""
    <[^<>]*> | \{[^{}]*\}                        # <your key>
    | \.\.\. | … | \*{3}                         # sk-...
    | (?<![a-z0-9])x{3,}(?![a-z0-9])             # sk-xxxx
    | (?<![a-z0-9])your[-_ ]                     # your-api-key
    | (?<![a-z0-9])[ts]u[-_ ](api|clave|llave|proyecto|secret|token|url)
    | [-_ ](here|aqu[ií])$
    | ^(change|replace|fill)[-_ ]?(me|this)$ | ^(todo|tbd|fixme|placeholder|cambia(me|r))$
    | xyzcompany\.supabase | project-ref\.supabase
    """,
    re.IGNORECASE | re.VERBOSE,
)


class Mistake(NamedTuple):
    """What is wrong with a setting as it was written, and what to do about it."""

    problem: Worded
    remedy: Worded


def meant_name(name: str, known: Iterable[str]) -> str | None:
    """Which of the `known` names is meant by a variable's name; None: it is none of them.

    Letters that are not ASCII may stand for any: many look like one of ours, in a script in which
    nobody names a setting.

    Args:
        name: As it was written.
        known: The names of settings, in capitals.
    """
    bare = unicodedata.normalize("NFC", _bare(name)).upper()
    if bare.isascii():
        return bare if bare in known else None
    pattern = "".join(re.escape(letter) if letter.isascii() else "." for letter in bare)
    return next((each for each in known if re.fullmatch(pattern, each)), None)


def find_mistake(variable: Variable, name: str, setting: FieldInfo) -> Mistake | None:
    """The first thing that is wrong with `variable`, or None.

    Args:
        variable: As it was written.
        name: The name that it is meant to have.
        setting: The setting that it is meant to set.
    """
    where = variable.where
    hidden = next(filter(_is_hidden, variable.name + variable.text + variable.value), None)
    if hidden is not None:
        return Mistake(
            worded(
                "{name} ({where}) has a character that cannot be seen, {character}",
                name=name,
                where=where,
                character=_told(hidden),
            ),
            worded("Delete the line and type it anew, instead of pasting it."),
        )
    if any(letter in _QUOTES for letter in (*variable.name, variable.value[0], variable.value[-1])):
        return Mistake(
            worded("{name} ({where}) is in typographic quotes", name=name, where=where),
            worded("Use straight quotes, or none."),
        )
    return _mistake_in_name(variable, name) or _mistake_in_value(variable, name, setting)


def _mistake_in_name(variable: Variable, name: str) -> Mistake | None:
    where = variable.where
    strange = next((letter for letter in variable.name if not letter.isascii()), None)
    if strange is not None:
        return Mistake(
            worded(
                "{name} ({where}) is written with a letter that only looks like one of its own, "
                "{character}",
                name=name,
                where=where,
                character=_told(strange),
            ),
            worded("Type the name anew, instead of pasting it."),
        )
    if variable.sign != "=":
        return Mistake(
            worded(
                "{name} ({where}) is followed by {character} in place of an equals sign",
                name=name,
                where=where,
                character=_told(variable.sign),
            ),
            worded("Write the line as NAME=value, or put # in front of it."),
        )
    return None


def _mistake_in_value(variable: Variable, name: str, setting: FieldInfo) -> Mistake | None:
    where = variable.where
    secret = SecretStr in (setting.annotation, *get_args(setting.annotation))
    if (secret or name.endswith(_IDENTIFIERS)) and _PLACEHOLDER.search(variable.value):
        return Mistake(
            worded("{name} ({where}) still has the text of an example", name=name, where=where),
            worded("Put your own value there, or delete the line."),
        )
    odd = next((letter for letter in variable.value if not letter.isascii()), None)
    if secret and odd is not None:
        return Mistake(
            worded(
                "{name} ({where}) has a character that no key has, {character}",
                name=name,
                where=where,
                character=_told(odd),
            ),
            worded("Copy the key again, from where the vendor shows it."),
        )
    return None


def _bare(name: str) -> str:
    """A variable's name without quotes and without what cannot be seen."""
    return "".join(letter for letter in name if letter not in _QUOTES and not _is_hidden(letter))


def _is_hidden(letter: str) -> bool:
    """Whether a character is a space other than a plain one, or shows nothing at all."""
    return letter not in " \t\r\n" and unicodedata.category(letter)[0] in "CZ"


def _told(letter: str) -> str:
    code = f"U+{ord(letter):04X}"
    name = unicodedata.name(letter, "")
    return f"{code} ({name})" if name else code

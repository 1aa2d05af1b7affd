"""Mistakes in a setting's text that editors, chats and examples bring in."""

import re
import unicodedata
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


def bare_name(name: str) -> str:
    """A variable's name without quotes and without what cannot be seen."""
    return "".join(letter for letter in name if letter not in _QUOTES and not _is_hidden(letter))


def find_mistake(variable: Variable, setting: FieldInfo) -> Mistake | None:
    """The first thing that is wrong with `variable`, or None.

    Args:
        variable: As it was written.
        setting: The setting that it is meant to set.
    """
    name, where = bare_name(variable.name), variable.where
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
    if variable.name != name or variable.value[0] in _QUOTES or variable.value[-1] in _QUOTES:
        return Mistake(
            worded("{name} ({where}) is in typographic quotes", name=name, where=where),
            worded("Use straight quotes, or none."),
        )
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


def _is_hidden(letter: str) -> bool:
    """Whether a character is a space other than a plain one, or shows nothing at all."""
    return letter not in " \t\r\n" and unicodedata.category(letter)[0] in "CZ"


def _told(letter: str) -> str:
    code = f"U+{ord(letter):04X}"
    name = unicodedata.name(letter, "")
    return f"{code} ({name})" if name else code

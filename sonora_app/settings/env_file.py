"""`.env` as text: what it sets, line by line, and what keeps it from being read."""

import os
import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

from dotenv.parser import Binding, parse_stream

from sonora_app.errors import SettingsError
from sonora_app.wording.translation import Worded, worded

IN_ENVIRONMENT = worded("in the environment")
"""Where a variable was written, if it was not in a file."""

_LINE_END = re.compile(r"\r\n|\n|\r")
_UTF16_MARKS = (BOM_UTF16_LE, BOM_UTF16_BE)
_LIKE_EQUALS = "＝﹦꞊═⹀゠₌⁼"
"""Characters that can be taken for an equals sign, the fullwidth one first."""


@dataclass(frozen=True)
class Variable:
    """A variable as somebody wrote it.

    Parameters:
        name: Its name.
        value: What it is set to.
        text: The whole text that sets it, with its name and its quotes.
        where: The file and the line, or the environment.
        sign: What stands between the two. Only an equals sign sets it.
    """

    name: str
    value: str = field(repr=False)
    text: str = field(repr=False)
    where: Worded
    sign: str = "="


def environment_variables() -> Iterator[Variable]:
    """What the environment sets."""
    for name, value in os.environ.items():
        if value.strip():
            yield Variable(name, value, value, IN_ENVIRONMENT)


def file_variables(file: Path) -> list[Variable]:
    """What `file` sets, or is meant to; nothing where there is no such file.

    Raises:
        SettingsError: The file cannot be read, is not in UTF-8, or has a line that sets nothing.
    """
    # A pipe, which a password manager may put there, can be read only once.
    if not file.is_file():
        return []
    variables: list[Variable] = []
    for binding in parse_stream(StringIO(_text(file))):
        where = _where(file, _line(binding))
        if binding.error:
            raise SettingsError(
                worded(
                    "The settings cannot be used: {problems}.",
                    problems=worded("{where}: not a setting", where=where),
                ),
                hint=worded("Write the line as NAME=value, or put # in front of it."),
            )
        if binding.key is None:
            continue
        text = binding.original.string.partition(" #")[0]
        name, sign, value = _parts(binding.key, binding.value)
        if value.strip():
            variables.append(Variable(name, value, text, where, sign))
    return variables


def named_variables(file: Path) -> dict[str, str]:
    """Every variable of the environment and of `file`, by its name; the environment wins.

    For the files of a deployment that name variables of their own, such as the secrets of tools.

    Raises:
        SettingsError: The file cannot be read, is not in UTF-8, or has a line that sets nothing.
    """
    written = {each.name: each.value for each in file_variables(file) if each.sign == "="}
    return written | dict(os.environ)


def _parts(name: str, value: str | None) -> tuple[str, str, str]:
    """A name, the sign that follows it, and the value, which dotenv takes for one long name where
    the sign is none that it knows."""
    signs = _LIKE_EQUALS if value is not None else f"{_LIKE_EQUALS}:："
    found = re.fullmatch(f"([^{signs}]+)([{signs}])(.*)", name)
    if found is None:
        return name, "=", value or ""
    return found[1], found[2], found[3] if value is None else f"{found[3]}={value}"


def _text(file: Path) -> str:
    try:
        data = file.read_bytes()
    except OSError as error:
        raise SettingsError(
            worded("{file} cannot be read: {reason}.", file=file, reason=error.strerror),
            hint=worded("Check who may read the file."),
        ) from None
    mixed = data.find(b"\0")
    if data.startswith(_UTF16_MARKS) or mixed >= 0:
        line = 1 if data.startswith(_UTF16_MARKS) else 1 + data[:mixed].count(b"\n")
        raise _not_utf8(worded("{where}: in UTF-16", where=_where(file, line)))
    if data.startswith(BOM_UTF8):
        where = _where(file, 1)
        raise _not_utf8(worded("{where}: a byte order mark, which cannot be seen", where=where))
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = 1 + data[: error.start].count(b"\n")
        raise _not_utf8(
            worded("{where}: not in UTF-8 but, it seems, in Latin-1", where=_where(file, line))
        ) from None


def _not_utf8(problem: Worded) -> SettingsError:
    return SettingsError(
        worded("The settings cannot be used: {problems}.", problems=problem),
        hint=worded("Save the file as UTF-8, without a byte order mark."),
    )


def _where(file: Path, line: int) -> Worded:
    return worded("{file}, line {line}", file=file, line=line)


def _line(binding: Binding) -> int:
    """The line that a binding's name stands on; dotenv counts from the empty lines above it."""
    text = binding.original.string
    empty = text[: len(text) - len(text.lstrip())]
    return binding.original.line + len(_LINE_END.findall(empty))

"""The words for whoever runs Sonora, in its commands and its console, in English and Spanish.

Also for whoever talks with it: what a page is told of errors.

The code has the English, and `spanish.yaml` beside this module has the Spanish for each text. The
output of `--json` and the log are never translated.
"""

import os
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any, cast

import yaml

_SPANISH = Path(__file__).with_name("spanish.yaml")

# The order of POSIX: the first that is set says which.
_VARIABLES = ("LC_ALL", "LC_MESSAGES", "LANG")

_asked_for = ContextVar[str]("the language that a page asks for", default="")


class Worded(str):
    """A text that is English, and remembers what it was made of, to be said in Spanish too."""

    template: str
    values: dict[str, object]


def worded(text: str, /, **values: object) -> Worded:
    """`text` with its values put in, for `say` and `in_spanish` to translate where it is shown.

    Args:
        text: The English, with a `{name}` for each value.
        **values: What to put in; what is itself worded is translated with it.
    """
    made = Worded(text.format(**values) if values else text)
    made.template, made.values = text, values
    return made


def joined(separator: str, texts: Iterable[str]) -> Worded:
    """Several texts as one, each of which is translated by itself.

    Args:
        separator: What stands between two of them.
        texts: At least one.
    """
    first, *rest = texts
    if not rest:
        return first if isinstance(first, Worded) else worded("{text}", text=first)
    template = f"{{first}}{separator}{{rest}}"
    return worded(template, first=first, rest=joined(separator, rest))


def say(text: str, /, **values: object) -> str:
    """`text` in the language of the environment, which is English unless it asks for Spanish.

    Args:
        text: The English, with a `{name}` for each value; or what `worded` gave.
        **values: What to put in.
    """
    said = worded(text, **values) if values else text
    return in_spanish(said) if is_spanish() else said


def as_data(text: str) -> Any:  # noqa: ANN401  # JSON
    """`text` as JSON, for another process to make it again by `from_data`."""
    if not isinstance(text, Worded):
        return text
    values = {
        name: as_data(value) if isinstance(value, str) else value
        for name, value in text.values.items()
    }
    return {"text": text.template, "values": values}


def from_data(data: Any) -> str:  # noqa: ANN401  # JSON
    """The text that `as_data` gave."""
    if isinstance(data, str):
        return data
    text, values = data["text"], data["values"].items()
    return worded(text, **{n: from_data(v) if isinstance(v, dict) else v for n, v in values})


def preferred(accepted: str) -> str:
    """`es` or `en`, by what an HTTP request accepts in `Accept-Language`."""
    tags = (tag.partition(";")[0].strip().lower() for tag in accepted.split(","))
    return next((tag[:2] for tag in tags if tag[:2] in ("es", "en")), "en")


def in_language(text: str, language: str) -> str:
    """`text` in a language, which is `es` or `en`."""
    return in_spanish(text) if language == "es" else text


def in_spanish(text: str) -> str:
    """`text` in Spanish; as it is, where it has no translation."""
    if not isinstance(text, Worded):
        return spanish().get(text, text)
    template = spanish().get(text.template, text.template)
    if not text.values:
        return template
    return template.format(
        **{
            name: in_spanish(value) if isinstance(value, Worded) else value
            for name, value in text.values.items()
        }
    )


@contextmanager
def words_in(language: str) -> Generator[None]:
    """Have `say` speak a language, `es` or `en`, whatever the environment asks for."""
    before = _asked_for.set(language)
    try:
        yield
    finally:
        _asked_for.reset(before)


def is_spanish() -> bool:
    """Whether `words_in`, or else LC_ALL, LC_MESSAGES or LANG, asks for Spanish."""
    variables = map(os.environ.get, _VARIABLES)
    asked = _asked_for.get() or next(filter(None, variables), "")
    return asked.partition("_")[0].partition(".")[0].lower() == "es"


@cache
def spanish() -> dict[str, str]:
    """The Spanish for each English text."""
    return cast(dict[str, str], yaml.safe_load(_SPANISH.read_text(encoding="utf-8")))

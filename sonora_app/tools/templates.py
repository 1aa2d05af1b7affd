"""Fills the placeholders of a request: `{{ argument }}`, of what the model gave.

An argument cannot leave its place in an address: it is percent-encoded, and what would still move
the path (`..`, or nothing at all) is refused.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, cast
from urllib.parse import quote, urlsplit, urlunsplit

ARGUMENT = re.compile(r"\{\{\s*([A-Za-z_][\w-]*)\s*\}\}")
VARIABLE = re.compile(r"\$\{([A-Za-z_]\w*)\}")
_ODD = re.compile(r"\{\{[^{}]*\}{0,2}|\$\{[^{}]*\}?")
_LEFT_OUT: Any = object()


class UnusableArgumentError(Exception):
    """An argument cannot stand where the request has it. The words are for the model."""


def placeholders(template: Any) -> Iterator[str]:  # noqa: ANN401  # JSON
    """The arguments that a template of JSON names."""
    if isinstance(template, str):
        yield from ARGUMENT.findall(template)
    elif isinstance(template, Mapping):
        for value in cast(Mapping[str, Any], template).values():
            yield from placeholders(value)
    elif isinstance(template, list):
        for value in cast(list[Any], template):
            yield from placeholders(value)


def no_placeholders(template: Any, *known: re.Pattern[str]) -> Iterator[str]:  # noqa: ANN401
    """What looks like a placeholder in a template of JSON and is none: it would be sent as it is.

    Args:
        template: The template.
        *known: What is filled in there.
    """
    if isinstance(template, str):
        for each in known:
            template = each.sub(" ", template)
        yield from _ODD.findall(template)
    elif isinstance(template, Mapping):
        for value in cast(Mapping[str, Any], template).values():
            yield from no_placeholders(value, *known)
    elif isinstance(template, list):
        for value in cast(list[Any], template):
            yield from no_placeholders(value, *known)


def check_port(address: str) -> None:
    """Look whether the port of an address is one.

    Raises:
        ValueError: It is not.
    """
    if urlsplit(address).port == 0:
        raise ValueError("0 is no port")


def filled_address(template: str, arguments: Mapping[str, Any]) -> str:
    """An address with its arguments in the path and the query.

    A parameter of the query whose argument was not given is left out.

    Raises:
        UnusableArgumentError: An argument of the path is missing, empty, or would move the path.
    """
    parts = urlsplit(template)
    segments = [_segment(segment, arguments) for segment in parts.path.split("/")]
    given = (_parameter(each, arguments) for each in parts.query.split("&"))
    query = "&".join(each for each in given if each)
    return urlunsplit((parts.scheme, parts.netloc, "/".join(segments), query, ""))


def filled_body(template: Any, arguments: Mapping[str, Any]) -> Any:  # noqa: ANN401  # JSON
    """A body of JSON with its arguments.

    A text that is one placeholder becomes the argument as it is; what was not given is left out of
    its object or list.
    """
    value = _filled(template, arguments)
    return None if value is _LEFT_OUT else value


def _segment(template: str, arguments: Mapping[str, Any]) -> str:
    if not ARGUMENT.search(template):
        return template
    segment = ARGUMENT.sub(lambda found: quote(_text(arguments, found[1]), safe=""), template)
    if not segment.strip("."):
        names = ", ".join(ARGUMENT.findall(template))
        raise UnusableArgumentError(f"{names} is missing or cannot be used")
    return segment


def _parameter(template: str, arguments: Mapping[str, Any]) -> str:
    names = ARGUMENT.findall(template)
    if names and all(arguments.get(name) is None for name in names):
        return ""
    return ARGUMENT.sub(lambda found: quote(_text(arguments, found[1]), safe=""), template)


def _filled(template: Any, arguments: Mapping[str, Any]) -> Any:  # noqa: ANN401
    if isinstance(template, str):
        if whole := ARGUMENT.fullmatch(template.strip()):
            return arguments.get(whole[1], _LEFT_OUT)
        return ARGUMENT.sub(lambda found: _text(arguments, found[1]), template)
    if isinstance(template, Mapping):
        filled = {
            name: _filled(value, arguments)
            for name, value in cast(Mapping[str, Any], template).items()
        }
        return {name: value for name, value in filled.items() if value is not _LEFT_OUT}
    if isinstance(template, list):
        items = [_filled(value, arguments) for value in cast(list[Any], template)]
        return [item for item in items if item is not _LEFT_OUT]
    return template


def _text(arguments: Mapping[str, Any], name: str) -> str:
    value = arguments.get(name)
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

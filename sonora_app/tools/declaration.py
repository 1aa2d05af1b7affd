"""Reads the tools of `flows/tools.yaml`, and names each mistake in it by tool and field.

See `docs/tools.md` for what may stand there.
"""

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import httpx
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sonora_app.errors import SettingsError
from sonora_app.tools.answers import PART, AnswerPart
from sonora_app.tools.field_problems import NEVER_OFFERED, field_problems
from sonora_app.tools.http import READING_METHODS, HttpRequest, HttpTool
from sonora_app.tools.python import PYTHON, PythonTool, function_named
from sonora_app.tools.templates import (
    ARGUMENT,
    VARIABLE,
    check_port,
    no_placeholders,
    placeholders,
)
from sonora_app.tools.tool import HTTP, NO_PARAMETERS, Tool
from sonora_app.tools.yaml_once import read_once
from sonora_app.wording.translation import Worded, joined, worded

_TOLD = 3
"""How many mistakes are told at once."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})
SECTIONS = frozenset({"tools", "mcp"})
"""What may stand in the file."""

CANCEL = "cancel_tool"
"""The function by which the model calls a tool off."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class _Request(_Strict):
    method: str = "GET"
    url: str
    headers: dict[str, str] = Field(default_factory=dict[str, str])
    body: Any = None


class _Answer(_Strict):
    path: str = ""
    template: str = ""
    max_chars: int = Field(2_000, ge=50, le=20_000)


class _Declared(_Strict):
    name: str
    description: str = Field(min_length=10)
    parameters: dict[str, Any] = Field(default_factory=lambda: dict(NO_PARAMETERS))
    request: _Request | None = None
    function: str = ""
    time_limit_secs: float = Field(10.0, gt=0, le=120, strict=False)
    answer: _Answer = Field(default_factory=lambda: _Answer(max_chars=2_000))
    repeatable: bool | None = None
    confirm: bool = False
    nodes: list[str] = Field(default_factory=lambda: ["conversation"])


_NO_JSON = worded("holds what is no JSON, such as a date that is not in quotes")
_HEADER = re.compile(r"[\w!#$%&'*+.^`|~-]+", re.ASCII)
_SENDABLE = re.compile(r"(?:[!-~](?:[ -~]*[!-~])?)?")


def load_tools(
    path: Path,
    variables: Mapping[str, str],
    *,
    nodes: Collection[str] | None = None,
    taken: Collection[str] = (),
) -> tuple[HttpTool | PythonTool, ...]:
    """The tools that a file declares; none where there is no file, or it declares none.

    Args:
        path: The file.
        variables: What `${NAME}` stands for.
        nodes: The nodes of the flow; None where they are not known.
        taken: The names that other functions have.

    Raises:
        SettingsError: There are mistakes. The message is one line, without any secret.
    """
    name = f"{path.parent.name}/{path.name}"
    try:
        tree: Any = read_once(path.read_text("utf-8"))
    except FileNotFoundError:
        return ()
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        problem = error.problem or "not YAML"
        raise _error(
            name, [worded("{file}, line {line}: {problem}", file=name, line=line, problem=problem)]
        ) from None
    except (OSError, ValueError, yaml.YAMLError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not YAML in UTF-8"
        raise _error(
            name, [worded("{file} cannot be read: {reason}", file=name, reason=reason)]
        ) from None
    declared, mistakes = _declared(tree, name)
    seen = {*taken, CANCEL}
    for each in declared:
        found = [*_mistakes(each, variables, nodes)]
        if each.name in seen:
            found.append(worded("name: another function has it"))
        seen.add(each.name)
        mistakes += [_of_tool(each.name, problem) for problem in found]
    if mistakes:
        raise _error(name, mistakes)
    return tuple(_tool(each, variables) for each in declared)


def _declared(tree: Any, name: str) -> tuple[list[_Declared], list[Worded]]:  # noqa: ANN401
    if tree is None:
        return [], []
    root = _mapping(tree)
    entries: Any = root.get("tools", [])
    # Beside them stand the MCP servers, which `tools/mcp` reads.
    if not root or not isinstance(entries or [], list):
        return [], [worded("{file} has no list of tools", file=name)]
    if unknown := sorted(set(root) - SECTIONS):
        return [], [worded("{file} has an unknown key {key}", file=name, key=unknown[0])]
    declared: list[_Declared] = []
    mistakes: list[Worded] = []
    for number, entry in enumerate(cast(list[Any], entries or []), start=1):
        called = str(_mapping(entry).get("name") or f"number {number}")
        try:
            declared.append(_Declared.model_validate(entry))
        except ValidationError as error:
            mistakes += [_of_tool(called, problem) for problem in field_problems(error)]
    return declared, mistakes


def _mistakes(
    each: _Declared, variables: Mapping[str, str], nodes: Collection[str] | None
) -> Iterator[Worded]:
    from sonora_app.tools.arguments import schema_mistake

    if not _NAME.fullmatch(each.name):
        yield worded("name: letters, digits, _ and - alone, and at most 64")
    schema = each.parameters
    if problem := schema_mistake(schema):
        yield worded("{field}: {problem}", field="parameters", problem=problem)
    elif schema.get("type") != "object" or not isinstance(schema.get("properties"), dict):
        yield worded("parameters: needs type: object and properties")
    elif not _is_json(schema):
        yield worded("{field}: {problem}", field="parameters", problem=_NO_JSON)
    else:
        for name in schema.get("required") or ():
            if name not in schema["properties"]:
                yield worded("parameters.required: {argument} is no property", argument=name)
    if not each.nodes:
        yield NEVER_OFFERED
    for node in each.nodes:
        if nodes is not None and node not in nodes:
            yield worded("nodes: {node} is no node of the flow", node=node)
    if (each.request is None) != bool(each.function):
        yield worded("it has either a request or a function")
    elif each.request is not None:
        yield from _request_mistakes(each, each.request, variables)
    elif problem := _function_mistake(each.function):
        yield worded("{field}: {problem}", field="function", problem=problem)


def _function_mistake(name: str) -> str | None:
    try:
        function_named(name)
    except ValueError as error:
        return str(error)
    return None


def _request_mistakes(
    each: _Declared, request: _Request, variables: Mapping[str, str]
) -> Iterator[Worded]:
    if request.method not in _METHODS:
        yield worded("request.method: one of {methods}", methods=", ".join(sorted(_METHODS)))
    if not _is_json(request.body):
        yield worded("{field}: {problem}", field="request.body", problem=_NO_JSON)
        return
    if request.method in READING_METHODS and request.body is not None:
        yield worded("request.body: a {method} has none", method=request.method)
    texts = {"request.url": request.url}
    texts |= {f"request.headers.{name}": text for name, text in request.headers.items()}
    for where, text in texts.items():
        for variable in VARIABLE.findall(text):
            if not variables.get(variable):
                yield worded("{field}: {variable} is not set", field=where, variable=variable)
        if where != "request.url" and ARGUMENT.search(text):
            yield worded("{field}: takes no argument", field=where)
        for odd in no_placeholders(text, ARGUMENT, VARIABLE):
            yield worded("{field}: {text} is not filled in", field=where, text=odd)
    for odd in no_placeholders(request.body, ARGUMENT):
        yield worded("{field}: {text} is not filled in", field="request.body", text=odd)
    for odd in no_placeholders(each.answer.template, PART):
        yield worded("{field}: {text} is not filled in", field="answer.template", text=odd)
    for name, text in request.headers.items():
        if not (_HEADER.fullmatch(name) and _SENDABLE.fullmatch(_filled(text, variables))):
            yield worded("{field}: cannot be sent in a header", field=f"request.headers.{name}")
    yield from _address_mistakes(_filled(request.url, variables))
    known = cast(Mapping[str, Any], each.parameters.get("properties") or {})
    for name in dict.fromkeys((*placeholders(request.url), *placeholders(request.body))):
        if name not in known:
            yield worded("request: {argument} is no parameter of it", argument=name)


def _address_mistakes(address: str) -> Iterator[Worded]:
    try:
        parts = urlsplit(address)
        in_host = ARGUMENT.search(parts.netloc)
        if not in_host:
            check_port(address)
            httpx.URL(address)
    except (ValueError, httpx.InvalidURL):
        yield worded("request.url: it is no address")
        return
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.fragment:
        yield worded("request.url: an address that begins with https:// or http://")
    elif in_host:
        yield worded("request.url: no argument can stand in the host")


def _filled(text: str, variables: Mapping[str, str]) -> str:
    return VARIABLE.sub(lambda found: variables.get(found[1]) or "1", text)


def _is_json(value: Any) -> bool:  # noqa: ANN401  # YAML
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def _tool(each: _Declared, variables: Mapping[str, str]) -> HttpTool | PythonTool:
    request = each.request
    reads = request is not None and request.method in READING_METHODS
    tool = Tool(
        name=each.name,
        description=" ".join(each.description.split()),
        parameters=each.parameters,
        source=HTTP if request is not None else PYTHON,
        time_limit_secs=each.time_limit_secs,
        repeatable=reads if each.repeatable is None else each.repeatable,
        confirm=each.confirm,
        nodes=tuple(each.nodes),
        max_chars=each.answer.max_chars,
    )
    if request is None:
        return PythonTool(tool, function_named(each.function))
    return HttpTool(
        tool,
        HttpRequest(
            method=request.method,
            url=_filled(request.url, variables),
            headers={name: _filled(text, variables) for name, text in request.headers.items()},
            body=request.body,
            answer=AnswerPart(each.answer.path, each.answer.template),
        ),
    )


def _mapping(value: Any) -> Mapping[str, Any]:  # noqa: ANN401  # YAML
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


def _of_tool(tool: str, problem: Worded) -> Worded:
    return worded("tool {tool}, {problem}", tool=tool, problem=problem)


def _error(file: str, mistakes: Iterable[Worded]) -> SettingsError:
    found = list(mistakes)
    told = found[:_TOLD]
    if more := len(found) - len(told):
        told.append(worded("and {count} more", count=more))
    return SettingsError(
        worded("The tools cannot be used: {problems}.", problems=joined("; ", told)),
        hint=worded("Mend {file}; docs/tools.md says what may stand there.", file=file),
    )

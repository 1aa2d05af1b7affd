"""Reads the MCP servers of `flows/tools.yaml`, and names each mistake by server and field.

See `docs/tools.md` for what may stand there.
"""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import yaml
from pydantic import ValidationError

from sonora_app.errors import SettingsError
from sonora_app.tools.field_problems import NEVER_OFFERED, field_problems
from sonora_app.tools.mcp.servers import McpServer, offered_name
from sonora_app.tools.templates import VARIABLE, no_placeholders
from sonora_app.tools.tool import HTTP
from sonora_app.wording.translation import Worded, joined, worded

_TOLD = 3
"""How many mistakes are told at once."""


def load_servers(
    path: Path,
    variables: Mapping[str, str],
    *,
    nodes: Collection[str] | None = None,
    taken: Collection[str] = (),
) -> tuple[McpServer, ...]:
    """The MCP servers that a file declares; none where there is no file, or it declares none.

    What else is wrong with the file is told by whoever reads its other tools.

    Args:
        path: The file.
        variables: What `${NAME}` stands for.
        nodes: The nodes of the flow; None where they are not known.
        taken: The names that other functions have.

    Raises:
        SettingsError: There are mistakes. The message is one line, without any secret.
    """
    try:
        tree: Any = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return ()
    section: Any = cast(dict[str, Any], tree).get("mcp") if isinstance(tree, Mapping) else None
    if not section:
        return ()
    servers, mistakes = _declared(section)
    seen = {HTTP}
    names = set(taken)
    for server in servers:
        found = [*_mistakes(server, variables, nodes, names)]
        if server.name in seen:
            found.append(worded("name: another server has it"))
        seen.add(server.name)
        names |= {offered_name(server.name, tool) for tool in server.tools}
        mistakes += [_of_server(server.name, problem) for problem in found]
    if mistakes:
        raise _error(f"{path.parent.name}/{path.name}", mistakes)
    return tuple(servers)


def _declared(section: Any) -> tuple[list[McpServer], list[Worded]]:  # noqa: ANN401  # YAML
    if not isinstance(section, list):
        return [], [worded("mcp: is a list of servers")]
    servers: list[McpServer] = []
    mistakes: list[Worded] = []
    for number, entry in enumerate(cast(list[Any], section), start=1):
        fields: Mapping[str, Any] = {}
        if isinstance(entry, Mapping):
            fields = cast(Mapping[str, Any], entry)
        called = str(fields.get("name") or f"number {number}")
        try:
            servers.append(McpServer.model_validate(entry))
        except ValidationError as error:
            mistakes += [_of_server(called, problem) for problem in field_problems(error)]
    return servers, mistakes


def _mistakes(
    server: McpServer,
    variables: Mapping[str, str],
    nodes: Collection[str] | None,
    taken: Collection[str],
) -> Iterator[Worded]:
    for variable in sorted(server.secrets):
        if not variables.get(variable):
            yield worded("{variable} is not set", variable=variable)
    if () in (server.nodes, *(how.nodes for how in server.tools.values())):
        yield NEVER_OFFERED
    named = {*server.nodes, *(node for how in server.tools.values() for node in how.nodes or ())}
    for node in sorted(named):
        if nodes is not None and node not in nodes:
            yield worded("nodes: {node} is no node of the flow", node=node)
    names = set(taken)
    for tool in server.tools:
        name = offered_name(server.name, tool)
        if name in names:
            yield worded("tools: {name} is another function", name=name)
        names.add(name)
    for text in no_placeholders([server.url, server.command, list(server.args)]):
        yield worded("{field}: {text} is not filled in", field="url, command, args", text=text)
    for text in no_placeholders([server.headers, server.env], VARIABLE):
        yield worded("{field}: {text} is not filled in", field="headers, env", text=text)


def _of_server(server: str, problem: Worded) -> Worded:
    return worded("server {server}, {problem}", server=server, problem=problem)


def _error(file: str, mistakes: list[Worded]) -> SettingsError:
    told = mistakes[:_TOLD]
    if more := len(mistakes) - len(told):
        told.append(worded("and {count} more", count=more))
    return SettingsError(
        worded("The MCP servers cannot be used: {problems}.", problems=joined("; ", told)),
        hint=worded("Mend {file}; docs/tools.md says what may stand there.", file=file),
    )

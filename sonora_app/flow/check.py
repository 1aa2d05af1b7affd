"""Finds mistakes in the files of `flows/`, and names each by file, node and function.

The check needs nothing of Pipecat but its YAML loader, so that it takes milliseconds: a bot can
tell of a mistake before it says that it is ready. Pipecat checks the flow again when it loads it.
"""

import ast
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import yaml

from sonora_app.errors import SettingsError
from sonora_app.flow.lines import FLOWS_DIR
from sonora_app.flow.places import Places
from sonora_app.settings import Language
from sonora_app.wording.translation import Worded, joined, worded

_TOLD = 3
"""How many mistakes are told at once."""

_Tree = Mapping[str, Any]

_FLOW_KEYS = {"initial_node", "nodes", "global_functions"}
_NODE_KEYS = {
    *("task_messages", "role_message", "functions", "pre_actions", "post_actions"),
    *("context_strategy", "respond_immediately"),
}
_FUNCTION_KEYS = {"name", "transition_only", "description", "transition_to"}
_BRANCH_KEYS = {"field", "cases", "default"}


def check_flows(folder: Path | None = None) -> None:
    """Look for mistakes in the flow, its lines and the request for a summary.

    Args:
        folder: Where the files are; `flows/` if not given.

    Raises:
        SettingsError: There are mistakes. The message is one line.
    """
    folder = folder or FLOWS_DIR
    found = [*_flow_mistakes(folder), *_lines_mistakes(folder / "lines"), *_summary(folder)]
    if found:
        raise flow_error(found)


def names_of_flow() -> tuple[set[str], set[str]]:
    """The nodes of the flow, and its functions, by their names.

    Raises:
        SettingsError: The files of `flows/` have mistakes.
    """
    check_flows()
    reading = _read(FLOWS_DIR / "sonora.yaml", "flows/sonora.yaml")
    try:
        raise flow_error([next(reading)])
    except StopIteration as read:
        tree = cast(_Tree, read.value)
    nodes = cast("Mapping[str, _Tree]", tree["nodes"])
    functions = [each for node in nodes.values() for each in _list(node.get("functions"))]
    functions += _list(tree.get("global_functions"))
    return set(nodes), {_name(function) for function in functions}


def flow_error(mistakes: list[Worded]) -> SettingsError:
    """The error that tells of mistakes in one line."""
    told = mistakes[:_TOLD]
    if more := len(mistakes) - len(told):
        told.append(worded("and {count} more", count=more))
    return SettingsError(
        worded("The flow cannot be used: {problems}.", problems=joined("; ", told)),
        hint=worded("Mend flows/sonora.yaml or flows/handlers.py."),
    )


def as_flow_error(error: Exception) -> SettingsError:
    """What Pipecat finds wrong with a flow, in one line."""
    told = " ".join(str(error).split()).removesuffix(".")
    return flow_error([worded("{error}", error=told)])


def _flow_mistakes(folder: Path) -> Iterator[Worded]:
    name = "flows/sonora.yaml"
    tree = yield from _read(folder / "sonora.yaml", name)
    if tree is None:
        return
    nodes = tree.get("nodes")
    if not isinstance(nodes, dict) or not nodes:
        yield worded("{file} has no nodes", file=name)
        return
    if _is_older_form(tree):
        yield worded("{file} has the older JSON form of the Flows editor", file=name)
        return
    nodes = cast(_Tree, nodes)
    places = Places(folder / "sonora.yaml", name)
    handlers = yield from _handlers(folder / "handlers.py")
    for key in tree.keys() - _FLOW_KEYS:
        yield worded("{file} has an unknown key {key}", file=name, key=key)
    if tree.get("initial_node") not in nodes:
        node = tree.get("initial_node")
        yield worded("the initial node {node} does not exist", node=node)
    shared = _list(tree.get("global_functions"))
    for number, function in enumerate(shared):
        for problem in _function_mistakes(function, nodes, handlers):
            told = worded(
                "global function {function} {problem}",
                function=_name(function),
                problem=problem,
            )
            yield places.at(told, "global_functions", number)
    taken = [_name(function) for function in shared]
    for node, content in nodes.items():
        for told, *path in _node_mistakes(node, content, nodes, handlers, taken):
            yield places.at(told, "nodes", node, *path)
    yield from _misread_cases(tree, nodes, places)


def _misread_cases(tree: _Tree, nodes: _Tree, places: Places) -> Iterator[Worded]:
    """Cases that no result meets, since Pipecat's YAML has another value for what is written.

    As a bare `no`, which is `false` there, and in the Flows editor the word.
    """
    holders = ((content, ("nodes", node, "functions")) for node, content in nodes.items())
    for holder, path in ((tree, ("global_functions",)), *holders):
        functions = cast(_Tree, holder).get(path[-1]) if isinstance(holder, dict) else None
        for number, function in enumerate(_list(functions)):
            leads = function.get("transition_to")
            cases: object = cast(_Tree, leads).get("cases") if isinstance(leads, dict) else None
            keys = [*cast("dict[object, object]", cases)] if isinstance(cases, dict) else []
            if all(isinstance(key, str) for key in keys):
                continue
            under = (*path, number, "transition_to", "cases")
            for written, read in places.misread(*under):
                told = worded(
                    "function {function} has the case {written}, which YAML reads as {read}: "
                    "put it in quotes",
                    function=_name(function),
                    written=written,
                    read=read,
                )
                yield places.at(told, *under, written)


def _node_mistakes(
    node: str, content: object, nodes: _Tree, handlers: set[str] | None, taken: list[str]
) -> Iterator[tuple[Worded, *tuple[str | int, ...]]]:
    """What is wrong with a node, and where in it."""
    if not isinstance(content, dict):
        yield (worded("node {node} is empty", node=node),)
        return
    tree = cast(_Tree, content)
    for key in sorted(tree.keys() - _NODE_KEYS):
        yield worded("node {node} has an unknown key {key}", node=node, key=key), key
    if not isinstance(tree.get("task_messages"), list):
        yield (worded("node {node} has no list of task_messages", node=node),)
    seen = [*taken]
    for number, function in enumerate(_list(tree.get("functions"))):
        name = _name(function)
        problems = [*_function_mistakes(function, nodes, handlers)]
        if name in seen:
            problems.append(worded("is there twice"))
        seen.append(name)
        for problem in problems:
            told = worded(
                "node {node}, function {function} {problem}",
                node=node,
                function=name,
                problem=problem,
            )
            yield told, "functions", number
    for key in ("pre_actions", "post_actions"):
        for number, action in enumerate(_list(tree.get(key))):
            handler = action.get("handler")
            if handlers is not None and handler and handler not in handlers:
                told = worded(
                    "node {node}, action {action} has no handler {handler} in flows/handlers.py",
                    node=node,
                    action=action.get("type"),
                    handler=handler,
                )
                yield told, key, number


def _function_mistakes(
    function: _Tree, nodes: _Tree, handlers: set[str] | None
) -> Iterator[Worded]:
    for key in sorted(function.keys() - _FUNCTION_KEYS):
        yield worded("has an unknown key {key}", key=key)
    leads = function.get("transition_to")
    targets = [leads]
    if isinstance(leads, dict):
        branch = cast(_Tree, leads)
        for key in sorted(branch.keys() - _BRANCH_KEYS):
            yield worded("has an unknown key {key}", key=key)
        cases = branch.get("cases")
        if not isinstance(cases, dict) or not isinstance(branch.get("field"), str):
            yield worded("leads by cases, and has no field or no cases")
            cases = {}
        targets = [*cast(_Tree, cases).values(), branch.get("default")]
    for target in targets:
        if target is not None and target not in nodes:
            yield worded("leads to {target}, which is no node", target=target)
    if function.get("transition_only"):
        if not function.get("description") or not isinstance(leads, str):
            yield worded("is transition_only, and needs a description and a node to lead to")
    elif "description" in function:
        yield worded("has a description here, which belongs in its handler's docstring")
    elif handlers is not None and _name(function) not in handlers:
        yield worded("has no handler in flows/handlers.py")


def _lines_mistakes(folder: Path) -> Iterator[Worded]:
    keys: dict[Language, set[str]] = {}
    for language in Language:
        tree = yield from _read(folder / f"{language}.yaml", f"flows/lines/{language}.yaml")
        if tree is not None:
            keys[language] = set(line_keys(tree))
    every = set[str]().union(*keys.values())
    for language, own in keys.items():
        for key in sorted(every - own):
            yield worded("flows/lines/{language}.yaml has no {key}", language=language, key=key)


def _summary(folder: Path) -> Iterator[Worded]:
    name = "flows/summary.yaml"
    tree = yield from _read(folder / "summary.yaml", name)
    for key in ("instruction", "schema"):
        if tree is not None and not tree.get(key):
            yield worded("{file} has no {key}", file=name, key=key)


def line_keys(tree: object, path: str = "") -> Iterator[str]:
    """The key of each line of a language: dots walk into the file."""
    if not isinstance(tree, Mapping):
        yield path.removeprefix(".")
        return
    for key, value in cast(Mapping[object, object], tree).items():
        yield from line_keys(value, f"{path}.{key}")


def _read(path: Path, name: str) -> Generator[Worded, None, _Tree | None]:
    """Read a file. What is wrong with it is yielded; the tree is returned, or None."""
    # Importing Pipecat writes to the log.
    from pipecat.utils.yaml import include_loader

    try:
        tree: object = yaml.load(path.read_text("utf-8"), include_loader(path.parent))  # noqa: S506  # a safe loader
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        problem = error.problem or "not YAML"
        yield worded("{file}, line {line}: {problem}", file=name, line=line, problem=problem)
    except (OSError, ValueError, yaml.YAMLError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not YAML in UTF-8"
        yield worded("{file} cannot be read: {reason}", file=name, reason=reason)
    else:
        if isinstance(tree, dict):
            return cast(_Tree, tree)
        yield worded("{file} is empty, or is a list", file=name)
    return None


def _is_older_form(tree: _Tree) -> bool:
    """Whether a flow is as the Flows editor wrote it before flows were YAML.

    Such a flow has the schema of each tool in it, with the handler's name as text.
    """
    for node in cast(_Tree, tree["nodes"]).values():
        if not isinstance(node, dict):
            continue
        content = cast(_Tree, node)
        if "role_messages" in content:
            return True
        for function in _list(content.get("functions")):
            if "function" in function or "parameters" in function or "handler" in function:
                return True
    return False


def _handlers(path: Path) -> Generator[Worded, None, set[str] | None]:
    """Return the names that the handlers' module defines; None where that cannot be told."""
    try:
        module = ast.parse(path.read_text("utf-8"))
    except SyntaxError as error:
        name, line, problem = "flows/handlers.py", error.lineno or 1, error.msg
        yield worded("{file}, line {line}: {problem}", file=name, line=line, problem=problem)
        return None
    except (OSError, ValueError):
        return None
    names: set[str] = set()
    for statement in module.body:
        match statement:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                names.add(name)
            case ast.Import(names=imported) | ast.ImportFrom(names=imported):
                names |= {alias.asname or alias.name for alias in imported}
            case ast.Assign(targets=targets):
                names |= {target.id for target in targets if isinstance(target, ast.Name)}
            case _:
                pass
    return None if "*" in names else names


def _list(value: object) -> list[_Tree]:
    if not isinstance(value, list):
        return []
    return [cast(_Tree, item) for item in cast(list[object], value) if isinstance(item, dict)]


def _name(function: _Tree) -> str:
    return str(function.get("name", "?"))

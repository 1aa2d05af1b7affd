"""Checks the project's own files, for `sonora doctor`."""

import tomllib
from pathlib import Path

import yaml

from sonora_app.errors import SonoraError
from sonora_app.flow.check import check_flows, line_keys
from sonora_app.identity.callers import Finding
from sonora_app.settings import Language, Settings
from sonora_app.settings.unknown import unknown_names
from sonora_app.tools.declared import declared_tools, tools_path
from sonora_app.wording.translation import joined, worded


def examine_names(settings: Settings) -> Finding:
    """Whether each name that is set is one of a setting."""
    found = worded("ENV is {env}", env=settings.env)
    unknown = unknown_names(tools_path(settings))
    if not unknown:
        return "ok", found, ""
    advice = worded("Mend the name, or delete the line. See docs/settings.md.")
    return "note", joined("; ", [found, *unknown]), advice


def examine_flow() -> Finding:
    """Whether the flow can be run, and how large it is."""
    try:
        check_flows()
        from flows import handlers
        from sonora_app.flow.picture.diagram import load_graph

        graph = load_graph(handlers)
    except SonoraError as error:
        return "problem", error.message, error.hint
    except ImportError as error:
        found = worded("its handlers cannot be imported: {error}", error=error)
        return "problem", found, worded("Run `uv sync`.")
    nodes, ways = len(graph.nodes), len(graph.edges)
    return "ok", worded("{nodes} nodes, {ways} ways", nodes=nodes, ways=ways), ""


def examine_tools(settings: Settings) -> Finding:
    """Whether the tools that are declared can be used, and which they are."""
    try:
        names = [each.tool.name for each in declared_tools(settings)]
    except SonoraError as error:
        return "problem", error.message, error.hint
    if not names:
        return "ok", worded("none declared"), ""
    return "ok", worded("{count}: {names}", count=len(names), names=", ".join(names)), ""


def examine_lines(folder: Path) -> Finding:
    """Whether each fixed line is there in every language.

    Args:
        folder: Where the lines are, a file for each language.
    """
    try:
        keys = {
            language: set(
                line_keys(yaml.safe_load((folder / f"{language}.yaml").read_text("utf-8")))
            )
            for language in Language
        }
    except (OSError, ValueError, yaml.YAMLError) as error:
        return "problem", worded("they cannot be read: {error}", error=error), ""
    every = set[str]().union(*keys.values())
    missing = [
        f"{language} {key}" for language in Language for key in sorted(every - keys[language])
    ]
    if missing:
        found = worded("missing: {lines}", lines="; ".join(missing))
        return "problem", found, worded("Write the line in every language of flows/lines/.")
    languages = ", ".join(Language)
    return "ok", worded("{count} in {languages}", count=len(every), languages=languages), ""


def examine_deployment(path: Path, settings: Settings) -> Finding:
    """Whether the platform lets a call come to its end.

    Args:
        path: The deployment file.
        settings: The settings of the bot.
    """
    try:
        data = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        advice = worded("Needed only where one deploys from.")
        return "note", worded("no {file}", file=path.name), advice
    except (OSError, ValueError) as error:
        return "problem", worded("{file} cannot be read: {error}", file=path.name, error=error), ""
    needed = settings.max_call_secs + 2 * settings.closing_secs
    limit = data.get("max_session_duration")
    if isinstance(limit, int) and limit > needed:
        return "ok", worded("{file}, sessions of up to {limit} s", file=path.name, limit=limit), ""
    advice = worded(
        "Set it above {needed}: a call's limit and twice the time to wind it up, so that the "
        "platform does not cut a call before its farewell.",
        needed=f"{needed:g}",
    )
    return "problem", worded("max_session_duration is {limit}", limit=limit), advice


def examine_lock(root: Path) -> Finding | None:
    """Whether `uv.lock` is of the date that `pyproject.toml` has; None where nothing is wrong.

    uv takes a lock for current whose date is the earlier one.

    Args:
        root: The project's folder.
    """
    try:
        locked = tomllib.loads((root / "uv.lock").read_text("utf-8"))["options"]["exclude-newer"]
        project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))
        wanted = project["tool"]["uv"]["exclude-newer"]
    except (OSError, ValueError, KeyError):
        # An installed package has neither, and what is wrong with them otherwise uv says itself.
        return None
    if locked == wanted:
        return None
    found = worded(
        "uv.lock is of {locked}, pyproject.toml of {wanted}", locked=locked, wanted=wanted
    )
    return "problem", found, worded("Run `uv lock --upgrade`, then `uv sync`.")

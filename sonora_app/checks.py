"""What can be told of this installation without a call: is everything there that one needs?

Nothing is changed, and no secret appears in what is found. No vendor is asked; the Supabase project
is, for its public keys and its schema.
"""

import asyncio
import contextlib
import ctypes
import importlib
import os
import platform
import socket
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import yaml

from sonora_app.conversation.journal import Journal
from sonora_app.conversation.migrations import MIGRATIONS
from sonora_app.errors import SettingsError, SonoraError
from sonora_app.identity import Finding, examine_identity
from sonora_app.lines import FLOWS_DIR
from sonora_app.settings import Language, Settings, SpeechModel, Vendor, load_settings
from sonora_app.supabase_checks import examine_outbox, examine_project

PYTHON = ((3, 11), (3, 14))
"""The oldest Python that Sonora runs on, and the first that it does not."""

PORT = 7860
"""Where `bot.py` serves when it is run by hand."""

_VENDORS = {
    Vendor.STT: ("Speech recognition", "DEEPGRAM_API_KEY"),
    Vendor.LLM: ("Language model", "OPENAI_API_KEY"),
    Vendor.TTS: ("Voice", "CARTESIA_API_KEY"),
}


class CheckState(StrEnum):
    """How a check came out: as it should be, worth knowing, or to be mended."""

    OK = "ok"
    NOTE = "note"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Check:
    """One check.

    Parameters:
        name: What was looked at.
        state: How it came out.
        found: What was found, in a few words, without any secret.
        advice: What to do about it; empty when there is nothing to do.
    """

    name: str
    state: CheckState
    found: str
    advice: str = ""


async def run_checks(*, root: Path = FLOWS_DIR.parent, port: int | None = PORT) -> list[Check]:
    """Look at everything, in the order in which one would mend it.

    Args:
        root: The project's folder: its lines and its deployment file are looked at.
        port: Where the bot would serve; None when it does already, and need not be asked.
    """
    checks = [_python()]
    try:
        settings = load_settings()
    except SettingsError as error:
        checks.append(Check("Settings", CheckState.PROBLEM, error.message, error.hint))
        return [*checks, await asyncio.to_thread(_flow), _lines(root / "flows" / "lines")]
    return [
        *checks,
        Check("Settings", CheckState.OK, f"ENV is {settings.env}"),
        *(_key(settings, vendor) for vendor in Vendor),
        *_base_urls(settings),
        *_voice_stand_in(settings),
        _found("Identity", await examine_identity(settings)),
        _found("Supabase", await examine_project(settings)),
        await asyncio.to_thread(_flow),
        _lines(root / "flows" / "lines"),
        _data_folder(settings.data_dir),
        await _journal(settings.journal_path),
        *_found_if_any("Outbox", await examine_outbox(settings)),
        *(() if port is None else (_port(port),)),
        _deployment(root / "pcc-deploy.toml", settings),
    ]


def _python() -> Check:
    found = platform.python_version()
    if PYTHON[0] <= sys.version_info[:2] < PYTHON[1]:
        return Check("Python", CheckState.OK, found)
    first, beyond = (".".join(map(str, version)) for version in PYTHON)
    return Check(
        "Python", CheckState.PROBLEM, found, f"Use a Python from {first} on, before {beyond}."
    )


def _key(settings: Settings, vendor: Vendor) -> Check:
    name, variable = _VENDORS[vendor]
    if settings.key(vendor) is not None:
        return Check(name, CheckState.OK, f"{variable} is set")
    if settings.is_local:
        return Check(
            name,
            CheckState.NOTE,
            f"{variable} is missing: the rehearsal stand-in takes its place",
            f"Set {variable} in .env for the real one.",
        )
    return Check(
        name,
        CheckState.PROBLEM,
        f"{variable} is missing",
        "Add it to the agent's secret set (pipecat cloud secrets set).",
    )


def _base_urls(settings: Settings) -> Iterator[Check]:
    web, sockets = ("https", "http"), ("wss", "ws")
    flux = settings.speech_model is SpeechModel.FLUX
    for variable, url, schemes in (
        ("DEEPGRAM_BASE_URL", settings.deepgram_base_url, sockets if flux else (*sockets, *web)),
        ("OPENAI_BASE_URL", settings.openai_base_url, web),
        ("OPENAI_FALLBACK_BASE_URL", settings.openai_fallback_base_url, web),
        ("CARTESIA_BASE_URL", settings.cartesia_base_url, sockets),
        ("CARTESIA_FALLBACK_BASE_URL", settings.cartesia_fallback_base_url, sockets),
    ):
        if url:
            yield _base_url(variable, url, schemes)


def _base_url(variable: str, url: str, schemes: tuple[str, ...]) -> Check:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, None
    if parts is None or not host or parts.scheme not in schemes:
        wanted = " or ".join(f"{scheme}://" for scheme in schemes)
        return Check(
            variable, CheckState.PROBLEM, "not an address", f"Write it as {wanted} and the host."
        )
    # Not the whole address: a gateway's may carry a password.
    where = host if port is None else f"{host}:{port}"
    if parts.scheme in ("http", "ws") and host not in ("localhost", "127.0.0.1", "::1"):
        return Check(
            variable,
            CheckState.NOTE,
            f"{where}, without encryption",
            "The key and what people say go there in the clear.",
        )
    return Check(variable, CheckState.OK, where)


def _voice_stand_in(settings: Settings) -> Iterator[Check]:
    if not settings.is_local or Vendor.TTS not in settings.stand_ins():
        return
    try:
        loader: Any = importlib.import_module("espeakng_loader")
        ctypes.CDLL(loader.get_library_path())
        loader.get_data_path()
    except (ImportError, OSError, RuntimeError):
        yield Check(
            "Stand-in voice",
            CheckState.PROBLEM,
            "espeak-ng is not there",
            "Run `uv sync`, or set CARTESIA_API_KEY.",
        )
    else:
        yield Check("Stand-in voice", CheckState.OK, "espeak-ng")


def _found(name: str, finding: Finding) -> Check:
    state, found, advice = finding
    return Check(name, CheckState(state), found, advice)


def _found_if_any(name: str, finding: Finding | None) -> Iterator[Check]:
    if finding is not None:
        yield _found(name, finding)


def _flow() -> Check:
    try:
        from sonora_app.flow_diagram import load_graph

        graph = load_graph()
    except SonoraError as error:
        return Check("Flow", CheckState.PROBLEM, error.message, error.hint)
    except ImportError as error:
        return Check(
            "Flow",
            CheckState.PROBLEM,
            f"its handlers cannot be imported: {error}",
            "Run `uv sync`.",
        )
    return Check("Flow", CheckState.OK, f"{len(graph.nodes)} nodes, {len(graph.edges)} ways")


def _lines(folder: Path) -> Check:
    try:
        keys = {
            language: set(_keys(yaml.safe_load((folder / f"{language}.yaml").read_text("utf-8"))))
            for language in Language
        }
    except (OSError, ValueError, yaml.YAMLError) as error:
        return Check("Lines", CheckState.PROBLEM, f"they cannot be read: {error}")
    every = set[str]().union(*keys.values())
    missing = [
        f"{language} lacks {key}" for language in Language for key in sorted(every - keys[language])
    ]
    if missing:
        advice = "Write the line in every language of flows/lines/."
        return Check("Lines", CheckState.PROBLEM, "; ".join(missing), advice)
    return Check("Lines", CheckState.OK, f"{len(every)} in {' and '.join(Language)}")


def _keys(tree: object, path: str = "") -> Iterator[str]:
    if not isinstance(tree, Mapping):
        yield path.removeprefix(".")
        return
    for key, value in cast(Mapping[object, object], tree).items():
        yield from _keys(value, f"{path}.{key}")


def _data_folder(folder: Path) -> Check:
    existing = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if existing.is_dir() and os.access(existing, os.W_OK | os.X_OK):
        found = str(folder) if folder.exists() else f"{folder}, to be made at the first call"
        return Check("Data folder", CheckState.OK, found)
    return Check(
        "Data folder",
        CheckState.PROBLEM,
        f"{existing} cannot be written to" if existing.is_dir() else f"{existing} is not a folder",
        "Set SONORA_DATA_DIR to a folder that this user may write to.",
    )


async def _journal(path: Path) -> Check:
    if not await asyncio.to_thread(path.exists):
        return Check("Journal", CheckState.OK, "nothing kept yet")
    try:
        journal = await Journal.connect(path, read_only=True)
        try:
            await journal.conversations(limit=1)
        finally:
            await journal.aclose()
    except SonoraError as error:
        return Check("Journal", CheckState.PROBLEM, error.message, error.hint)
    return Check("Journal", CheckState.OK, f"{path}, schema {len(MIGRATIONS)}")


def _port(port: int) -> Check:
    # Asked, not taken: a bind of ours could get in the way of a bot that is just starting.
    with contextlib.closing(socket.socket()) as asking:
        asking.settimeout(1.0)
        taken = asking.connect_ex(("127.0.0.1", port)) == 0
    if taken:
        return Check(
            "Port",
            CheckState.NOTE,
            f"{port} is in use",
            "A bot may be running already; `uv run bot.py --port N` takes another.",
        )
    return Check("Port", CheckState.OK, f"{port} is free")


def _deployment(path: Path, settings: Settings) -> Check:
    name = "Deployment"
    try:
        data = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        advice = "Needed only where one deploys from."
        return Check(name, CheckState.NOTE, f"no {path.name}", advice)
    except (OSError, ValueError) as error:
        return Check(name, CheckState.PROBLEM, f"{path.name} cannot be read: {error}")
    needed = settings.max_call_secs + 2 * settings.closing_secs
    limit = data.get("max_session_duration")
    if isinstance(limit, int) and limit > needed:
        return Check(name, CheckState.OK, f"{path.name}, sessions of up to {limit} s")
    return Check(
        name,
        CheckState.PROBLEM,
        f"max_session_duration is {limit}",
        f"Set it above {needed:g}: a call's limit and twice the time to wind it up, so that the "
        "platform does not cut a call before its farewell.",
    )

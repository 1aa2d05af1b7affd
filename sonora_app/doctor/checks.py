"""Checks, without making a call, that this installation has everything that a call needs.

The checks change nothing but for a file of a few bytes in the Supabase project's bucket, which they
remove again. What they report contains no secret. They ask no vendor. They ask the
Supabase project for its public keys and its schema, MCP servers for their tools, and servers on
this machine for their language models.
"""

import asyncio
import contextlib
import ctypes
import importlib
import os
import platform
import shutil
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sonora_app.doctor.file_checks import examine_bucket, examine_formats
from sonora_app.doctor.knowledge_checks import examine_knowledge
from sonora_app.doctor.mcp_checks import examine_servers
from sonora_app.doctor.model_checks import examine_local_model, find_local_models
from sonora_app.doctor.project_checks import (
    examine_deployment,
    examine_flow,
    examine_lines,
    examine_lock,
    examine_names,
    examine_tools,
)
from sonora_app.doctor.speech_checks import examine_hearing, examine_speaking
from sonora_app.doctor.supabase_checks import examine_outbox, examine_project
from sonora_app.errors import SettingsError, SonoraError
from sonora_app.flow.lines import FLOWS_DIR
from sonora_app.identity.callers import Finding, examine_identity
from sonora_app.settings import Settings, Vendor, load_settings
from sonora_app.settings.addresses import host_and_port
from sonora_app.settings.extras import require_metrics, require_tracing
from sonora_app.storage.journal.journal import Journal
from sonora_app.storage.journal.migrations import MIGRATIONS
from sonora_app.wording.translation import worded

PYTHON = ((3, 11), (3, 14))
"""The oldest Python that Sonora runs on, and the first that it does not."""

PORT = 7860
"""Where `bot.py` serves when it is run by hand."""

_LEAST_FREE_BYTES = 256 * 1024
"""What the disk of the data folder must have left: some turns, each in the log and in the file."""

_MAKE_ROOM = worded(
    "Free some space. Until then a running bot keeps what is said in memory, and loses it when it "
    "ends."
)

_VENDORS = {
    Vendor.STT: (worded("Speech recognition"), "DEEPGRAM_API_KEY"),
    Vendor.LLM: (worded("Language model"), "OPENAI_API_KEY"),
    Vendor.TTS: (worded("Voice"), "CARTESIA_API_KEY"),
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
    checks = [_python(), *_found_if_any(worded("Packages"), examine_lock(root))]
    try:
        settings = load_settings()
    except SettingsError as error:
        checks.append(Check(worded("Settings"), CheckState.PROBLEM, error.message, error.hint))
        return [*checks, *await _project(root)]
    return [
        *checks,
        _found(worded("Settings"), examine_names(settings)),
        *(_key(settings, vendor) for vendor in Vendor if vendor not in settings.local_parts()),
        *_found_if_any(_VENDORS[Vendor.STT][0], examine_hearing(settings)),
        *_found_if_any(_VENDORS[Vendor.TTS][0], examine_speaking(settings)),
        *_found_if_any(_VENDORS[Vendor.LLM][0], await examine_local_model(settings)),
        *[_found(worded("Local model"), found) for found in await find_local_models(settings)],
        *_base_urls(settings),
        *_voice_stand_in(settings),
        _found(worded("Identity"), await examine_identity(settings)),
        _found("Supabase", await examine_project(settings)),
        _found(worded("Files"), await asyncio.to_thread(examine_formats)),
        *_found_if_any(worded("Kept files"), await examine_bucket(settings)),
        *_reports(settings),
        *_extras(settings),
        *_found_if_any(worded("Documents"), await examine_knowledge(settings)),
        *await _project(root),
        _found(worded("Tools"), await asyncio.to_thread(examine_tools, settings)),
        *[_found(f"MCP {name}".strip(), found) for name, found in await examine_servers(settings)],
        _data_folder(settings.data_dir),
        await _journal(settings.journal_path),
        *_found_if_any(worded("Outbox"), await examine_outbox(settings)),
        *(() if port is None else (_port(port),)),
        _found(worded("Deployment"), examine_deployment(root / "pcc-deploy.toml", settings)),
    ]


async def _project(root: Path) -> list[Check]:
    return [
        _found(worded("Flow"), await asyncio.to_thread(examine_flow)),
        _found(worded("Lines"), examine_lines(root / "flows" / "lines")),
    ]


def _python() -> Check:
    found = platform.python_version()
    if PYTHON[0] <= sys.version_info[:2] < PYTHON[1]:
        return Check("Python", CheckState.OK, found)
    first, beyond = (".".join(map(str, version)) for version in PYTHON)
    advice = worded("Use a Python from {first} on, before {beyond}.", first=first, beyond=beyond)
    return Check("Python", CheckState.PROBLEM, found, advice)


def _key(settings: Settings, vendor: Vendor) -> Check:
    name, variable = _VENDORS[vendor]
    if settings.key(vendor) is not None:
        return Check(name, CheckState.OK, worded("{variable} is set", variable=variable))
    if settings.is_local:
        return Check(
            name,
            CheckState.NOTE,
            worded(
                "{variable} is missing: the rehearsal stand-in takes its place", variable=variable
            ),
            worded("Set {variable} in .env for the real one.", variable=variable),
        )
    return Check(
        name,
        CheckState.PROBLEM,
        worded("{variable} is missing", variable=variable),
        worded("Add it to the agent's secret set (pipecat cloud secrets set)."),
    )


def _base_urls(settings: Settings) -> Iterator[Check]:
    web, sockets = ("https", "http"), ("wss", "ws")
    flux = settings.uses_flux
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
        wanted = ", ".join(f"{scheme}://" for scheme in schemes)
        advice = worded("Write it as one of {schemes} and the host.", schemes=wanted)
        return Check(variable, CheckState.PROBLEM, worded("not an address"), advice)
    # Not the whole address: a gateway's may carry a password.
    where = host if port is None else f"{host}:{port}"
    if parts.scheme in ("http", "ws") and host not in ("localhost", "127.0.0.1", "::1"):
        return Check(
            variable,
            CheckState.NOTE,
            worded("{where}, without encryption", where=where),
            worded("The key and what people say go there in the clear."),
        )
    return Check(variable, CheckState.OK, where)


def _reports(settings: Settings) -> Iterator[Check]:
    name = worded("Reports of calls")
    try:
        if settings.sends_reports:
            # Not the whole address: it may carry a password or a token.
            where = host_and_port(settings.report_url)
            plain = worded("sent to {where}, without words", where=where)
            told = worded("sent to {where}, with what was said", where=where)
            yield Check(name, CheckState.OK, told if settings.report_words else plain)
    except SettingsError as error:
        yield Check(name, CheckState.PROBLEM, error.message, error.hint)


def _extras(settings: Settings) -> Iterator[Check]:
    needs = (
        (worded("Traces of calls"), settings.traces_url, require_tracing),
        (worded("Figures for Prometheus"), settings.metrics, require_metrics),
    )
    for name, wanted, require in needs:
        try:
            require(settings)
        except SettingsError as error:
            yield Check(name, CheckState.PROBLEM, error.message, error.hint)
        else:
            if wanted:
                yield Check(name, CheckState.OK, worded("switched on"))


def _voice_stand_in(settings: Settings) -> Iterator[Check]:
    spoken = settings.stand_ins() | settings.local_parts()
    if not settings.is_local or Vendor.TTS not in spoken:
        return
    try:
        loader: Any = importlib.import_module("espeakng_loader")
        ctypes.CDLL(loader.get_library_path())
        loader.get_data_path()
    except (ImportError, OSError, RuntimeError):
        yield Check(
            worded("Stand-in voice"),
            CheckState.PROBLEM,
            worded("espeak-ng is not there"),
            worded("Run `uv sync`, or set CARTESIA_API_KEY."),
        )
    else:
        yield Check(worded("Stand-in voice"), CheckState.OK, "espeak-ng")


def _found(name: str, finding: Finding) -> Check:
    state, found, advice = finding
    return Check(name, CheckState(state), found, advice)


def _found_if_any(name: str, finding: Finding | None) -> Iterator[Check]:
    if finding is not None:
        yield _found(name, finding)


def _existing(folder: Path) -> Path:
    """`folder`, or where it is missing, the nearest folder above it that is there."""
    return next(place for place in (folder, *folder.absolute().parents) if place.exists())


def _data_folder(folder: Path) -> Check:
    existing = _existing(folder)
    name = worded("Data folder")
    if existing.is_dir() and os.access(existing, os.W_OK | os.X_OK):
        made = str(folder) if folder.exists() else None
        found = made or worded("{folder}, to be made at the first call", folder=folder)
        return Check(name, CheckState.OK, found)
    found = worded(
        "{folder} cannot be written to" if existing.is_dir() else "{folder} is not a folder",
        folder=existing,
    )
    advice = worded("Set SONORA_DATA_DIR to a folder that this user may write to.")
    return Check(name, CheckState.PROBLEM, found, advice)


async def _journal(path: Path) -> Check:
    name = worded("Journal")
    if shutil.disk_usage(_existing(path.parent)).free < _LEAST_FREE_BYTES:
        full = worded("The journal cannot be written: the disk is full.")
        return Check(name, CheckState.PROBLEM, full, _MAKE_ROOM)
    if not await asyncio.to_thread(path.exists):
        return Check(name, CheckState.OK, worded("nothing kept yet"))
    try:
        journal = await Journal.connect(path, read_only=True)
        try:
            await journal.conversations(limit=1)
        finally:
            await journal.aclose()
    except SonoraError as error:
        return Check(name, CheckState.PROBLEM, error.message, error.hint)
    found = worded("{path}, schema {version}", path=path, version=len(MIGRATIONS))
    return Check(name, CheckState.OK, found)


def _port(port: int) -> Check:
    # Asked, not taken: a bind of ours could get in the way of a bot that is just starting.
    with contextlib.closing(socket.socket()) as asking:
        asking.settimeout(1.0)
        taken = asking.connect_ex(("127.0.0.1", port)) == 0
    name = worded("Port")
    if taken:
        advice = worded("A bot may be running already; `uv run bot.py --port N` takes another.")
        return Check(name, CheckState.NOTE, worded("{port} is in use", port=port), advice)
    return Check(name, CheckState.OK, worded("{port} is free", port=port))

"""Runs the bot on a developer's machine, on Pipecat's development runner."""

import argparse
import asyncio
import contextlib
import os
import re
import socket
import sys
import threading
from collections.abc import AsyncGenerator
from pathlib import Path

from fastapi import FastAPI
from rich.console import Console
from rich.table import Table
from rich.text import Text
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from sonora_app.errors import SettingsError, SonoraError, StorageError
from sonora_app.flow.check import check_flows
from sonora_app.process.admission import TakesSoManyCalls
from sonora_app.process.calls import calls
from sonora_app.process.edited_flow import TakesUpFlow
from sonora_app.process.knowledge import close_process_search, process_search
from sonora_app.process.mcp import close_servers, connect_servers
from sonora_app.process.metrics import metrics_page
from sonora_app.process.stopping import end_calls_when_stopped
from sonora_app.process.store import close_process_store, process_store
from sonora_app.runtime.logging import configure_logs
from sonora_app.settings import Settings, Vendor, load_settings
from sonora_app.settings.addresses import host_and_port
from sonora_app.settings.extras import require_metrics
from sonora_app.storage.journal.journal import Journal
from sonora_app.tools.declared import check_tools
from sonora_app.wording.translation import say, worded

_TRANSPORT_FLAGS = ("-t", "--transport", "-d", "--direct")

_LAST_PORT = 65_535

_SERVED_COLD = re.compile(r"/(status|(client|sonora/static)/.*)?$")

_ROWS = {
    Vendor.STT: (
        worded("Speech recognition"),
        "Deepgram",
        worded("hears that you speak, not what you say"),
    ),
    Vendor.LLM: (worded("Language model"), "OpenAI", worded("a scripted interlocutor")),
    Vendor.TTS: (worded("Voice"), "Cartesia", "espeak-ng"),
}


def run_dev_runner(warm_up: threading.Thread) -> None:
    """Read the settings, say what is real, and serve until interrupted.

    Args:
        warm_up: Prepares the first call. Started as the server opens its port, unless it was
            started before; until it is done, calls wait.
    """
    os.environ.setdefault("ENV", "local")
    console = Console(stderr=True)
    try:
        settings = load_settings()
        settings.check_deployable()
        require_metrics(settings)
        figures = metrics_page() if settings.metrics else None
    except SettingsError as error:
        _tell(console, error)
        raise SystemExit(2) from None
    console.print(stand_in_table(settings))
    try:
        check_flows()
        check_tools(settings)
    except SettingsError as error:
        # The console shows the mistake as well, so it is served all the same.
        _tell(console, error)

    written = {name: value for name, value in os.environ.items() if name != "ENV"}
    from pipecat.runner import run as runner

    # The runner lets the `.env` that it finds win over the environment; here the environment wins.
    os.environ.update(written)

    from sonora_app.console.guard import KnownPagesOnly, LocalPagesOnly, hosts_and_origins
    from sonora_app.console.routes import add_console

    parser = argparse.ArgumentParser(description="Sonora, on Pipecat's development runner")
    parser.add_argument(
        "--local", action="store_true", help="Talk over SmallWebRTC on this machine (default)"
    )
    if not any(flag in sys.argv for flag in _TRANSPORT_FLAGS):
        sys.argv += ["--transport", "webrtc"]
    _check_port(console, runner.RUNNER_HOST, runner.RUNNER_PORT)
    _refuse_unusable_journal(console, settings)
    _wrap_lifespan(runner.app, settings, warm_up)
    calls.limit = settings.call_limit
    runner.app.add_middleware(TakesSoManyCalls, calls=calls)
    if settings.is_local:
        runner.app.add_middleware(TakesUpFlow)
    runner.app.add_middleware(WaitsForWarmUp, warm_up=warm_up)
    add_console(
        runner.app,
        settings,
        lambda: process_store(settings),
        lambda: process_search(settings),
        calls.metrics,
    )
    if figures is not None:
        runner.app.router.routes.append(Route("/metrics", LocalPagesOnly(figures)))
    hosts, origins = hosts_and_origins(settings.allowed_hosts, sys.argv[1:], os.environ)
    runner.app.add_middleware(KnownPagesOnly, hosts=hosts, origins=origins)
    runner.main(parser)


def _tell(console: Console, error: SonoraError) -> None:
    """Print an error, its sentence in one line, whatever the terminal's width is."""
    told = Text.assemble((say(error.message), "red"), " ", say(error.hint))
    console.print(told, soft_wrap=True)


def _check_port(console: Console, host: str, port: int) -> None:
    """Say that the bot cannot serve there, before the runner says that it is ready.

    Args:
        console: Where it is said.
        host: Where the runner serves, if its flags say nothing else.
        port: The same.

    Raises:
        SystemExit: The port is taken, or there is none of that number.
    """
    flags = argparse.ArgumentParser(add_help=False)
    flags.add_argument("--host", default=host)
    flags.add_argument("--port", default=str(port))
    asked, _ = flags.parse_known_args(sys.argv[1:])
    try:
        number = int(asked.port)
    except ValueError:
        # The runner refuses what is no number.
        return
    # The system chooses a free one for 0.
    if not 0 <= number <= _LAST_PORT:
        problem = worded("A port is a number from 0 to 65535, not {port}.", port=number)
        other = worded("Take another: `uv run bot.py --port {port}`.", port=port)
        _tell(console, SettingsError(problem, hint=other))
        raise SystemExit(2)
    try:
        socket.create_connection((asked.host, number), timeout=1.0).close()
    except OSError:
        return
    problem = worded("Port {port} is in use: a bot may be running already.", port=number)
    other = worded("End it, or take another: `uv run bot.py --port {port}`.", port=number + 1)
    _tell(console, SettingsError(problem, hint=other))
    raise SystemExit(1)


def _refuse_unusable_journal(console: Console, settings: Settings) -> None:
    """Say that the journal cannot be opened; the server would say it at the end of a traceback.

    Raises:
        SystemExit: It cannot be opened.
    """

    async def open_and_close() -> None:
        journal = await Journal.connect(settings.journal_path)
        await journal.aclose()

    try:
        asyncio.run(open_and_close())
    except StorageError as error:
        _tell(console, error)
        raise SystemExit(1) from None


class WaitsForWarmUp:
    """ASGI middleware that holds requests back until the process is warm.

    A call that was begun sooner would be built while everything is imported, and hear late what
    is said meanwhile. The page, its files and the runner's status need nothing of it.

    Args:
        app: What the requests are for.
        warm_up: What they wait for; it was started by then.
    """

    def __init__(self, app: ASGIApp, warm_up: threading.Thread) -> None:
        """Hold back the requests to `app`."""
        self._app = app
        self._warm_up = warm_up

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on, at once or when the process is warm."""
        if scope["type"] != "lifespan" and not _SERVED_COLD.match(scope["path"]):
            await asyncio.to_thread(self._warm_up.join)
        await self._app(scope, receive, send)


def stand_in_table(settings: Settings) -> Table:
    """What is a vendor's, what is local and what is a stand-in in this run."""
    stand_ins, local = settings.stand_ins(), settings.local_parts()
    title = say("Rehearsal: not every part is real") if stand_ins else "Sonora"
    table = Table(title=title, title_style="bold", show_header=True)
    for heading in (say("Part"), "", say("Played by")):
        table.add_column(heading)
    missing = iter(settings.missing_keys())
    for vendor, (part, real, stand_in) in _ROWS.items():
        if vendor in stand_ins:
            played_by = say("{stand_in} (no {key})", stand_in=say(stand_in), key=next(missing))
            table.add_row(say(part), f"[yellow]{say('stand-in')}[/yellow]", played_by)
        elif vendor in local:
            table.add_row(say(part), f"[cyan]{say('local')}[/cyan]", _local_part(settings, vendor))
        else:
            table.add_row(say(part), f"[green]{say('real')}[/green]", real)
    where = say("SQLite in {folder}", folder=settings.data_dir)
    table.add_row(say("Storage"), f"[green]{say('real')}[/green]", where)
    return table


def _local_part(settings: Settings, vendor: Vendor) -> str:
    """What does a part on this machine."""
    where = host_and_port(settings.openai_base_url)
    names = {
        Vendor.STT: say(
            "Whisper {model}: it guesses what you say", model=Path(settings.whisper_model).name
        ),
        Vendor.LLM: say("{model} at {where}", model=settings.openai_model, where=where),
        Vendor.TTS: say(
            "Piper {voice}",
            voice=settings.piper_file.stem
            if settings.piper_file
            else settings.piper_name(settings.language).removeprefix("piper-"),
        ),
    }
    return names[vendor]


def _wrap_lifespan(app: FastAPI, settings: Settings, warm_up: threading.Thread) -> None:
    """Open the store with the server and close it with it; warm up once the server is open.

    The runner resets the log to DEBUG, at which Pipecat logs what people say, between parsing
    its flags and starting the server; so the log is configured when the server starts.
    """
    inner = app.router.lifespan_context

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        if not {"-v", "--verbose"} & set(sys.argv):
            configure_logs(settings.log_level)
        await process_store(settings)
        await process_search(settings)
        end_calls_when_stopped(settings, serving_meanwhile=True)
        async with inner(app):
            if warm_up.ident is None:
                # Not sooner: it would take the interpreter from what opens the port.
                warm_up.start()
            connecting = asyncio.create_task(connect_servers(settings, after=warm_up))
            yield
        connecting.cancel()
        await close_process_store(settings)
        await close_process_search()
        await close_servers()

    app.router.lifespan_context = lifespan

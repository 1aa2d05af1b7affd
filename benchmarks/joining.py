"""From joining to the first sound of the greeting, at several distances from the database."""

import asyncio
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from loguru import logger

from benchmarks.contenders import Contender, Scaffold, Sonora
from benchmarks.figures import SCAFFOLD, SONORA, Figure, Measurement, milliseconds
from benchmarks.vendors import REALISTIC, serving_vendors
from simulators.clients.bot_process import BotProcess
from simulators.clients.webrtc import page
from tests.supabase.lite import running_lite
from tests.supabase.proxy import Fault, FaultProxy

ROUND_TRIPS_SECS = (0.0, 0.080, 0.300)

_TARGET = 0.35
_TARGET_ROUND_TRIP_SECS = 0.080
_HEARD_SECS = 15.0


@dataclass
class _Samples:
    """Seconds to the first sound, by what was measured."""

    scaffold: list[float] = field(default_factory=list[float])
    sonora: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    connecting: dict[str, list[float]] = field(default_factory=dict[str, list[float]])

    def note(self, name: str, secs: float) -> None:
        self.sonora.setdefault(name, []).append(secs)


async def measure(*, repetitions: int) -> Measurement:
    """Join both bots by turns and time their greetings.

    Args:
        repetitions: How often each figure is taken, besides once that is not counted.
    """
    samples = _Samples()
    with tempfile.TemporaryDirectory() as folder:
        async with AsyncExitStack() as stack:
            vendors = await stack.enter_async_context(serving_vendors())
            vendors.delay(REALISTIC)
            proxy, supabase = await stack.enter_async_context(_supabase())
            scaffold = Scaffold(Path(folder) / "scaffold")
            alone = Sonora(Path(folder) / "journal")
            stored = Sonora(Path(folder) / "supabase", supabase)
            bots = {
                each: await stack.enter_async_context(each.running(vendors))
                for each in (scaffold, alone, stored)
            }
            for number in range(repetitions + 1):
                taken = _Samples() if not number else samples
                await _join_scaffold(scaffold, bots[scaffold], taken)
                await _join_sonora(alone, bots[alone], taken, "journal alone")
                await _join_by_body(bots[alone], taken)
                for secs in ROUND_TRIPS_SECS:
                    proxy.always(Fault(latency_secs=secs))
                    await _join_sonora(stored, bots[stored], taken, _away(secs))
                proxy.always(Fault())
                logger.info(f"joining, repetition {number}")
    return Measurement(
        title=f"First sound after joining ({REALISTIC})",
        how="From client-ready (scaffold, which has no database) or set_conversation_id (Sonora) "
        "to the first sound of the greeting at the client; a new conversation, and one that is "
        "gone on with. The database is Supabase's API server behind a proxy that holds every "
        "request back by a round trip.",
        figures=_figures(samples),
    )


def _away(secs: float) -> str:
    return f"Supabase at {secs * 1000:.0f} ms"


@asynccontextmanager
async def _supabase() -> AsyncGenerator[tuple[FaultProxy, dict[str, str]]]:
    """Supabase's API with our schema, behind a proxy; and the settings that lead there."""
    running = running_lite()
    lite = await asyncio.to_thread(running.__enter__)
    try:
        async with FaultProxy(lite.url) as proxy:
            yield proxy, {"SUPABASE_URL": proxy.url, "SUPABASE_SECRET_KEY": lite.secret_key}
    finally:
        await asyncio.to_thread(running.__exit__, None, None, None)


async def _join_scaffold(scaffold: Contender, bot: BotProcess, samples: _Samples) -> None:
    started_at = time.monotonic()
    async with page(bot.url) as client:
        asked_at = await scaffold.open(client)
        heard_at = await client.sound(since=asked_at, timeout_secs=_HEARD_SECS)
    samples.scaffold.append(heard_at - asked_at)
    samples.connecting.setdefault(SCAFFOLD, []).append(heard_at - started_at)


async def _join_sonora(sonora: Sonora, bot: BotProcess, samples: _Samples, where: str) -> None:
    """Open a conversation, and then open it again in another call."""
    user_id, conversation_id = str(uuid4()), None
    for which in ("new", "gone on with"):
        started_at = time.monotonic()
        async with page(bot.url) as client:
            asked_at, conversation_id = await sonora.open_conversation(
                client, user_id=user_id, conversation_id=conversation_id
            )
            heard_at = await client.sound(since=asked_at, timeout_secs=_HEARD_SECS)
        samples.note(f"{where}, {which}", heard_at - asked_at)
        if not sonora.has_database and which == "new":
            samples.connecting.setdefault(SONORA, []).append(heard_at - started_at)


async def _join_by_body(bot: BotProcess, samples: _Samples) -> None:
    """Name the conversation in the start request, and time from client-ready."""
    async with page(bot.url, body={"user_id": str(uuid4())}) as client:
        asked_at = time.monotonic()
        await client.ready()
        heard_at = await client.sound(since=asked_at, timeout_secs=_HEARD_SECS)
    samples.note("journal alone, named in the start request", heard_at - asked_at)


def _figures(samples: _Samples) -> list[Figure]:
    scaffold = milliseconds(samples.scaffold)
    named = [
        Figure(
            name=name,
            unit="ms",
            values={SCAFFOLD: scaffold, SONORA: milliseconds(secs)},
            target=_TARGET if name.startswith(_away(_TARGET_ROUND_TRIP_SECS)) else None,
        )
        for name, secs in samples.sonora.items()
    ]
    connecting = Figure(
        name="from connecting, journal alone, new",
        unit="ms",
        values={name: milliseconds(secs) for name, secs in samples.connecting.items()},
    )
    return [*named, connecting]

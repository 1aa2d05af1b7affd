"""From joining to the first sound of the greeting, at several distances from the database."""

import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

from loguru import logger

from benchmarks.contenders import Checkout, Contender, Scaffold, Sonora
from benchmarks.ending import started
from benchmarks.figures import SCAFFOLD, Figure, Measurement, milliseconds
from benchmarks.vendors import REALISTIC, serving_vendors
from simulators.clients.bot_process import BotProcess
from simulators.clients.webrtc import page
from tests.supabase.lite import running_lite
from tests.supabase.proxy import Fault, FaultProxy

_Bot = TypeVar("_Bot", bound=Contender)

ROUND_TRIPS_SECS = (0.0, 0.080, 0.300)

_TARGET = 0.35
_TARGET_ROUND_TRIP_SECS = 0.080
_HEARD_SECS = 15.0
_ANYWHERE = "wherever the database is"


@dataclass
class _Samples:
    """Seconds to the first sound, by what was measured, and of which bot."""

    joining: dict[str, dict[str, list[float]]] = field(
        default_factory=dict[str, dict[str, list[float]]]
    )
    connecting: dict[str, list[float]] = field(default_factory=dict[str, list[float]])

    def note(self, name: str, bot: str, secs: float) -> None:
        self.joining.setdefault(name, {}).setdefault(bot, []).append(secs)


@dataclass(frozen=True)
class _Pair:
    """Two processes of one Sonora, since where conversations are kept is a setting.

    Parameters:
        alone: The one that keeps them in its journal alone, and its process.
        stored: The one that keeps them in Supabase, too, and its process.
    """

    alone: tuple[Sonora, BotProcess]
    stored: tuple[Sonora, BotProcess]


async def measure(*, repetitions: int, checkout: Path | None = None) -> Measurement:
    """Join the bots by turns and time their greetings.

    Args:
        repetitions: How often each figure is taken, besides once that is not counted.
        checkout: Another Sonora to measure in place of the scaffold.
    """
    samples = _Samples()
    with tempfile.TemporaryDirectory() as folder:
        async with AsyncExitStack() as stack:
            vendors = await stack.enter_async_context(serving_vendors())
            vendors.delay(REALISTIC)
            proxy, supabase = await stack.enter_async_context(serving_supabase())

            async def started(bot: _Bot) -> tuple[_Bot, BotProcess]:
                return bot, await stack.enter_async_context(bot.running(vendors))

            async def pair(project: Path | None) -> _Pair:
                where = Path(folder) / ("other" if project else "this")
                make = partial(Checkout, project) if project else Sonora
                return _Pair(
                    await started(make(where / "journal")),
                    await started(make(where / "supabase", supabase)),
                )

            scaffold = None if checkout else await started(Scaffold(Path(folder) / "scaffold"))
            pairs = [await pair(project) for project in ([checkout] if checkout else []) + [None]]
            for number in range(repetitions + 1):
                taken = _Samples() if not number else samples
                if scaffold is not None:
                    await _join_scaffold(*scaffold, taken)
                # Each goes first as often as the other.
                for each in pairs if number % 2 else reversed(pairs):
                    await _join_pair(each, proxy, taken)
                logger.info(f"joining, repetition {number}")
    return Measurement(
        title=f"First sound after joining ({REALISTIC})",
        how="From client-ready (scaffold, which has no database) or set_conversation_id (Sonora) "
        "to the first sound of the greeting at the client; a new conversation, and one that is "
        "gone on with. The database is Supabase's API server behind a proxy that holds every "
        "request back by a round trip.",
        figures=_figures(samples),
    )


async def _join_pair(pair: _Pair, proxy: FaultProxy, samples: _Samples) -> None:
    await _join_sonora(*pair.alone, samples, "journal alone")
    await _join_by_body(*pair.alone, samples)
    for secs in ROUND_TRIPS_SECS:
        proxy.always(Fault(latency_secs=secs))
        await _join_sonora(*pair.stored, samples, _away(secs))
    proxy.always(Fault())


def _away(secs: float) -> str:
    return f"Supabase at {secs * 1000:.0f} ms"


@asynccontextmanager
async def serving_supabase() -> AsyncGenerator[tuple[FaultProxy, dict[str, str]]]:
    """Supabase's API with our schema, behind a proxy; and the settings that lead there."""
    async with started(running_lite()) as lite, FaultProxy(lite.url) as proxy:
        yield proxy, {"SUPABASE_URL": proxy.url, "SUPABASE_SECRET_KEY": lite.secret_key}


async def _join_scaffold(scaffold: Contender, bot: BotProcess, samples: _Samples) -> None:
    started_at = time.monotonic()
    async with page(bot.url) as client:
        asked_at = await scaffold.open(client)
        heard_at = await client.sound(since=asked_at, timeout_secs=_HEARD_SECS)
    samples.note(_ANYWHERE, SCAFFOLD, heard_at - asked_at)
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
        samples.note(f"{where}, {which}", sonora.name, heard_at - asked_at)
        if not sonora.has_database and which == "new":
            samples.connecting.setdefault(sonora.name, []).append(heard_at - started_at)


async def _join_by_body(sonora: Sonora, bot: BotProcess, samples: _Samples) -> None:
    """Name the conversation in the start request, and time from client-ready."""
    async with page(bot.url, body={"user_id": str(uuid4())}) as client:
        asked_at = time.monotonic()
        await client.ready()
        heard_at = await client.sound(since=asked_at, timeout_secs=_HEARD_SECS)
    samples.note("journal alone, named in the start request", sonora.name, heard_at - asked_at)


def _figures(samples: _Samples) -> list[Figure]:
    # The scaffold has no database, so that one figure of its stands beside all of Sonora's.
    scaffold = samples.joining.pop(_ANYWHERE, {})
    named = [
        Figure(
            name=name,
            unit="ms",
            values={bot: milliseconds(secs) for bot, secs in {**scaffold, **of_bots}.items()},
            target=_TARGET if name.startswith(_away(_TARGET_ROUND_TRIP_SECS)) else None,
        )
        for name, of_bots in samples.joining.items()
    ]
    connecting = Figure(
        name="from connecting, journal alone, new",
        unit="ms",
        values={bot: milliseconds(secs) for bot, secs in samples.connecting.items()},
    )
    return [*named, connecting]

"""From joining to the first sound, by how much is remembered of the person who calls."""

import tempfile
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from uuid import uuid4

from loguru import logger
from supabase import acreate_client

from benchmarks.contenders import Checkout, Sonora
from benchmarks.figures import Figure, Measurement, milliseconds
from benchmarks.joining import serving_supabase
from benchmarks.vendors import REALISTIC, Vendors, serving_vendors
from simulators.clients.bot_process import BotProcess
from simulators.clients.webrtc import page
from sonora_app.storage.journal.journal import Journal
from sonora_app.storage.records import Memory, utc_now, uuid7
from tests.supabase.proxy import Fault

FACTS = (0, 50, 10_000)

_TARGET = 1.05
_ROUND_TRIP_SECS = 0.080
_ROWS_AT_ONCE = 1_000
_KEPT = {
    False: "kept in the journal alone",
    True: f"kept in Supabase too, {_ROUND_TRIP_SECS * 1000:.0f} ms away",
}
_HEARD_SECS = 15.0
_FACT = "Prefiere las reuniones por la mañana, y la número {} en casa."


async def measure(
    *, repetitions: int, checkout: Path | None = None, in_supabase: bool = False
) -> Measurement:
    """Join the bots by turns and time their greetings.

    Args:
        repetitions: How often each figure is taken, besides once that is not counted.
        checkout: Another Sonora, which need not remember anybody, to measure beside.
        in_supabase: Whether it is remembered in Supabase, which is some way off.
    """
    samples: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        async with AsyncExitStack() as stack:
            vendors = await stack.enter_async_context(serving_vendors())
            vendors.delay(REALISTIC)
            people = {count: str(uuid4()) for count in FACTS}
            project: Mapping[str, str] = {}
            if in_supabase:
                proxy, project = await stack.enter_async_context(serving_supabase())
                await _remember_in_supabase(project, people)
                proxy.always(Fault(latency_secs=_ROUND_TRIP_SECS))
            bots = [
                await stack.enter_async_context(_running(sonora, vendors))
                for sonora in _contenders(Path(folder), checkout, project)
            ]
            if not in_supabase:
                await _remember(Path(folder) / "this", people)
            for number in range(repetitions + 1):
                # Each goes first as often as the other.
                for count, user_id in people.items():
                    for sonora, bot in bots if number % 2 else reversed(bots):
                        # Whom the journal remembers here is a stranger there.
                        opened, heard = await _join(sonora, bot, user_id)
                        if number:
                            for what, secs in (("opened", opened), ("first sound", heard)):
                                of_bots = samples.setdefault(f"{what}, {count:,} facts", {})
                                of_bots.setdefault(sonora.name, []).append(secs)
                logger.info(f"remembered, repetition {number}")
    return Measurement(
        title=f"Joining as somebody who is remembered{' in Supabase' if in_supabase else ''} "
        f"({REALISTIC})",
        how="From set_conversation_id to its answer, and to the first sound of the greeting at the "
        f"client; a new conversation each time, {_KEPT[in_supabase]}, in which there are so "
        "many facts about the person.",
        figures=[
            Figure(
                name=name,
                unit="ms",
                values={bot: milliseconds(secs) for bot, secs in of_bots.items()},
                target=_TARGET if checkout else None,
            )
            for name, of_bots in samples.items()
        ],
    )


def _contenders(folder: Path, checkout: Path | None, project: Mapping[str, str]) -> list[Sonora]:
    other = [Checkout(checkout, folder / "other", project)] if checkout else []
    return [*other, Sonora(folder / "this", project)]


@asynccontextmanager
async def _running(sonora: Sonora, vendors: Vendors) -> AsyncGenerator[tuple[Sonora, BotProcess]]:
    async with sonora.running(vendors) as bot:
        yield sonora, bot


async def _remember(folder: Path, people: dict[int, str]) -> None:
    """Write so many facts about each person into the journal in `folder`."""
    journal = await Journal.connect(folder / "journal.db")
    said_at = utc_now() - timedelta(days=1)
    try:
        for count, user_id in people.items():
            await journal.write(_facts(user_id, count, said_at))
    finally:
        await journal.aclose()


async def _remember_in_supabase(project: Mapping[str, str], people: dict[int, str]) -> None:
    """Write so many facts about each person into a project."""
    client = await acreate_client(project["SUPABASE_URL"], project["SUPABASE_SECRET_KEY"])
    said_at = utc_now() - timedelta(days=1)
    for count, user_id in people.items():
        rows = [fact.model_dump(mode="json") for fact in _facts(user_id, count, said_at)]
        for start in range(0, count, _ROWS_AT_ONCE):
            await client.table("memories").insert(rows[start : start + _ROWS_AT_ONCE]).execute()


def _facts(user_id: str, count: int, said_at: datetime) -> list[Memory]:
    return [
        Memory(id=uuid7(), user_id=user_id, content=_FACT.format(number), created_at=said_at)
        for number in range(count)
    ]


async def _join(sonora: Sonora, bot: BotProcess, user_id: str) -> tuple[float, float]:
    """Open a new conversation; seconds to the answer, and to the first sound."""
    async with page(bot.url) as client:
        asked_at, _ = await sonora.open_conversation(client, user_id=user_id)
        opened_at = time.monotonic()
        heard_at = await client.sound(since=asked_at, timeout_secs=_HEARD_SECS)
    return opened_at - asked_at, heard_at - asked_at

"""How long the journal takes to list, to find and to add up, when it holds many conversations.

    uv run python -m benchmarks.finding [--conversations 20000] [--repetitions 40] [--quick]

Fills a journal in a folder of its own, and asks it through `Journal`, as the console and the
command line do. Prints a table in Markdown: the median and the 95th percentile in milliseconds,
and how many conversations, or calls, each question found.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median, quantiles

from sonora_app.storage.figures import FiguresWanted, GroupedBy
from sonora_app.storage.journal.journal import Journal
from sonora_app.storage.labels import Label
from sonora_app.storage.records import (
    Conversation,
    ConversationStatus,
    EndReason,
    JsonObject,
    Message,
    Record,
    Role,
    Session,
    SessionUpdate,
    uuid7,
)
from sonora_app.storage.wanted import Wanted, WantedCall

_CONVERSATIONS, _QUICK = 20_000, 1_000
_BATCH = 500
_EVERY = timedelta(minutes=6)
"""How long after one another conversations begin: 20,000 of them take 83 days."""
_FIRST = datetime(2026, 3, 1, tzinfo=UTC)
_PLACES = ("Oaxaca", "Mérida", "Puebla", "Xalapa", "Toluca", "Celaya", "Tepic")
_SAID = (
    "Hola, quiero planear un viaje a {place} en abril con mi hermana.",
    "Claro. ¿Cuántos días quieres quedarte en {place}?",
    "Unos cinco días, y que el hotel quede cerca del centro, por favor.",
    "Muy bien: cinco días en {place}, cerca del centro. ¿Algo más para el viaje?",
)
_RARE, _FREQUENT, _NOWHERE = "quetzal", "viaje", "zanahoria"

Ask = Callable[[], Awaitable[int]]


def _conversation(place: int) -> list[Record]:
    """One conversation of four messages and a call; every 20th to every 2,000th is peculiar."""
    at = _FIRST + place * _EVERY
    conversation = Conversation(
        id=uuid7(),
        user_id=f"user-{place % 500}",
        status=ConversationStatus.COMPLETED if place % 2 else ConversationStatus.ACTIVE,
        created_at=at,
        updated_at=at,
    )
    session = Session(
        id=uuid7(),
        conversation_id=conversation.id,
        transport="webrtc",
        started_at=at,
        app_version="1",
    )
    records: list[Record] = [conversation, session]
    for number, words in enumerate(_SAID):
        said = words.format(place=_PLACES[place % len(_PLACES)])
        records.append(
            Message(
                id=uuid7(),
                conversation_id=conversation.id,
                session_id=session.id,
                seq=number,
                role=Role.ASSISTANT if number % 2 else Role.USER,
                content=f"{said} {_RARE}" if not number and place % 1_000 == 500 else said,
                created_at=at + timedelta(seconds=5 * number),
            )
        )
    waits = [400 + place % 700, 2_400 if place % 50 == 0 else 600 + place % 300]
    metrics: JsonObject = {
        "turns_answered": 2,
        "waits_ms": waits,
        "latency_ms": {"worst": max(waits)},
        "prompt_tokens": 1_000,
        "completion_tokens": 100,
        "turns_cut": int(place % 40 == 0),
        "failures": {"model_unavailable": 1} if place % 100 == 0 else {},
        "cost": {"currency": "USD", "total": 0.01, "known": 0.01},
        "flow_version": f"f{place % 3}",
    }
    records.append(
        SessionUpdate(
            id=session.id,
            ended_at=at + timedelta(minutes=1),
            end_reason=EndReason.ERROR if place % 100 == 0 else EndReason.GOODBYE,
            metrics=metrics,
        )
    )
    if place % 20 == 0:
        records.append(
            Label(id=uuid7(), conversation_id=conversation.id, name="misunderstood", created_at=at)
        )
    return records


async def _fill(journal: Journal, conversations: int) -> None:
    for first in range(0, conversations, _BATCH):
        places = range(first, min(first + _BATCH, conversations))
        await journal.write([record for place in places for record in _conversation(place)])


def _questions(journal: Journal, conversations: int) -> dict[str, Ask]:
    """What is asked, by the name of its row in the table; each tells how many it found."""

    def listed(wanted: Wanted, *, offset: int = 0) -> Ask:
        async def ask() -> int:
            return (await journal.conversations(wanted, offset=offset)).total

        return ask

    def added_up(by: GroupedBy) -> Ask:
        async def ask() -> int:
            return (await journal.figures(FiguresWanted(by))).total.calls

        return ask

    middle = _FIRST + conversations / 2 * _EVERY
    return {
        "list": listed(Wanted()),
        "list, the middle page": listed(Wanted(), offset=conversations // 2),
        "of a user": listed(Wanted(user_id="user-7")),
        "of a status": listed(Wanted(status=ConversationStatus.ACTIVE)),
        "since a date": listed(Wanted(since=middle)),
        "slow": listed(Wanted(slow=True)),
        "failed": listed(Wanted(failed=True)),
        "cut in two": listed(Wanted(call=WantedCall(cut=True))),
        "with a label": listed(Wanted(label="misunderstood")),
        "a rare word": listed(Wanted(text=_RARE)),
        "a frequent word": listed(Wanted(text=_FREQUENT)),
        "a word nobody said": listed(Wanted(text=_NOWHERE)),
        **{f"figures by {by.value}": added_up(by) for by in GroupedBy},
    }


async def _measure(conversations: int, repetitions: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        journal = await Journal.connect(Path(folder) / "data" / "journal.db")
        try:
            await _fill(journal, conversations)
            print(f"{conversations:,} conversations, each question {repetitions} times\n")
            print("| question | found | median ms | 95th percentile ms |\n|---|---|---|---|")
            for name, ask in _questions(journal, conversations).items():
                found = await ask()
                times = [await _timed(ask) for _ in range(repetitions)]
                high = quantiles(times, n=20, method="inclusive")[-1]
                print(f"| {name} | {found:,} | {median(times):.1f} | {high:.1f} |", flush=True)
        finally:
            await journal.aclose()


async def _timed(ask: Ask) -> float:
    begun = time.perf_counter()
    await ask()
    return (time.perf_counter() - begun) * 1_000


def main() -> None:
    """Measure what the command line asks for, and print it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--conversations", type=int, default=_CONVERSATIONS)
    parser.add_argument("--repetitions", type=int, default=40)
    parser.add_argument("--quick", action="store_true", help="fewer conversations")
    arguments = parser.parse_args()
    conversations: int = _QUICK if arguments.quick else arguments.conversations
    asyncio.run(_measure(conversations, arguments.repetitions))


if __name__ == "__main__":
    main()

"""What it costs to keep what is said: recording, shipping to Supabase, and resuming.

    uv run python -m benchmarks.writes [--messages 200] [--backlog 10000] [--json]

Measures, on this machine, against Supabase's API server on PGlite (Node 20 and npm are needed):

- the processor time that the event loop's thread spends on a message, from `Recorder.message` until
  it is written, or stored in Supabase, and on the longest callback of it. The loop is kept as
  busy as a call keeps it; what it is kept busy with is not counted;
- how long Supabase takes to catch up after an outage;
- how long it takes to read what resuming a conversation needs, by its length.

Prints Markdown, and JSON to standard output with `--json`.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any
from uuid import UUID

from loguru import logger

from benchmarks.ending import end_by_signals
from sonora_app.call.beginning.opening import OpeningRequest, open_conversation
from sonora_app.settings import Settings
from sonora_app.storage.journal.journal import Journal
from sonora_app.storage.recorder import Recorder
from sonora_app.storage.records import Role
from sonora_app.storage.store import Found, Store
from sonora_app.storage.supabase.api import SupabaseApi
from sonora_app.storage.two_stores import MirroredStore
from tests.supabase.lite import Lite, running_lite
from tests.supabase.proxy import FaultProxy

USER = "ana"
SAID = "Quiero planear un viaje a Oaxaca en abril, con mi hermana y sus dos hijos pequeños."
TICK_SECS = 0.004
TICK_WORK = 3_000
"""Steps of work every tick: about a quarter of a core, which is what a call takes."""
TICKS_PER_MESSAGE = 50
"""A message every 0.2 s: more often than people speak, and seldom enough to ship each alone."""
LENGTHS = (20, 2_000, 20_000)
READS = 30


@dataclass
class LoopCost:
    """What the event loop's thread spends on recording, message by message, in milliseconds."""

    per_message_ms: list[float] = field(default_factory=list[float])
    longest_ms: list[float] = field(default_factory=list[float])


class BusyLoop:
    """Keeps the running loop busy, records a message now and then, and counts what that costs.

    Args:
        record: Records a message.
        messages: How many.
    """

    def __init__(self, record: Callable[[], object], messages: int) -> None:
        """Set up; `run` measures."""
        self._record = record
        self._messages = messages
        self._ticks = 0
        self._spent_ms = 0.0
        self._longest_ms = 0.0
        self._cost = LoopCost()
        self._loop = asyncio.get_running_loop()
        self._done = self._loop.create_future()

    async def run(self) -> LoopCost:
        """Measure. Every callback of the loop counts, but for those that keep it busy."""
        # Not asyncio's to change; typed as anything, therefore.
        handles: Any = asyncio.Handle
        run_handle = handles._run

        def measured(handle: asyncio.Handle) -> None:
            started = time.thread_time()
            run_handle(handle)
            # The callbacks of other threads' loops cost this one nothing.
            if handle._loop is self._loop and handle._callback != self._tick:
                self._count((time.thread_time() - started) * 1000)

        handles._run = measured
        try:
            self._loop.call_soon(self._tick)
            await self._done
        finally:
            handles._run = run_handle
        return self._cost

    def _tick(self) -> None:
        number, turn = divmod(self._ticks, TICKS_PER_MESSAGE)
        self._ticks += 1
        if turn == 0:
            # The first messages find everything cold.
            if number > 3:
                self._cost.per_message_ms.append(self._spent_ms)
                self._cost.longest_ms.append(self._longest_ms)
            if len(self._cost.per_message_ms) == self._messages:
                self._done.set_result(None)
                return
            self._spent_ms = self._longest_ms = 0.0
            started = time.thread_time()
            self._record()
            self._count((time.thread_time() - started) * 1000)
        _work()
        self._loop.call_later(TICK_SECS, self._tick)

    def _count(self, ms: float) -> None:
        self._spent_ms += ms
        self._longest_ms = max(self._longest_ms, ms)


def _work() -> None:
    numbers: dict[int, str] = {}
    for number in range(TICK_WORK):
        numbers[number % 50] = str(number)


async def loop_cost(store: Store, messages: int) -> LoopCost:
    """What recording `messages` messages costs the running loop, with `store` behind it."""
    recorder = _recorder(store)
    try:
        return await BusyLoop(lambda: _say(recorder), messages).run()
    finally:
        await recorder.aclose(timeout_secs=10)


def _recorder(store: Store) -> Recorder:
    opened = open_conversation(
        OpeningRequest(None, USER),
        Found(None),
        settings=Settings.model_validate({}),
        transport="benchmark",
        app_version="0",
    )
    return store.recorder(opened, on_written=_ignore, on_health=_ignore)


def _ignore(*_: object) -> None:
    pass


def _say(recorder: Recorder) -> None:
    recorder.message(Role.USER, SAID, node="conversation", metrics={"user_turn": 402.1})


async def write_conversation(store: Store, messages: int) -> UUID:
    """Write a conversation of `messages` messages. Gives its id."""
    recorder = _recorder(store)
    for _ in range(messages):
        _say(recorder)
    left = await recorder.aclose(timeout_secs=300)
    assert not left
    return recorder.conversation_id


async def resume_ms(store: Store, ids: dict[int, UUID]) -> dict[int, list[float]]:
    """How long reading each conversation takes, by its length, in turns."""
    took: dict[int, list[float]] = {length: [] for length in ids}
    for _ in range(READS + 1):
        for length, conversation_id in ids.items():
            started = time.perf_counter()
            found = await store.look_up(conversation_id, USER, message_limit=LENGTHS[0])
            took[length].append((time.perf_counter() - started) * 1000)
            assert found.opening is not None
            assert found.opening.last_message_seq == length
    # The first of each finds everything cold.
    return {length: values[1:] for length, values in took.items()}


@asynccontextmanager
async def mirrored(folder: Path, lite: Lite, url: str) -> AsyncGenerator[MirroredStore]:
    """A store with its journal in `folder`, and the project at `url` behind it."""
    settings = Settings.model_validate(
        {"SUPABASE_URL": url, "SUPABASE_SECRET_KEY": lite.secret_key}
    )
    journal = await Journal.connect(folder / "journal.db", outbox=True)
    store = MirroredStore(journal, await SupabaseApi.connect(settings), keep=None)
    try:
        yield store
    finally:
        await store.aclose()


async def measure(messages: int, backlog: int) -> dict[str, Any]:
    """Run everything."""
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name, running_lite() as lite:
        folder = Path(name)
        journal = await Journal.connect(folder / "alone" / "journal.db")
        results["journal"] = await _with_journal(journal, messages)
        await journal.aclose()
        logger.info("The journal is measured")
        async with (
            FaultProxy(lite.url) as proxy,
            mirrored(folder / "stored", lite, lite.url) as store,
            mirrored(folder / "outage", lite, proxy.url) as cut_off,
        ):
            cost = await loop_cost(store, messages)
            logger.info("The loop is measured")
            await proxy.stop()
            ids = {length: await write_conversation(cut_off, length) for length in LENGTHS[:2]}
            await write_conversation(cut_off, backlog - sum(ids))
            await proxy.start()
            started = time.perf_counter()
            left = await cut_off.settle(timeout_secs=600)
            caught_up_secs = time.perf_counter() - started
            assert not left
            logger.info("The outage is measured")
            ids[LENGTHS[-1]] = await write_conversation(store, LENGTHS[-1])
            left = await store.settle(timeout_secs=600)
            assert not left
            results["supabase"] = {
                "loop": cost,
                "resume_ms": await _resume_from_supabase(folder, lite, ids),
                "backlog": backlog,
                "caught_up_secs": caught_up_secs,
            }
    return results


async def _with_journal(journal: Journal, messages: int) -> dict[str, Any]:
    cost = await loop_cost(journal, messages)
    ids = {length: await write_conversation(journal, length) for length in LENGTHS}
    return {"loop": cost, "resume_ms": await resume_ms(journal, ids)}


async def _resume_from_supabase(
    folder: Path, lite: Lite, ids: dict[int, UUID]
) -> dict[int, list[float]]:
    # Another machine: its journal knows none of them.
    async with mirrored(folder / "elsewhere", lite, lite.url) as store:
        return await resume_ms(store, ids)


def report(results: dict[str, Any]) -> str:
    """The figures as Markdown."""
    rows = [
        "| processor time of the loop's thread, ms | median | p99 | longest callback |",
        "|---|---|---|---|",
    ]
    for name, label in (("journal", "journal"), ("supabase", "journal, then Supabase")):
        cost: LoopCost = results[name]["loop"]
        rows.append(
            f"| a message, {label} | {median(cost.per_message_ms):.3f} "
            f"| {_p99(cost.per_message_ms):.3f} | {max(cost.longest_ms):.3f} |"
        )
    rows += ["", f"| resuming, ms at the median of {READS} | 20 | 2,000 | 20,000 | longest / 20 |"]
    rows.append("|---|---|---|---|---|")
    for name, label in (("journal", "journal"), ("supabase", "Supabase")):
        medians = [median(values) for values in results[name]["resume_ms"].values()]
        cells = " | ".join(f"{value:.2f}" for value in medians)
        rows.append(f"| {label} | {cells} | {medians[-1] / medians[0]:.2f} |")
    backlog, secs = results["supabase"]["backlog"], results["supabase"]["caught_up_secs"]
    rows.append(
        f"\nAfter an outage of {backlog:,} messages: caught up in {secs:.1f} s, "
        f"{backlog / secs:,.0f} messages a second."
    )
    return "\n".join(rows)


def _p99(values: list[float]) -> float:
    return sorted(values)[int(len(values) * 0.99)]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=200)
    parser.add_argument("--backlog", type=int, default=10_000)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    end_by_signals()
    logger.remove()
    logger.add(sys.stderr, level="INFO", format="{time:HH:mm:ss} {message}")
    results = asyncio.run(measure(arguments.messages, arguments.backlog))
    text = json.dumps(results, default=vars) if arguments.json else report(results)
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    main()

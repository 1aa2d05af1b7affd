"""Runs a soak: a bot, callers at it round after round, and the checks after each round."""

import asyncio
import json
import random
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID

from loguru import logger

from benchmarks.ending import started
from benchmarks.soak.caller import Caller, CallRecord, Phonebook
from benchmarks.soak.checks import Case, check_call, check_conversation, kept_call
from benchmarks.soak.leftovers import Leftovers, LogReader
from benchmarks.soak.phrases import Codes
from benchmarks.soak.plan import Act, draw_plan
from benchmarks.soak.process import PROGRAM
from benchmarks.soak.report import Report, Violation
from benchmarks.soak.starvation import Starvation
from benchmarks.soak.studio import Studio
from benchmarks.soak.weather import Weather
from simulators.clients.bot_process import BotProcess, running_bot
from sonora_app.settings import Settings
from sonora_app.storage.journal.journal import Journal
from sonora_app.storage.store import Transcript
from sonora_app.storage.supabase.api import SupabaseApi
from tests.supabase.lite import Lite, running_lite
from tests.supabase.proxy import FaultProxy

DRAIN_SECS = 120.0
"""How long, after a round, what was written may take to reach Supabase."""

_TALKING_SECS = 12.0
"""How long everybody has talked when the bot is stopped."""

_STOPPED_SECS = Settings.model_fields["drain_secs"].default + 3.0
"""How long the process may be there after SIGTERM."""

_LIMITS = {
    "SONORA_WAITING_SECS": "60",
    "SONORA_IDLE_SECS": "8",
    "SONORA_CLOSING_SECS": "20",
    "SONORA_MAX_CALL_SECS": "120",
    "SONORA_CALL_WARNING_SECS": "20",
    "SONORA_LOG_LEVEL": "INFO",
}
"""Short enough that a soak gets to each of them."""

_APART_SECS = 2.0
"""How long a caller waits, at most, before the next call."""


@dataclass(frozen=True)
class Options:
    """How to soak.

    Parameters:
        seed: What everything is drawn from.
        sessions: How many call at a time.
        minutes: How long callers call, checks not counted.
        round_minutes: How long a round is.
        first_round: Which round to begin with, to see one again.
        supabase: Whether conversations are kept in Supabase, behind the journal.
        stt: Which recogniser: `nova-3` or `flux`.
        processes: How many processes of the bot share the journal.
        output: The folder for the report, the bot's log and journal, and calls with violations.
    """

    seed: int
    sessions: int
    minutes: float
    round_minutes: float
    first_round: int
    supabase: bool
    stt: str
    output: Path
    processes: int = 1


async def soak(options: Options) -> Report:
    """Soak, and give what came of it. The report is also written, after each round."""
    studio = Studio()
    async with studio.serving(), _database(options) as database:
        environment = {**studio.environment, **_LIMITS, "SONORA_STT": options.stt}
        if database is not None:
            environment |= database.environment
        async with AsyncExitStack() as running:
            folder = options.output / "bot"
            bots = [
                await running.enter_async_context(_bot(folder, environment))
                for _ in range(options.processes)
            ]
            soaking = Soak(options, studio, database, bots)
            await soaking.run()
        soaking.stopped()
    return soaking.report


@dataclass(frozen=True)
class Database:
    """Supabase's API, and what stands between it and the bot."""

    server: Lite
    proxy: FaultProxy

    @property
    def environment(self) -> dict[str, str]:
        """What points a bot to it."""
        return {
            "SUPABASE_URL": self.proxy.url,
            "SUPABASE_SECRET_KEY": self.server.secret_key,
            "SONORA_SUPABASE_TIMEOUT_SECS": "2",
        }


class Soak:
    """One soak, in progress.

    Args:
        options: How to soak.
        studio: The vendors.
        database: Supabase, or None without it.
        bots: The bot, in each of its processes.
    """

    def __init__(
        self,
        options: Options,
        studio: Studio,
        database: Database | None,
        bots: Sequence[BotProcess],
    ) -> None:
        """Set up; `run` soaks."""
        self.report = Report(
            seed=options.seed,
            sessions=options.sessions,
            storage="journal and Supabase" if database else "journal",
            started_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        self._options = options
        self._studio = studio
        self._database = database
        self._bots = bots
        self._logs = [LogReader(bot.log) for bot in bots]
        self._phonebook = Phonebook()
        self._round = options.first_round
        self._leftovers = [Leftovers(bot, _ports(studio, database)) for bot in bots]
        self._starvation = Starvation(*(bot.process.pid for bot in bots))

    async def run(self) -> None:
        """Round after round until the time is over."""
        watching = asyncio.create_task(self._starvation.run())
        try:
            await self._rounds()
            await self._stop_in_mid_call()
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    async def _rounds(self) -> None:
        for leftovers in self._leftovers:
            await leftovers.begin()
        left_secs = self._options.minutes * 60
        while left_secs > 0:
            secs = min(left_secs, self._options.round_minutes * 60)
            await self._one_round(secs)
            left_secs -= secs
            self._round += 1
            self.report.minutes += secs / 60
            self.report.rounds += 1
            self.report.write(self._options.output)
            logger.info(
                f"Round {self._round - 1}: {self.report.calls} calls, "
                f"{self.report.turns} turns, {len(self.report.violations)} violations so far"
            )

    async def _stop_in_mid_call(self) -> None:
        """Send SIGTERM while everybody talks: each page is told, and each call is kept."""
        self._says("the bot is stopped")
        weather = Weather(random.Random(0), self._studio, None, (), self._says)
        until = time.monotonic() + 1
        callers = [
            asyncio.create_task(self._call_until(until, caller, stays=True))
            for caller in range(self._options.sessions)
        ]
        await asyncio.sleep(_TALKING_SECS)
        sent_at = time.monotonic()
        for bot in self._bots:
            bot.process.terminate()
        for bot in self._bots:
            await asyncio.to_thread(bot.process.wait, 120)
        took = time.monotonic() - sent_at
        if took > _STOPPED_SECS:
            self._violation("", f"the bot was there for {took:.1f} s after SIGTERM")
        records = [one for made in await asyncio.gather(*callers) for one in made]
        found: dict[str, list[str]] = {record.name: [*record.problems] for record in records}
        # What did not reach Supabase in that time is brought there by the next start.
        await self._check_kept(records, weather, found, stopped=True)
        for record in records:
            self.report.count_call(record)
            open_until_then = record.conversation_id and record.closed_at > sent_at
            if open_until_then and not record.left_at and not record.events("conversation-ended"):
                found[record.name].append("the page was not told that the bot was stopped")
            for problem in found[record.name]:
                self._violation(record.name, problem)
            if found[record.name]:
                self._keep(record, found[record.name])

    def stopped(self) -> None:
        """The bot was stopped: see how that went."""
        self._check_logs()
        for bot in self._bots:
            if bot.process.returncode not in (0, -2, -15, 130):
                self._violation("", f"the bot exited with {bot.process.returncode}")
        self.report.write(self._options.output)

    async def _one_round(self, secs: float) -> None:
        numbers = random.Random(f"{self._options.seed}/{self._round}/weather")
        weather = Weather(
            numbers, self._studio, self._database and self._database.proxy, self._bots, self._says
        )
        until = time.monotonic() + secs
        changing = asyncio.create_task(weather.run())
        callers = [self._call_until(until, caller) for caller in range(self._options.sessions)]
        try:
            records = [one for made in await asyncio.gather(*callers) for one in made]
        finally:
            changing.cancel()
            await asyncio.gather(changing, return_exceptions=True)
        self.report.spells.update(weather.spells)
        await self._check(records, weather)
        self._studio.forget()

    async def _call_until(
        self, until: float, caller: int, *, stays: bool = False
    ) -> list[CallRecord]:
        """Call again and again; one that `stays` does not come back by other pages."""
        numbers = random.Random(f"{self._options.seed}/{self._round}/{caller}")
        codes = Codes(self._options.seed, self._round * self._options.sessions + caller)
        records: list[CallRecord] = []
        number = 0
        while time.monotonic() < until:
            name = f"{self._round}-{caller}-{number}"
            number += 1
            plan = draw_plan(numbers, codes, name)
            if stays:
                plan = replace(plan, steps=[one for one in plan.steps if one.act is not Act.RELOAD])
            call = Caller([bot.url for bot in self._bots], plan, self._studio, self._phonebook)
            records += await call.run()
            await asyncio.sleep(numbers.uniform(0, _APART_SECS))
        return records

    # --- Checks

    async def _check(self, records: Sequence[CallRecord], weather: Weather) -> None:
        found: dict[str, list[str]] = {record.name: [*record.problems] for record in records}
        for record in records:
            self.report.count_call(record)
        await self._check_leftovers()
        await self._check_kept(records, weather, found)
        self._check_logs()
        self.report.unknown_sounds = self._studio.unknown_sounds
        self.report.starved_share = self._starvation.share
        for record in records:
            for problem in found[record.name]:
                self._violation(record.name, problem)
            if found[record.name]:
                self._keep(record, found[record.name])

    async def _check_leftovers(self) -> None:
        for number, leftovers in enumerate(self._leftovers):
            held, left = await leftovers.check()
            for what in left:
                self._violation("", what)
            if number == 0:
                self.report.held.append(held)

    def _check_logs(self) -> None:
        for log in self._logs:
            for problem in log.problems():
                self._violation("", problem)

    async def _check_kept(
        self,
        records: Sequence[CallRecord],
        weather: Weather,
        found: dict[str, list[str]],
        *,
        stopped: bool = False,
    ) -> None:
        database = None if stopped else self._database
        speeches = [*self._studio.speeches().values()]
        conversations: set[UUID] = set()
        journal = await Journal.connect(self._bots[0].log.parent / "journal.db", read_only=True)
        try:
            if database is not None:
                await self._check_drained(journal)
            for record in records:
                began = record.timeline[0][0]
                starved = self._starvation.between(began, record.closed_at)
                self.report.starved_calls += starved
                self.report.waits += [] if starved else record.waits
                if record.conversation_id is None:
                    found[record.name] += [] if starved else record.late
                    continue
                transcript = await journal.transcript(record.conversation_id)
                kept = transcript and kept_call(transcript, record)
                if transcript is None or kept is None:
                    found[record.name].append("nothing is kept of the call")
                    continue
                self.report.messages += len(kept.messages)
                self.report.transitions += len(kept.transitions)
                self.report.end_reasons[kept.session.end_reason or "none"] += 1
                case = Case(
                    record,
                    kept,
                    speeches,
                    calm=not _struck(record, weather.refusing),
                    starved=starved,
                    lasting=not _struck(record, weather.full),
                )
                found[record.name] += check_call(case)
                if record.conversation_id not in conversations:
                    conversations.add(record.conversation_id)
                    found[record.name] += check_conversation(transcript)
                if database is not None:
                    problems = await self._compare(database.server, transcript)
                    found[record.name] += problems
        finally:
            await journal.aclose()

    async def _check_drained(self, journal: Journal) -> None:
        deadline = time.monotonic() + DRAIN_SECS
        while (counts := await journal.outbox.counts()).pending:
            if time.monotonic() > deadline:
                self._violation("", f"{counts.pending} records did not reach Supabase in time")
                break
            await asyncio.sleep(0.5)
        if counts.set_aside:
            self._violation("", f"{counts.set_aside} records were refused for good")

    async def _compare(self, server: Lite, here: Transcript) -> list[str]:
        api = await SupabaseApi.connect(_settings(server))
        try:
            there = await api.transcript(here.conversation.id)
        finally:
            await api.aclose()
        if there is None:
            return ["the conversation is not in Supabase"]
        if any(what.startswith("clock") for what in self.report.spells):
            # Each takes the later of two times, and the bot's were not all true.
            moment = {"updated_at": here.conversation.created_at}
            here, there = (
                replace(one, conversation=one.conversation.model_copy(update=moment))
                for one in (here, there)
            )
        parts = ("conversation", "sessions", "messages", "transitions")
        self.report.rows_in_supabase += 1 + sum(len(getattr(here, part)) for part in parts[1:])
        return [
            f"the journal's {part}: {getattr(here, part)}, Supabase's: {getattr(there, part)}"
            for part in parts
            if getattr(here, part) != getattr(there, part)
        ]

    # --- Telling

    def _violation(self, call: str, what: str) -> None:
        self.report.violations.append(Violation(self._round, call, what))
        logger.error(f"Violation in round {self._round} {call}: {what[:600]}")

    def _keep(self, record: CallRecord, problems: Sequence[str]) -> None:
        """Write down all that is known of a call with violations."""
        began = record.timeline[0][0]
        timeline = [*record.timeline]
        timeline += [(at, f"fault: {what}") for at, what in record.heard.faults]
        timeline += [(at, f"recognised: {text}") for at, text in record.heard.finals]
        timeline += [
            (m["received_at"], f"page: {m['type']} {json.dumps(m.get('data'), ensure_ascii=False)}")
            for m in record.messages
            if m["type"] != "metrics"
        ]
        folder = self._options.output / "calls"
        folder.mkdir(parents=True, exist_ok=True)
        lines = [f"{at - began:8.2f}  {what}" for at, what in sorted(timeline)]
        text = "\n".join([*(f"VIOLATION {problem}" for problem in problems), "", *lines, ""])
        (folder / f"{record.name}.txt").write_text(text, encoding="utf-8")

    def _says(self, what: str) -> None:
        logger.info(f"Round {self._round}: {what}")


def _struck(record: CallRecord, spells: Sequence[tuple[float, float]]) -> bool:
    """Whether any of these spells was in a call."""
    began = record.timeline[0][0]
    return any(start < record.closed_at and began < end for start, end in spells)


def _ports(studio: Studio, database: Database | None) -> dict[int, str]:
    ports = {
        studio.deepgram.port: "recogniser",
        studio.openai.port: "model",
        studio.cartesia.port: "voice",
    }
    if database is not None:
        ports[urlsplit(database.proxy.url).port or 0] = "database"
    return ports


def _settings(server: Lite) -> Settings:
    values = {"SUPABASE_URL": server.url, "SUPABASE_SECRET_KEY": server.secret_key}
    return Settings.model_validate(values)


@asynccontextmanager
async def _database(options: Options) -> AsyncGenerator[Database | None]:
    if not options.supabase:
        yield None
        return
    async with started(running_lite()) as server, FaultProxy(server.url) as proxy:
        yield Database(server, proxy)


@asynccontextmanager
async def _bot(folder: Path, environment: dict[str, str]) -> AsyncGenerator[BotProcess]:
    """A bot; it starts and stops beside the loop, on which its vendors run."""
    async with started(running_bot(folder, program=PROGRAM, **environment)) as bot:
        yield bot

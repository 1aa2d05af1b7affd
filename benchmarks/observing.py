"""What it costs a call to be observed: its report, its trace, its figures and its sound.

Two Sonoras take turns, one with all of that and one with none.
"""

import asyncio
import tempfile
import time
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from statistics import median
from uuid import uuid4

from aiohttp import ClientSession
from loguru import logger

from benchmarks.contenders import Sonora
from benchmarks.figures import SONORA, Figure, Measurement, milliseconds
from benchmarks.resources import cpu_secs
from benchmarks.turns import Turn
from benchmarks.utterance import Utterance
from benchmarks.vendors import REALISTIC, Vendors, serving_vendors
from benchmarks.voice_to_voice import ANSWERS, ROOM_NOISE, talk
from simulators.clients.bot_process import BotProcess
from simulators.clients.report_hook import SECRET, Hook, report_hook
from simulators.clients.rtvi import RtviClient
from simulators.clients.trace_collector import Collector, trace_collector
from simulators.clients.webrtc import Page, page

REPORTS, TRACES, METRICS, RECORDING = "reports", "traces", "metrics", "recording"
ALL = (REPORTS, TRACES, METRICS, RECORDING)
"""What a call can be observed by."""

_TARGET = 1.02
_TOLD_SECS = 6.5
"""After a call, before its processor time is read: its report is sent, and its last spans, which
wait for 5 s to be sent together."""


class _Observed(Sonora):
    """A Sonora that observes its calls; people agree to be recorded.

    Args:
        name: What it is called.
        folder: Its working folder, and its journal's.
        settings: What it observes by.
    """

    def __init__(self, name: str, folder: Path, settings: Mapping[str, str]) -> None:
        super().__init__(folder, settings)
        self.name = name

    async def open(self, page: RtviClient) -> float:
        asked_at, _ = await self.open_conversation(page, user_id=str(uuid4()), recording=True)
        return asked_at


@dataclass(frozen=True)
class _Sinks:
    """Where what is observed goes."""

    hook: Hook
    collector: Collector

    def settings(self, kinds: Collection[str]) -> dict[str, str]:
        """What has a Sonora observe by these."""
        settings = {
            REPORTS: {"SONORA_REPORT_URL": self.hook.url, "SONORA_REPORT_SECRET": SECRET},
            TRACES: {"SONORA_TRACES_URL": self.collector.url},
            METRICS: {"SONORA_METRICS": "True"},
            RECORDING: {"SONORA_RECORDING": "True"},
        }
        return dict(chain.from_iterable(settings[kind].items() for kind in kinds))

    async def check(self, sonora: Sonora, bot: BotProcess, kinds: Collection[str]) -> None:
        """Make sure that the calls were observed.

        Raises:
            RuntimeError: They were not.
        """
        async with ClientSession() as client, client.get(f"{bot.url}/metrics") as response:
            figures = await response.text() if response.ok else ""
        seen = {
            REPORTS: bool(self.hook.came),
            TRACES: any(span.name == "turn" for span in self.collector.spans),
            METRICS: "sonora_answer_wait_seconds_count" in figures,
            RECORDING: any(file.stat().st_size for file in sonora.folder.rglob("*.ogg")),
        }
        if missing := [kind for kind in kinds if not seen[kind]]:
            raise RuntimeError(f"nothing came of {', '.join(missing)}")


@dataclass
class _Calls:
    """What was measured of one bot.

    Parameters:
        waits: The median wait of each call, in seconds.
        cpu: Processor seconds per minute, of each call.
    """

    waits: list[float] = field(default_factory=list[float])
    cpu: list[float] = field(default_factory=list[float])

    def add(self, turns: list[Turn], cpu: float) -> None:
        """Add a call. A turn that was cut in two has no end of speech to count from."""
        self.waits.append(median(turn.total_secs for turn in turns if not turn.cut))
        self.cpu.append(round(cpu, 2))


async def measure(*, rounds: int, kinds: Collection[str] = ALL) -> Measurement:
    """Talk with both bots by turns, a call each, and time every answer.

    Args:
        rounds: How many calls each bot has.
        kinds: What the calls of one of them are observed by.

    Raises:
        RuntimeError: They were not observed.
    """
    plain, observed = _Calls(), _Calls()
    async with _running(kinds) as (vendors, bots):
        utterances = [await Utterance.spoken(text) for text in ANSWERS]
        for sonora, bot in bots:
            # The first call of a process does what is done once.
            async with _client(bot) as first:
                await sonora.join(first)
        for number in range(rounds):
            # Each goes first as often as the other.
            both = tuple(zip(bots, (plain, observed), strict=True))
            for (sonora, bot), calls in both if number % 2 else reversed(both):
                turns, cpu = await _call(sonora, bot, vendors, utterances)
                calls.add(turns, cpu)
                logger.info(
                    f"{sonora.name}, call {number + 1}: {calls.waits[-1] * 1000:.0f} ms, "
                    f"{cpu:.2f} s a minute"
                )
    return Measurement(
        title=f"Observing ({REALISTIC})",
        how=f"Two Sonoras, one with {', '.join(kinds)} and one with nothing of that. {rounds} "
        f"calls of {len(ANSWERS)} turns with each bot, in turn; the first turn of a call is not "
        "counted. A call's wait is the median from the last voiced sound that the client sent to "
        "the first sound of the answer. Processor time is that of the bot's process, from the "
        f"beginning of a call to {_TOLD_SECS:g} s after its end, by the minute of the call. What "
        "is sent goes to servers on the same machine. The ratios are of calls that followed one "
        "another.",
        figures=_figures(plain, observed),
    )


@asynccontextmanager
async def _running(
    kinds: Collection[str],
) -> AsyncGenerator[tuple[Vendors, Sequence[tuple[Sonora, BotProcess]]]]:
    """Run one bot that observes nothing, and one that observes by these, in this order."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        vendors = await stack.enter_async_context(serving_vendors())
        vendors.answers = ANSWERS
        vendors.delay(REALISTIC)
        sinks = _Sinks(
            await stack.enter_async_context(report_hook()),
            await stack.enter_async_context(trace_collector()),
        )
        settings = sinks.settings(kinds)
        contenders = [
            _Observed("not observed", folder / "plain", {}),
            _Observed("observed", folder / "observed", settings),
        ]
        bots = [
            (sonora, await stack.enter_async_context(sonora.running(vendors)))
            for sonora in contenders
        ]
        yield vendors, bots
        await sinks.check(*bots[1], kinds)


def _client(bot: BotProcess) -> AbstractAsyncContextManager[Page]:
    return page(bot.url, noise=ROOM_NOISE)


async def _call(
    sonora: Sonora, bot: BotProcess, vendors: Vendors, utterances: list[Utterance]
) -> tuple[list[Turn], float]:
    """A call: its turns, and its processor seconds per minute, with its beginning and its end."""
    before, started_at = cpu_secs(bot), time.monotonic()
    turns, _ = await talk(sonora, bot, vendors, utterances, _client)
    elapsed = time.monotonic() - started_at
    await asyncio.sleep(_TOLD_SECS)
    return turns, (cpu_secs(bot) - before) / elapsed * 60


def _figures(plain: _Calls, observed: _Calls) -> list[Figure]:
    def figure(name: str, unit: str, values: list[float], limit: float | None = None) -> Figure:
        return Figure(name=name, unit=unit, values={SONORA: values}, limit=limit)

    def ratio(name: str, after: list[float], before: list[float]) -> Figure:
        ratios = [round(a / b, 3) for a, b in zip(after, before, strict=True)]
        return figure(f"{name}, observed to not observed", "", ratios, _TARGET)

    wait, cpu = "voice to voice", "CPU seconds per minute of conversation"
    return [
        figure(f"{wait}, not observed", "ms", milliseconds(plain.waits)),
        figure(f"{wait}, observed", "ms", milliseconds(observed.waits)),
        ratio(wait, observed.waits, plain.waits),
        figure(f"{cpu}, not observed", "s", plain.cpu),
        figure(f"{cpu}, observed", "s", observed.cpu),
        ratio(cpu, observed.cpu, plain.cpu),
    ]

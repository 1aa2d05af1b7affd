"""A turn without a tool, one with a tool that is quick, and one with a tool that is slow."""

import tempfile
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import median

from loguru import logger

from benchmarks.contenders import SETTLED_SECS, Checkout, Sonora
from benchmarks.figures import Figure, Measurement, milliseconds
from benchmarks.turns import take_turn
from benchmarks.utterance import Utterance
from benchmarks.vendors import REALISTIC, Vendors, serving_vendors
from benchmarks.voice_to_voice import ANSWERS
from simulators.clients.bot_process import BotProcess
from simulators.clients.webrtc import Page, page
from simulators.vendors.openai import ToolCall
from simulators.vendors.tool_api import Answer, ToolApi

QUICK_SECS, SLOW_SECS = 0.2, 5.0
"""How long the quick tool takes, and the slow one."""

_OWN_SECS = 0.06
"""What a quick tool may add to a turn, besides itself and the model's second request."""

_LONGEST_SILENCE_SECS = 1.5
_TARGET = 1.05
_ROOM_NOISE = 10.0
_ASKED = "Quiero reservar la mesa de la terraza"
_BOOKED = "Listo, quedó reservada la mesa de la terraza. ¿Algo más?"
_TOOLS = """
tools:
  - name: book_table
    description: Book a table at the restaurant.
    parameters:
      type: object
      properties: {table: {type: string}}
      required: [table]
    request:
      method: POST
      url: ${TOOL_API}/tables/{{ table }}/bookings
      body: {table: "{{ table }}"}
"""


@dataclass
class _Turns:
    """What was measured of one bot, in seconds.

    Parameters:
        without: From the end of speech to the answer, of turns without a tool.
        quick: The same, of turns with a quick tool.
        model: How long the model took, in each of those, to ask for the tool.
        between: From the end of that to its next request, without the tool's own time.
        silences: The longest silence of each turn with a slow tool.
    """

    without: list[float] = field(default_factory=list[float])
    quick: list[float] = field(default_factory=list[float])
    model: list[float] = field(default_factory=list[float])
    between: list[float] = field(default_factory=list[float])
    silences: list[float] = field(default_factory=list[float])

    @property
    def added(self) -> list[float]:
        """What a quick tool adds to a turn, besides itself and the model's second request."""
        without = median(self.without)
        pairs = zip(self.quick, self.model, strict=True)
        return [total - without - model - QUICK_SECS for total, model in pairs]


async def measure(*, calls: int, checkout: Path | None = None) -> Measurement:
    """Talk with the bots by turns, a call each.

    Args:
        calls: How many each has, of some turns of each kind.
        checkout: Another Sonora, which need not have tools, to measure beside.
    """
    turns: dict[str, _Turns] = {}
    with tempfile.TemporaryDirectory() as folder:
        async with AsyncExitStack() as stack:
            vendors = await stack.enter_async_context(serving_vendors())
            vendors.delay(REALISTIC)
            vendors.answers = {**ANSWERS, _ASKED: _BOOKED}
            vendors.calls = {_ASKED: ToolCall("book_table", {"table": "4"})}
            api = await stack.enter_async_context(ToolApi().serving())
            bots = [
                await stack.enter_async_context(_running(sonora, vendors, api))
                for sonora in _contenders(Path(folder), checkout)
            ]
            said = [await Utterance.spoken(text) for text in ANSWERS]
            asked = await Utterance.spoken(_ASKED)
            for number in range(calls):
                # Each goes first as often as the other.
                for sonora, bot in bots if number % 2 else reversed(bots):
                    async with page(bot.url, noise=_ROOM_NOISE) as client:
                        await sonora.join(client)
                        call = _Call(client, vendors, api, turns.setdefault(sonora.name, _Turns()))
                        await call.talk(said, asked if _acts(sonora) else None)
                    logger.info(f"tools, call {number + 1} with {sonora.name}")
    return Measurement(
        title=f"Tools ({REALISTIC})",
        how="Sonora has a tool that the other bot need not have. A turn is timed from the last "
        f"voiced sound that the client sent to the first sound of the answer. With a tool that "
        f"takes {QUICK_SECS * 1000:.0f} ms, the model is asked twice: what that adds is the turn's "
        "time less the median of the turns without a tool, less the tool's time, less the model's "
        "time from the request to the end of its call of the tool. The longest silence is between "
        "sounds of the bot, from the end of the user's speech to the end of the answer, in a turn "
        f"whose tool takes {SLOW_SECS:.0f} s.",
        figures=_figures(turns, beside=checkout is not None),
    )


def _contenders(folder: Path, checkout: Path | None) -> list[Sonora]:
    other = [Checkout(checkout, folder / "other")] if checkout else []
    return [*other, Sonora(folder / "this")]


def _acts(sonora: Sonora) -> bool:
    """Whether it has tools."""
    return (sonora.bot_file.parent / "sonora_app" / "tools").exists()


@asynccontextmanager
async def _running(
    sonora: Sonora, vendors: Vendors, api: ToolApi
) -> AsyncGenerator[tuple[Sonora, BotProcess]]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "tools.yaml"
        file.write_text(_TOOLS, "utf-8")
        settings = {"SONORA_TOOLS_FILE": str(file), "TOOL_API": api.url} if _acts(sonora) else {}
        async with sonora.running(vendors, **settings) as bot:
            yield sonora, bot


@dataclass(frozen=True)
class _Call:
    """A call whose greeting was heard, and where its turns are noted."""

    client: Page
    vendors: Vendors
    api: ToolApi
    turns: _Turns

    async def talk(self, said: Sequence[Utterance], asked: Utterance | None) -> None:
        """Take turns without a tool, and with a quick one by turns; then one with a slow tool.

        The first of each kind is not counted.

        Args:
            said: What needs no tool.
            asked: What needs one; None where there is none.
        """
        for number, utterance in enumerate((said[0], *said)):
            turn = await take_turn(self.client, self.vendors, utterance)
            if number and not turn.cut:
                self.turns.without.append(turn.total_secs)
            if asked is not None:
                await self._use_quick_tool(asked, counts=number > 0)
        if asked is not None:
            self.api.answer = lambda _: Answer({"ok": True}, after_secs=SLOW_SECS)
            self.turns.silences.append(await self._longest_silence(asked))

    async def _use_quick_tool(self, asked: Utterance, *, counts: bool) -> None:
        self.api.answer = lambda _: Answer({"ok": True}, after_secs=QUICK_SECS)
        seen = len(self.vendors.openai.log.entries)
        turn = await take_turn(self.client, self.vendors, asked)
        if turn.cut or not counts:
            return
        entries = self.vendors.openai.log.entries[seen:]
        first, second = [entry.at_secs for entry in entries if entry.what == "request"][-2:]
        answered = next(e.at_secs for e in entries if e.what == "answered" and e.at_secs > first)
        self.turns.quick.append(turn.total_secs)
        self.turns.model.append(answered - first)
        self.turns.between.append(second - answered - QUICK_SECS)

    async def _longest_silence(self, asked: Utterance) -> float:
        client, seen = self.client, len(self.client.messages)
        self.vendors.deepgram.expect(asked.words, asked.loudness)
        client.microphone.say(asked.pcm)
        await client.microphone.said()
        ended_at = client.microphone.ended_at - asked.tail_secs
        done = await client.event("tool-call", state="done", after=seen, timeout_secs=30)
        done_at = next(m["received_at"] for m in client.messages if m.get("data") is done)
        # A line that bridges the wait may still be spoken then.
        await self._spoken(_BOOKED, after=seen)
        await client.silence(SETTLED_SECS)
        heard = [moment for moment in client.sounds if moment > ended_at]
        if not heard or heard[-1] < done_at:
            raise RuntimeError("what came of the tool was not told")
        return max(later - earlier for earlier, later in pairwise((ended_at, *heard)))

    async def _spoken(self, text: str, *, after: int) -> None:
        first = text.split()[0]
        await self.client.wait_for(
            lambda message: (
                message["type"] == "bot-output" and first in str(message["data"].get("text"))
            ),
            after=after,
        )


def _figures(turns: dict[str, _Turns], *, beside: bool) -> list[Figure]:
    def of(name: str, values: dict[str, list[float]], **bounds: float | str | None) -> Figure:
        in_ms = {bot: milliseconds(secs) for bot, secs in values.items() if secs}
        return Figure.model_validate({"name": name, "unit": "ms", "values": in_ms, **bounds})

    with_tools = {name: each for name, each in turns.items() if each.quick}
    return [
        of(
            "turn without a tool",
            {name: each.without for name, each in turns.items()},
            target=_TARGET if beside else None,
        ),
        of("turn with a quick tool", {name: each.quick for name, each in with_tools.items()}),
        of(
            "what a quick tool adds, besides itself and the second request",
            {name: each.added for name, each in with_tools.items()},
            limit=_OWN_SECS * 1000,
        ),
        of(
            "between the model's two requests, besides the tool",
            {name: each.between for name, each in with_tools.items()},
            limit=_OWN_SECS * 1000,
        ),
        of(
            "longest silence of a turn with a slow tool",
            {name: each.silences for name, each in with_tools.items()},
            limit=_LONGEST_SILENCE_SECS * 1000,
        ),
    ]

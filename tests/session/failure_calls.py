"""The calls in which something fails: see `failure_cases.py`.

Each is a call by voice to a real bot whose vendors are this process's own, and the call's alone, so
that calls can be held beside each other.
"""

import asyncio
import contextlib
import time
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from itertools import cycle, groupby, islice
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from simulators.clients.bot_process import BotProcess, running_bot
from simulators.clients.speech import speech
from simulators.clients.waiting import Waiting
from simulators.clients.webrtc import Page, page
from sonora_app.errors import ErrorCode
from sonora_app.flow.lines import Lines
from sonora_app.runtime.backlog import OLD_SECS
from sonora_app.settings import Language
from sonora_app.storage.store import Transcript
from tests.session.conftest import transcript_of
from tests.session.failing_vendors import AGAIN, REQUEST, REST, WORDS, FailingVendors
from tests.session.failure_cases import ASKS, TEXTS, At, Case, How, Outcome, When

SILENCE_SECS = 8.0
"""How long the user may hear nothing."""

_BOTS = 2
_LINES_OPEN = 6
"""How many bots hold the calls, and how many calls they hold between them at a time."""

_REACTION_SECS = 30.0
"""How long a case waits for what it expects, before it goes on without."""

_INTO_ANSWER_SECS = 0.6
"""How much of the answer is heard before something happens in it."""

_EN = Lines(Language.EN)
_ES = Lines(Language.ES)
_LINES = (
    "greeting.new",
    "hold_on",
    "apology.answer",
    "apology.cut_off",
    "apology.voice",
    "apology.unheard",
    "still_here",
    "hearing.lost",
    "hearing.back",
    "farewell.error",
)


def failing_bot(data_dir: Path, *, warm: bool = True) -> AbstractContextManager[BotProcess]:
    """A bot for calls of cases, whose vendors are those of each call."""
    keys = dict.fromkeys(("DEEPGRAM_API_KEY", "OPENAI_API_KEY", "CARTESIA_API_KEY"), "unused")
    program = "tests/session/per_call_bot.py"
    return running_bot(data_dir, program=program, warm=warm, SONORA_LOG_LEVEL="INFO", **keys)


@contextmanager
def failing_bots(data_dir: Path) -> Generator[list[BotProcess]]:
    """The bots that hold the calls of cases between them."""
    with ExitStack() as stack:
        bots = [
            stack.enter_context(failing_bot(data_dir / str(number), warm=False))
            for number in range(_BOTS)
        ]
        for bot in bots:
            bot.wait_until_warm()
        yield bots


def started(cases: Iterable[Case], bots: Sequence[BotProcess]) -> dict[Case, asyncio.Task[Outcome]]:
    """The calls of cases, as many at a time as a machine with two processors can hold."""
    free: asyncio.Queue[BotProcess] = asyncio.Queue()
    for bot in islice(cycle(bots), _LINES_OPEN):
        free.put_nowait(bot)

    async def in_turn(case: Case) -> Outcome:
        bot = await free.get()
        try:
            return await play(case, bot)
        finally:
            free.put_nowait(bot)

    return {case: asyncio.create_task(in_turn(case)) for case in cases}


async def play_all(cases: Iterable[Case], data_dir: Path) -> dict[Case, Outcome]:
    """Hold the calls of cases, by bots of their own."""
    with failing_bots(data_dir) as bots:
        return {case: await task for case, task in started(cases, bots).items()}


async def play(case: Case, bot: BotProcess) -> Outcome:
    """Hold the call of a case."""
    vendors = FailingVendors(case)
    async with vendors.serving():
        if case.when is When.CONNECT:
            await vendors.fail()
        async with page(bot.url, body={"settings": vendors.settings()}) as client:
            return await _Call(case, bot, vendors, client).hold()


class _Call:
    """The call of a case."""

    def __init__(self, case: Case, bot: BotProcess, vendors: FailingVendors, client: Page) -> None:
        self._case = case
        self._bot = bot
        self._vendors = vendors
        self._client = client
        self._waiting = Waiting(bot)
        self._silence_secs = 0.0

    async def hold(self) -> Outcome:
        case, client = self._case, self._client
        await client.ready()
        if case.when is When.GREETING:
            # What is made ahead is not what is to fail.
            await self._vendors.cartesia.log.wait_for("spoken", len(_EN.spoken_ahead()))
        since = time.monotonic()
        answer = await client.action(
            "set_conversation_id", user_id=f"user-{uuid4()}", language="es"
        )
        if case.when is When.GREETING:
            if case.at is not At.CARTESIA:
                await client.sound(since=since)
            await self._vendors.fail()
        if case.when is When.FOR_GOOD:
            await self._until(case.kept[:1])
            await client.silence(0.6)
            await self._vendors.fail()
        if case.unheard:
            await self._until(case.kept[:1])
            await self._ask(REQUEST, fails=True)
            since = client.microphone.ended_at
        for number, said in enumerate(case.kept):
            if said.startswith(ASKS) and not client.closed.is_set():
                await self._until(case.kept[:number])
                self._waited(since)
                await self._ask(REQUEST, fails=case.when is When.TURN)
                since = client.microphone.ended_at
                if case.breaks_in:
                    self._silence_secs = await client.sound(since=since) - since
                    since = await self._break_in()
        if case.at is At.DISK:
            await client.sound(since=since)
            await client.silence(1.5)
            await self._fill_disk(full=False)
        await self._until(case.kept)
        self._waited(since)
        if not case.ends:
            await self._go_on()
        return await self._end(answer["data"]["d"]["conversation_id"])

    async def _break_in(self) -> float:
        """Do what the page does while the bot answers; gives when it was done."""
        await asyncio.sleep(_INTO_ANSWER_SECS)
        if self._case.how is How.ANEW:
            await self._client.reconnect()
        else:
            for key in TEXTS:
                self._client.type_text(WORDS[key])
        return time.monotonic()

    async def _fill_disk(self, *, full: bool) -> None:
        async with httpx.AsyncClient() as http:
            response = await http.post(f"{self._bot.url}/disk", params={"full": full})
            response.raise_for_status()

    async def _go_on(self) -> None:
        if self._case.deaf:
            await self._client.silence(0.6)
            self._client.type_text(AGAIN)
        else:
            if not self._case.fallback:
                await self._vendors.recover()
            await self._until((*self._case.kept, *self._case.back))
            await self._ask(AGAIN)
        await self._until((*self._case.kept, *self._case.back, "again", "answer again"))

    async def _ask(self, text: str, *, fails: bool = False) -> None:
        await self._client.silence(0.6)
        self._vendors.deepgram.hears.clear()
        self._vendors.deepgram.hears.append(text)
        if fails and self._case.at is At.DISK:
            await self._fill_disk(full=True)
        elif fails and self._case.at is not At.PAGE:
            await self._vendors.fail()
        self._client.microphone.say(await speech(text))
        if fails and "rest" in self._case.kept:
            await self._vendors.deepgram.log.wait_for("broken")
            self._vendors.deepgram.hears[0] = REST
        await self._client.microphone.said()

    async def _until(self, kept: tuple[str, ...]) -> None:
        """Wait until so much is kept, or the call is over; for no longer than `_REACTION_SECS`."""
        recorded = asyncio.create_task(
            self._client.event("message-recorded", seq=len(kept), timeout_secs=_REACTION_SECS)
        )
        closed = asyncio.create_task(self._client.closed.wait())
        await asyncio.wait(
            [recorded, closed] if kept else [closed],
            return_when=asyncio.FIRST_COMPLETED,
            timeout=_REACTION_SECS,
        )
        recorded.cancel()
        closed.cancel()
        await asyncio.gather(recorded, closed, return_exceptions=True)

    def _waited(self, since: float) -> None:
        """Note how long the user has waited for a sound, or for the end, since `since`."""
        ends = [m["received_at"] for m in self._client.messages if _is_end(m)]
        came = [moment for moment in (*self._client.sounds, *ends) if moment > since]
        self._silence_secs = max(self._silence_secs, min(came, default=time.monotonic()) - since)

    async def _end(self, conversation_id: str) -> Outcome:
        client = self._client
        if self._case.ends:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(client.closed.wait(), _REACTION_SECS)
        ended = [event["reason"] for event in client.events("conversation-ended")]
        codes = [event["code"] for event in client.events("notice")]
        # A bot that had no processor for so long rightly says that it did not listen.
        if self._waiting.excused_secs > OLD_SECS:
            codes = [code for code in codes if code != ErrorCode.SPEECH_DROPPED]
        # Pipecat's own message for an error holds the vendor's words.
        codes += [message["type"] for message in client.messages if message["type"] == "error"]
        if self._case.at is At.DISK:
            codes += ["storage" for one in client.events("storage") if one["state"] != "ok"]
        page = tuple(code for code, _ in groupby(codes))
        await client.hang_up()
        transcript = await self._kept(conversation_id)
        spoken = [m.content or "" for m in transcript.messages if m.role == "assistant"]
        return Outcome(
            kept=tuple(_key(message.content or "") for message in transcript.messages),
            page=page,
            ends=", ".join(ended),
            filed=(
                transcript.sessions[0].end_reason or "",
                transcript.conversation.status,
                transcript.transitions[-1].trigger,
            ),
            heard=all(self._vendors.sounded(text) for text in spoken),
            silence_secs=self._silence_secs,
        )

    async def _kept(self, conversation_id: str) -> Transcript:
        async with asyncio.timeout(_REACTION_SECS):
            while f"conversation {conversation_id} is closed" not in self._bot.logged():
                await asyncio.sleep(0.1)
        return await transcript_of(self._bot, conversation_id)


def _is_end(message: Mapping[str, Any]) -> bool:
    return (message.get("data") or {}).get("event") == "conversation-ended"


def _key(text: str) -> str:
    """What the cases call a text."""
    for key in (*WORDS, *_LINES):
        whole = WORDS.get(key) or _ES.text(key)
        if text == whole:
            return key
        if text and whole.startswith(text):
            return f"{key}…"
    return text

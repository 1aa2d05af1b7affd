"""A caller: does what their plan says over real WebRTC, and notes what they said and saw."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from benchmarks.soak.plan import Act, CallPlan, Ending, Leaving, Opening, Step, Utterance
from benchmarks.soak.studio import Heard, Studio
from simulators.clients.speech import speech
from simulators.clients.webrtc import MIC_RATE, Page

OUTCOME_SECS = 25.0
"""How long a caller may be left without a sign of any kind: a voice, an answer, a notice, or the
end of the call. An idle nudge counts: it is what is heard when something was lost for good."""

_BACK_SECS = 5.0
"""How long after the connection is there again the caller may hear nothing. The tests, in which
nothing else goes wrong, allow 2 s."""

_CALL_SECS = 300.0
"""Longer than any call may last, with its limits as `run.py` sets them."""

_SAID_SECS = 20.0
"""Longer than any sentence is."""
_CLOSED_SECS = 20.0
"""From the news that the call is over to its end."""

_ENDED_SECS = 90.0
"""How long winding up may take, nudges and the farewell included."""

_VOICES = {"es": "es-419", "en": "en-us"}


class CallerError(Exception):
    """Something happened that should not have."""


class TooLateError(CallerError):
    """Something did not happen in time."""


@dataclass
class CallRecord:
    """What a caller did and saw in one session. Times are monotonic seconds.

    Parameters:
        plan: What they meant to do.
        name: Which call it is, and which page of it: the first is named as the plan.
        heard: What the vendors know of them.
        timeline: What they did and when, to be read by people.
        problems: What must not have happened.
        late: What did not happen in time.
        messages: What the page received.
        sounds: When there was sound.
        typed: What they typed, and whether the answer was to be spoken.
        strays: What must not have happened, unless a disk was full meanwhile.
        answered: The sentences that had time to be answered in full.
        waits: How long each sentence waited for a sign of any kind, in seconds.
        conversation_id: Which conversation it was, if one was opened.
        session_id: Which call of it.
        left_at: When they left by themselves; None if the bot ended the call.
        vanished: Whether they left without a word.
        connected_anew: Whether they lost the connection and connected anew.
        taken_over: Whether they came back to the conversation by another page.
        closed_at: When it was over.
    """

    plan: CallPlan
    name: str = ""
    heard: Heard = field(default_factory=Heard)
    timeline: list[tuple[float, str]] = field(default_factory=list[tuple[float, str]])
    problems: list[str] = field(default_factory=list[str])
    late: list[str] = field(default_factory=list[str])
    messages: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    sounds: list[float] = field(default_factory=list[float])
    typed: list[tuple[float, str, bool]] = field(default_factory=list[tuple[float, str, bool]])
    strays: list[str] = field(default_factory=list[str])
    answered: list[Utterance] = field(default_factory=list[Utterance])
    waits: list[float] = field(default_factory=list[float])
    conversation_id: UUID | None = None
    session_id: UUID | None = None
    left_at: float | None = None
    vanished: bool = False
    connected_anew: bool = False
    taken_over: bool = False
    closed_at: float = 0.0

    def __post_init__(self) -> None:
        """Name it as its plan, if it has no name of its own."""
        self.name = self.name or self.plan.name

    def events(self, name: str) -> list[dict[str, Any]]:
        """Sonora's server-messages of one kind, in the order they came."""
        return [
            message["data"]
            for message in self.messages
            if message["type"] == "server-message" and message["data"].get("event") == name
        ]


class Phonebook:
    """The conversations that may be resumed, by user: those that no call is in."""

    def __init__(self) -> None:
        """Start empty."""
        self._free: dict[str, list[UUID]] = {}

    def add(self, user: str, conversation_id: UUID) -> None:
        """A call of this conversation is over."""
        self._free.setdefault(user, []).append(conversation_id)

    def take(self, user: str, which: float) -> UUID | None:
        """One of a user's conversations, which is then in use; None if they have none."""
        free = self._free.get(user)
        return free.pop(int(which * len(free))) if free else None

    def somebody_elses(self, user: str) -> UUID | None:
        """A conversation of anybody but `user`."""
        return next((ids[0] for owner, ids in self._free.items() if owner != user and ids), None)


class Caller:
    """Makes one call, of as many pages as they come back by.

    Args:
        urls: Where the bot is, in each of its processes.
        plan: What to do.
        studio: The vendors, who are told what is being said.
        phonebook: Which conversations there are.
    """

    def __init__(
        self, urls: Sequence[str], plan: CallPlan, studio: Studio, phonebook: Phonebook
    ) -> None:
        """Set up; `run` calls."""
        self.record = CallRecord(plan)
        self._records = [self.record]
        self._urls = urls
        self._at = min(int(plan.at * len(urls)), len(urls) - 1)
        self._plan = plan
        self._studio = studio
        self._phonebook = phonebook
        self._page = Page()
        self._pages = [self._page]
        self._said: set[str] = set()
        studio.expect(plan.utterances, self.record.heard)

    async def run(self) -> list[CallRecord]:
        """Make the call, and come back when it is over, with a record of each page."""
        self.record.messages, self.record.sounds = self._page.messages, self._page.sounds
        plan = self._plan
        self._note(f"{plan.user} calls in {plan.language}: {plan.opening}, then {plan.ending}")
        resuming = None
        if plan.opening is Opening.RESUME:
            resuming = self._phonebook.take(plan.user, plan.which)
        try:
            async with asyncio.timeout(_CALL_SECS):
                await self._open(resuming)
                await self._talk()
        except TooLateError as error:
            self.record.late.append(str(error))
        except CallerError as error:
            self._problem(str(error))
        except TimeoutError as error:
            self.record.late.append(f"too late: {error or 'the call, or an answer to a message'}")
        except Exception as error:  # noqa: BLE001  # whatever it is, the soak goes on and tells it
            self._problem(f"{type(error).__name__}: {error}")
        finally:
            if not self._page.closed.is_set():
                self._left()
            for page, record in zip(self._pages, self._records, strict=True):
                await page.hang_up()
                record.closed_at = record.closed_at or time.monotonic()
                for late in record.late:
                    record.timeline.append((time.monotonic(), f"TOO LATE: {late}"))
            self._note("the call is over")
            freed = next((r.conversation_id for r in self._records if r.conversation_id), resuming)
            if freed is not None:
                self._phonebook.add(plan.user, freed)
        return self._records

    # --- Opening

    async def _open(self, resuming: UUID | None) -> None:
        plan, page = self._plan, self._page
        by_body = plan.opening is Opening.NEW_BY_BODY
        claim = {"user_id": plan.user, "language": plan.language}
        await page.connect(self._urls[self._at], body=claim if by_body else None)
        await page.ready()
        if plan.opening is Opening.INTRUDE:
            await self._intrude()
        if by_body:
            opened = await self._expect("conversation-opened", OUTCOME_SECS)
        else:
            opened = await self._ask_to_open(
                claim | ({"conversation_id": str(resuming)} if resuming else {})
            )
        if opened is not None:
            self._opened(opened)

    def _opened(self, opened: dict[str, Any]) -> None:
        record = self.record
        record.conversation_id = UUID(opened["conversation_id"])
        record.session_id = UUID(opened["session_id"])
        self._note(f"conversation {record.conversation_id}, session {record.session_id}")

    async def _ask_to_open(self, claim: dict[str, str]) -> dict[str, Any] | None:
        for _ in range(3):
            answer = await self._page.action("set_conversation_id", **claim)
            if answer["type"] == "server-response":
                return answer["data"]["d"]
            code = answer["data"]["code"]
            self._note(f"not opened: {code}")
            if code != "storage_unavailable":
                raise CallerError(f"set_conversation_id was answered {code}")
            await asyncio.sleep(2)
        return None

    async def _intrude(self) -> None:
        theirs = self._phonebook.somebody_elses(self._plan.user)
        if theirs is None:
            return
        answer = await self._page.action(
            "set_conversation_id", user_id=self._plan.user, conversation_id=str(theirs)
        )
        code = answer["data"].get("code")
        self._note(f"somebody else's conversation: {code}")
        if code not in ("conversation_refused", "storage_unavailable"):
            raise CallerError(f"somebody else's conversation {theirs} was opened")

    # --- Talking

    async def _talk(self) -> None:
        plan = self._plan
        if self.record.session_id is None:
            return
        first = plan.steps[0].act if plan.steps else None
        if first is not Act.BARGE_IN:
            await self._until(self._is_greeted, 30, "the greeting's end")
        for step in plan.steps:
            if self._is_over():
                break
            await self._do(step)
        if not self._is_over():
            await self._end()
        if not self.record.left_at:
            await self._until(lambda: self._over(), _ENDED_SECS, "the end of the call")
            await self._until(self._page.closed.is_set, _CLOSED_SECS, "the connection's end")

    async def _do(self, step: Step) -> None:
        page, utterance = self._page, step.utterance
        match step.act:
            case Act.PAUSE:
                self._note(f"pauses {step.secs:.1f} s")
                await asyncio.sleep(step.secs)
            case Act.OPEN_AGAIN:
                again = await page.action(
                    "set_conversation_id", conversation_id=str(self.record.conversation_id)
                )
                if again["data"].get("d", {}).get("session_id") != str(self.record.session_id):
                    raise CallerError(f"opening again was answered {again['data']}")
            case Act.NONSENSE:
                answer = await page.action("fly_to_the_moon")
                if answer["type"] != "error-response":
                    raise CallerError(f"nonsense was answered {answer['type']}")
            case Act.TYPE | Act.TYPE_SILENTLY if utterance is not None:
                await self._type(utterance, aloud=step.act is Act.TYPE)
            case Act.SAY if utterance is not None:
                await self._quiet()
                await self._say(utterance)
            case Act.BARGE_IN if utterance is not None:
                await self._wait_to_cut_in(step.secs)
                await self._say(utterance)
            case Act.CONNECT_ANEW if utterance is not None:
                await self._begin_to_hear(utterance, step.secs)
                if not self._is_over():
                    await self._connect_anew()
            case Act.RELOAD if utterance is not None:
                await self._begin_to_hear(utterance, step.secs)
                if not self._is_over():
                    await self._reload(step)
            case _:
                raise AssertionError(step)

    async def _say(self, utterance: Utterance) -> None:
        samples = await speech(utterance.text, voice=_VOICES[self._plan.language])
        self._note(f"says “{utterance.text}” {utterance.faults or ''}")
        self._said.add(utterance.code)
        self._studio.speaking(utterance, samples)
        self._page.microphone.say(samples)
        # Nobody takes the sound once the call is over.
        await self._until(lambda: self._page.microphone.idle, _SAID_SECS, "the end of a sentence")
        await self._outcome(utterance, aloud=True)

    async def _type(self, utterance: Utterance, *, aloud: bool) -> None:
        before = len(self._page.messages)
        self._send(utterance, aloud=aloud)
        await self._outcome(utterance, aloud=aloud, since=before)

    def _send(self, utterance: Utterance, *, aloud: bool) -> None:
        self._note(f"types “{utterance.text}” {utterance.faults or ''}")
        self._said.add(utterance.code)
        self._page.type_text(utterance.text, audio_response=aloud)
        self.record.typed.append((time.monotonic(), utterance.text, aloud))

    async def _outcome(
        self, utterance: Utterance, *, aloud: bool, since: int | None = None
    ) -> None:
        """Wait for a sign that the bot noticed, and until it has done with it."""
        since = len(self._page.messages) if since is None else since
        asked = time.monotonic()
        await self._until(
            lambda: any(is_sign(m, aloud=aloud) for m in self._page.messages[since:]),
            OUTCOME_SECS,
            f"any sign after “{utterance.text}” {utterance.faults}",
        )
        self.record.waits.append(time.monotonic() - asked)
        self._note(f"got a sign after {self.record.waits[-1]:.2f} s")
        if aloud and not self._page.closed.is_set():
            await self._quiet()
        if not self._is_over() and not utterance.faults:
            self.record.answered.append(utterance)

    async def _quiet(self) -> None:
        """Wait until the bot has been silent for a moment."""
        try:
            await self._page.silence(0.8, timeout_secs=60)
        except TimeoutError:
            raise TooLateError("the bot talks without end") from None

    async def _wait_to_cut_in(self, secs: float) -> None:
        try:
            await self._page.sound(since=time.monotonic() - 0.5, timeout_secs=4)
        except TimeoutError:
            return
        await asyncio.sleep(secs)

    # --- Coming back

    async def _begin_to_hear(self, utterance: Utterance, secs: float) -> None:
        await self._quiet()
        before = time.monotonic()
        self._send(utterance, aloud=True)
        with contextlib.suppress(TimeoutError):
            await self._page.sound(since=before, timeout_secs=4)
        await asyncio.sleep(secs)

    async def _connect_anew(self) -> None:
        self._note("loses the connection, and connects anew")
        self.record.connected_anew = True
        await self._page.reconnect()
        self._note("is connected again")
        await self._hears_that_they_are_back(since=len(self._page.messages))
        await self._quiet()

    async def _reload(self, step: Step) -> None:
        """Come back to the conversation by another page, perhaps of another process."""
        before, page = self.record, self._page
        self._note(f"reloads the page, which {step.leaving}; elsewhere: {step.elsewhere}")
        before.taken_over = True
        if step.leaving is not Leaving.STAY:
            self._left()
        if step.leaving is Leaving.VANISH:
            before.vanished = True
            page.vanish()
        elif step.leaving is Leaving.HANG_UP:
            await page.hang_up()
            before.closed_at = time.monotonic()
        await self._by_another_page(before, elsewhere=step.elsewhere)
        if step.leaving is Leaving.STAY:
            await self._see_the_end_of(before, page)
        if self.record.session_id is not None:
            await self._until(self._is_greeted, 30, "the end of the greeting, or being put back")
            await self._quiet()

    async def _by_another_page(self, before: CallRecord, *, elsewhere: bool) -> None:
        self._at = (self._at + elsewhere) % len(self._urls)
        self._page = Page()
        self._pages.append(self._page)
        self.record = CallRecord(self._plan, f"{self._plan.name}-{len(self._records)}")
        self._records.append(self.record)
        self.record.messages, self.record.sounds = self._page.messages, self._page.sounds
        self._note(f"comes back to conversation {before.conversation_id}")
        left = [one for one in self._plan.utterances if one.code not in self._said]
        self._studio.expect(tuple(left), self.record.heard)
        await self._page.connect(self._urls[self._at])
        await self._page.ready()
        claim = {"user_id": self._plan.user, "language": self._plan.language}
        opened = await self._ask_to_open(claim | {"conversation_id": str(before.conversation_id)})
        if opened is None:
            return
        self._opened(opened)
        if not before.events("conversation-ended"):
            self._see_where(before, opened)
        await self._hears_that_they_are_back(since=0)

    def _see_where(self, before: CallRecord, opened: dict[str, Any]) -> None:
        """Note whether the caller was not put back where the talk was."""
        nodes = [event["node"] for event in before.events("node-changed")]
        was = nodes[-1].replace("greeting", "conversation")
        is_at, put_back = opened["node"], opened.get("put_back")
        if was in ("conversation", "wrap_up") and not (put_back and is_at == was):
            self.record.strays.append(f"put back to {is_at} ({put_back}), where it was {was}")

    async def _see_the_end_of(self, before: CallRecord, page: Page) -> None:
        """Wait until the older page is told that it was taken over, and its call ends."""
        try:
            await asyncio.wait_for(page.closed.wait(), _CLOSED_SECS)
        except TimeoutError:
            before.strays.append("the older page was not taken over")
            before.left_at = time.monotonic()
        await page.hang_up()
        before.closed_at = time.monotonic()

    async def _hears_that_they_are_back(self, *, since: int) -> None:
        asked = time.monotonic()
        await self._until(
            lambda: any(is_sign(m, aloud=True) for m in self._page.messages[since:]),
            _BACK_SECS,
            "any sign after coming back",
        )
        self._note(f"got a sign after {time.monotonic() - asked:.2f} s")

    # --- Ending

    async def _end(self) -> None:
        plan, page = self._plan, self._page
        match plan.ending:
            case Ending.GOODBYE | Ending.RESUME_THEN_GOODBYE:
                await self._say_the_last()
            case Ending.END_CONVERSATION:
                await self._end_conversation()
                await self._quiet()
                await self._say_the_last()
            case Ending.END_TWICE:
                await self._end_conversation()
                await asyncio.sleep(plan.ending_secs)
                if not self._is_over():
                    await self._end_conversation()
            case Ending.HANG_UP:
                await asyncio.sleep(plan.ending_secs)
                self._left()
            case Ending.HANG_UP_IN_MID_WORD:
                await self._hang_up_in_mid_word(plan.last[0])
            case Ending.VANISH:
                await asyncio.sleep(plan.ending_secs)
                self._left()
                self.record.vanished = True
                page.vanish()
            case Ending.DISCONNECT:
                await asyncio.sleep(plan.ending_secs)
                self._note("sends disconnect-bot")
                page.send("disconnect-bot")
            case Ending.IDLE:
                self._note("falls silent")
            case Ending.OVERSTAY:
                await self._overstay()

    async def _say_the_last(self) -> None:
        for utterance in self._plan.last:
            if self._is_over():
                return
            await self._quiet()
            await self._say(utterance)

    async def _end_conversation(self) -> None:
        self._note("sends end_conversation")
        answer = await self._page.action("end_conversation")
        if answer["type"] != "server-response" and not self._is_over():
            raise CallerError(f"end_conversation was answered {answer['data']}")

    async def _hang_up_in_mid_word(self, utterance: Utterance) -> None:
        samples = await speech(utterance.text, voice=_VOICES[self._plan.language])
        self._note(f"begins to say “{utterance.text}”")
        self._said.add(utterance.code)
        self._studio.speaking(utterance, samples)
        self._page.microphone.say(samples)
        await asyncio.sleep(len(samples) / MIC_RATE * 0.6)
        self._left()

    async def _overstay(self) -> None:
        self._note("stays on the line")
        voice = _VOICES[self._plan.language]
        while not self._is_over():
            # The recogniser knows no such sentence: a voice, and no words.
            self._page.microphone.say(await speech("Mmm, ajá, mmm, ejem.", voice=voice))
            await self._page.microphone.said()
            await asyncio.sleep(4)

    # --- Watching

    async def _expect(self, event: str, secs: float) -> dict[str, Any]:
        found: list[dict[str, Any]] = []

        def seen() -> bool:
            found[:] = self.record.events(event)
            return bool(found)

        await self._until(seen, secs, event)
        if not found:
            raise CallerError(f"the call ended before {event}")
        return found[0]

    async def _until(self, happened: Callable[[], bool], secs: float, what: str) -> None:
        """Wait until something happened, or the call is over."""
        deadline = time.monotonic() + secs
        while not happened() and not self._page.closed.is_set():
            if time.monotonic() > deadline:
                raise TooLateError(f"waited {secs:g} s in vain for {what}")
            await asyncio.sleep(0.05)

    def _moved_to(self, node: str) -> bool:
        return any(event["node"] == node for event in self.record.events("node-changed"))

    def _is_greeted(self) -> bool:
        return self._moved_to("conversation") or self._moved_to("wrap_up")

    def _over(self) -> bool:
        return bool(self.record.events("conversation-ended"))

    def _is_over(self) -> bool:
        return self._page.closed.is_set() or self._moved_to("farewell")

    def _left(self) -> None:
        self.record.left_at = self.record.left_at or time.monotonic()
        self._note("leaves")

    def _note(self, what: str) -> None:
        self.record.timeline.append((time.monotonic(), what))

    def _problem(self, what: str) -> None:
        self.record.problems.append(what)
        self._note(f"PROBLEM: {what}")


def is_sign(message: dict[str, Any], *, aloud: bool) -> bool:
    """Whether a message shows the user that something happens: an answer, a problem, the end.

    Args:
        message: What the page received.
        aloud: Whether the user is to hear it, rather than read it.
    """
    if message["type"] in ("bot-started-speaking", "error-response"):
        return True
    if message["type"] != "server-message":
        return False
    data = message["data"]
    if data.get("event") == "message-recorded" and not aloud:
        return data["role"] == "assistant" and not data["interrupted"]
    return data.get("event") in ("notice", "conversation-ended")

"""The vendors' side of the soak: knows every sentence, and what is to go wrong with it.

One set of vendors serves all callers. Whose request it is follows from the sentence in it; whose
voice, from the sound.
"""

import json
import random
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from weakref import WeakKeyDictionary

import numpy as np
from websockets.asyncio.server import ServerConnection

from benchmarks.soak.ear import find, loudness
from benchmarks.soak.phrases import NOTHING, TOPIC, codes_in
from benchmarks.soak.plan import Intent, LlmFault, SttFault, Utterance
from simulators.clients.webrtc import MIC_RATE
from simulators.vendors.cartesia import CartesiaVendor, Fault
from simulators.vendors.deepgram import DeepgramVendor, Stretch
from simulators.vendors.odd_answers import any_answer
from simulators.vendors.openai import ChatRequest, OpenAIVendor, Reply, ToolCall
from simulators.vendors.settings import vendor_settings

_REMEMBERED_SECS = 30.0
"""How long after it began a sentence may still be recognised."""

_AS_ALIKE = 0.05
"""How much less alike a sound may be to a sentence and still be of that one, and not another.
espeak-ng says nothing twice in the same way: what two sentences begin with is alike by 0.97 and
more, and by 0.92 at most once a third of a second of what they differ in was heard."""

_WITHIN_SECS = 0.4
"""Silence that there may be within a sentence. A bot may ask for a transcript in any of it."""

_PACE = Reply(first_token_secs=0.35, token_secs=0.015)
"""How fast the model answers."""

_NEVER_SECS = 40.0
"""Longer than anybody waits for the model."""

_LASTING = (LlmFault.ERROR, LlmFault.UNAUTHORIZED, LlmFault.STALL, LlmFault.ODD)
"""What strikes every attempt to answer a sentence, and not only the first."""


@dataclass
class Heard:
    """What the vendors know of one caller.

    Parameters:
        finals: What their voice was recognised as, with the monotonic time.
        faults: What went wrong for them, with the monotonic time.
    """

    finals: list[tuple[float, str]] = field(default_factory=list[tuple[float, str]])
    faults: list[tuple[float, str]] = field(default_factory=list[tuple[float, str]])


@dataclass(frozen=True)
class _Spoken:
    utterance: Utterance
    loudness: np.ndarray
    at_secs: float


@dataclass
class Speech:
    """What the voice was sent in one context.

    Parameters:
        text: All of it, so far.
        broken: Whether it broke off.
    """

    text: str = ""
    broken: bool = False


class Studio:
    """The three vendors, wired to the callers' plans.

    Attributes:
        speeches: What the voice was sent since the last `forget`, by context.
        unknown_sounds: How many stretches of sound were of no sentence.
    """

    def __init__(self) -> None:
        """Set up; `serving` starts the vendors."""
        self.deepgram = _Recogniser(self)
        self.openai = OpenAIVendor("sk-soak")
        self.cartesia = _Voice(self)
        self.deepgram.final_secs = 0.15
        self.cartesia.first_byte_secs = 0.12
        self.openai.model = self._answer
        self.unknown_sounds = 0
        self._owners: dict[str, tuple[Utterance, Heard]] = {}
        self._spoken: list[_Spoken] = []
        self._done: set[tuple[str, str]] = set()
        self._odd_answers = 0

    @asynccontextmanager
    async def serving(self) -> AsyncGenerator[None]:
        """Serve until the block ends."""
        async with self.deepgram.serving(), self.openai.serving(), self.cartesia.serving():
            yield

    @property
    def environment(self) -> dict[str, str]:
        """What points a bot here."""
        return vendor_settings(self.deepgram, self.openai, self.cartesia)

    def expect(self, utterances: tuple[Utterance, ...], heard: Heard) -> None:
        """Get to know a caller's sentences; what happens with them is noted in `heard`."""
        for utterance in utterances:
            self._owners[utterance.code] = (utterance, heard)
            for sentence in (*utterance.answer, utterance.summing_up):
                self._owners[codes_in(sentence)[0]] = (utterance, heard)

    def speaking(self, utterance: Utterance, samples: np.ndarray) -> None:
        """A caller begins to say `samples`, at the microphone's rate."""
        now = time.monotonic()
        self._spoken = [one for one in self._spoken if now - one.at_secs < _REMEMBERED_SECS]
        self._spoken.append(_Spoken(utterance, loudness(samples, MIC_RATE), now))

    def speeches(self) -> dict[str, Speech]:
        """What the voice was sent since the last `forget`, by context."""
        speeches: dict[str, Speech] = {}
        for entry in self.cartesia.log.entries:
            if entry.what == "message" and entry.facts.get("transcript"):
                speech = speeches.setdefault(entry["context_id"], Speech())
                speech.text = f"{speech.text} {entry['transcript']}".strip()
            elif entry.what in ("broken", "cancelled"):
                speeches.setdefault(entry["context"], Speech()).broken = True
        return speeches

    def forget(self) -> None:
        """Forget what the vendors were asked. Nobody calls now."""
        for vendor in (self.deepgram, self.openai, self.cartesia):
            vendor.log.entries.clear()
        self._spoken.clear()
        self._owners.clear()
        self._done.clear()
        self._odd_answers = 0

    # --- The recogniser

    def understood(self, stretch: Stretch) -> Utterance | None:
        """The sentence that a stretch of sound is of, if enough of it was heard."""
        heard = loudness(stretch.samples, stretch.rate)
        found = [(one, find(heard, one.loudness)) for one in self._spoken]
        found = [(one, match) for one, match in found if match.is_same]
        if not found:
            self.unknown_sounds += 1
            return None
        best = max(match.alike for _, match in found)
        likely = [(one, match) for one, match in found if match.alike >= best - _AS_ALIKE]
        # Sentences begin with the same words, and this may be all that was heard yet.
        one, match = max(likely, key=lambda pair: pair[0].at_secs)
        return one.utterance if match.is_enough else None

    def recognised(self, utterance: Utterance) -> str:
        """What a sentence is recognised as."""
        self._owners[utterance.code][1].finals.append((time.monotonic(), utterance.text))
        return utterance.text

    def strikes(self, utterance: Utterance, what: str) -> bool:
        """Whether a fault that strikes a sentence once does so now; notes it if it does."""
        if (utterance.code, what) in self._done:
            return False
        self._done.add((utterance.code, what))
        self._owners[utterance.code][1].faults.append((time.monotonic(), what))
        return True

    # --- The voice

    def answered_by(self, text: str) -> Utterance | None:
        """The sentence of a caller that a sentence of the bot's answers."""
        for code in codes_in(text):
            owner = self._owners.get(code)
            if owner is not None and owner[0].code != code:
                return owner[0]
        return None

    # --- The model

    def _answer(self, request: ChatRequest) -> Reply:
        asked = self._asked_about(request)
        if not request.body.get("stream"):
            return Reply(json.dumps(_description(request)), first_token_secs=0.3)
        if asked is None:
            language = "en" if "English" in json.dumps(request.messages[:1]) else "es"
            return replace(_PACE, text=NOTHING[language])
        healthy = self._healthy(request, asked)
        if asked.llm_fault is None:
            return healthy
        return self._faulty(healthy, self._odd(request, asked), asked, asked.llm_fault)

    def _asked_about(self, request: ChatRequest) -> Utterance | None:
        """The last sentence of the user's that the model has before it, if it is of this call."""
        said = [m["content"] for m in request.messages if m["role"] == "user"]
        for text in reversed(said):
            if isinstance(text, str):
                known = [self._owners[code][0] for code in codes_in(text) if code in self._owners]
                if known:
                    return known[-1]
        return None

    def _healthy(self, request: ChatRequest, utterance: Utterance) -> Reply:
        if "wrap_up" in request.tools and utterance.intent is not Intent.TALK:
            return replace(_PACE, calls=(ToolCall("wrap_up", _description(request)),))
        if "say_goodbye" in request.tools:
            if request.messages[-1]["role"] != "user":
                return replace(_PACE, text=utterance.summing_up)
            done = utterance.intent is not Intent.TALK
            name = "say_goodbye" if done else "resume_conversation"
            return replace(_PACE, calls=(ToolCall(name),))
        return replace(_PACE, text=" ".join(utterance.answer))

    def _faulty(self, healthy: Reply, odd: Reply, utterance: Utterance, fault: LlmFault) -> Reply:
        stalled = replace(healthy, first_token_secs=_NEVER_SECS)
        faulty = {
            LlmFault.ERROR_ONCE: Reply(status=500),
            LlmFault.ERROR: Reply(status=500),
            LlmFault.RATE_LIMIT_ONCE: Reply(status=429, headers={"Retry-After": "1"}),
            LlmFault.UNAUTHORIZED: Reply(status=401),
            LlmFault.STALL_ONCE: stalled,
            LlmFault.STALL: stalled,
            LlmFault.DROP_AT_ONCE: replace(healthy, drop_after=0),
            LlmFault.DROP: replace(healthy, drop_after=4),
            LlmFault.STALL_IN_ANSWER: replace(healthy, token_secs=15.0),
            LlmFault.SLOW: replace(healthy, first_token_secs=1.0, token_secs=0.3),
            LlmFault.EMPTY: _PACE,
            LlmFault.ODD_ONCE: odd,
            LlmFault.ODD: odd,
        }[fault]
        lasting = fault in _LASTING
        if self.strikes(utterance, f"model: {fault}"):
            return faulty
        return faulty if lasting else healthy

    def _odd(self, request: ChatRequest, utterance: Utterance) -> Reply:
        self._odd_answers += 1
        numbers = random.Random(f"{utterance.code} {self._odd_answers}")
        return replace(_PACE, chunks=any_answer(numbers, request.tools))


class _Recogniser(DeepgramVendor):
    def __init__(self, studio: Studio) -> None:
        super().__init__("deepgram-soak")
        self._studio = studio
        # What was heard of a sentence and not understood yet.
        self._kept = WeakKeyDictionary[ServerConnection, Stretch]()

    async def recognise(self, stretch: Stretch) -> str:
        kept = self._kept.pop(stretch.connection, None)
        if kept is not None and _goes_on(kept, stretch):
            stretch = kept.followed_by(stretch)
        utterance = self._studio.understood(stretch)
        if utterance is None:
            self._kept[stretch.connection] = stretch
            return ""
        fault = utterance.stt_fault
        if fault is None or not self._studio.strikes(utterance, f"recogniser: {fault}"):
            return self._studio.recognised(utterance)
        match fault:
            case SttFault.DROP:
                stretch.connection.transport.abort()
            case SttFault.CLOSE:
                await stretch.connection.close()
            case SttFault.GARBAGE:
                await stretch.connection.send("{")
            case SttFault.NOTHING:
                pass
        return ""


def _goes_on(earlier: Stretch, later: Stretch) -> bool:
    """Whether a stretch of sound is of the sentence that the one before it was of."""
    return later.began_secs - earlier.ended_secs < _WITHIN_SECS


class _Voice(CartesiaVendor):
    def __init__(self, studio: Studio) -> None:
        super().__init__("cartesia-soak")
        self._studio = studio

    def due(self, text: str, said_secs: float) -> Fault | None:
        utterance = self._studio.answered_by(text)
        fault = utterance and utterance.tts_fault
        if utterance is None or fault is None or said_secs < fault.after_secs:
            return None
        named = f"voice: {fault.how.name.lower()}"
        return fault if self._studio.strikes(utterance, named) else None


def _description(request: ChatRequest) -> dict[str, object]:
    said = [m["content"] for m in request.messages if m["role"] == "user"]
    codes = [code for text in said if isinstance(text, str) for code in codes_in(text)]
    about = TOPIC.format(code=codes[-1]) if codes else "nada"
    return {
        "title": about,
        "summary": f"Hablamos de {about}.",
        "topics": [about],
        "outcome": "informational",
    }

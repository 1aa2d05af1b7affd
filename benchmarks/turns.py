"""One turn of a conversation: said by the client, answered by a bot, and what took how long."""

import asyncio
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from benchmarks.contenders import SETTLED_SECS
from benchmarks.utterance import Utterance
from benchmarks.vendors import Vendors
from simulators.clients.browser_page import BrowserPage
from simulators.clients.webrtc import Page
from simulators.vendors.log import Entry

PARTS = (
    "uplink",
    "endpointing",
    "STT",
    "turn decision",
    "LLM",
    "sentence aggregation",
    "TTS",
    "output",
)
"""What a turn's latency is made of, in order; see `Turn.parts_secs`."""

ANSWER_SECS = 12.0
"""The longest wait for an answer."""


@dataclass(frozen=True)
class Turn:
    """A turn that was answered.

    Parameters:
        total_secs: From the end of speech, as sent, to the first sound of the answer, as heard.
        marks_secs: When each of `PARTS` ended, counted from the end of speech.
        requests: How often the model was asked.
        told_as: As how many messages of the user's the model was told it.
        early: Whether the bot was heard before the speech had ended.
        told_secs: What the bot told the page of the wait (`turn-latency`), if it tells.
    """

    total_secs: float
    marks_secs: tuple[float, ...]
    requests: int
    told_as: int
    early: bool
    told_secs: float | None = None

    @property
    def own_secs(self) -> float:
        """What of the total a bot can know of: all but the way of the sound there and back."""
        parts = self.parts_secs
        return self.total_secs - parts["uplink"] - parts["output"]

    @property
    def cut(self) -> bool:
        """Whether the bot took a part of it for the whole."""
        return self.early or self.told_as > 1

    def __str__(self) -> str:
        """For a log line."""
        cut = f", cut ({self.told_as}{' early' if self.early else ''})" if self.cut else ""
        return f"{self.total_secs * 1000:.0f} ms, {self.requests} requests{cut}"

    @property
    def parts_secs(self) -> dict[str, float]:
        """How long each part took; they add up to the total.

        - uplink: the last sound's way from the client's microphone to the recogniser.
        - endpointing: until the bot tells the recogniser that speech has ended.
        - STT: the recogniser's transcript.
        - turn decision: until the model is asked.
        - LLM: its first token.
        - sentence aggregation: until the voice is sent a text.
        - TTS: its first audio.
        - output: the way of the audio to the client's ear.

        A part that was over before the one in front of it, as when the model is asked on a guess,
        counts as nothing.
        """
        bounds = pairwise((0.0, *self.marks_secs))
        return {part: end - start for part, (start, end) in zip(PARTS, bounds, strict=True)}


async def take_turn(page: Page | BrowserPage, vendors: Vendors, utterance: Utterance) -> Turn:
    """Say something, hear the answer out, and tell what took how long.

    Args:
        page: A connected client, in silence.
        vendors: Whom the bot talks to.
        utterance: What to say; the recogniser hears its text.

    Raises:
        TimeoutError: There was no answer.
    """
    logs = (vendors.deepgram.log, vendors.openai.log, vendors.cartesia.log)
    seen = [len(log.entries) for log in logs]
    sounds, said_before = len(page.sounds), _user_messages(vendors)
    told = len(page.events("turn-latency"))
    vendors.deepgram.expect(utterance.words, utterance.loudness)
    page.microphone.say(utterance.pcm)
    await page.microphone.said()
    ended_at = page.microphone.ended_at - utterance.tail_secs
    early = len(page.sounds) > sounds
    heard_at = await page.sound(since=ended_at, timeout_secs=ANSWER_SECS)
    deepgram, openai, cartesia = (log.entries[n:] for log, n in zip(logs, seen, strict=True))
    marks = _marks(vendors.deepgram.sound_at, heard_at, deepgram, openai, cartesia)
    told_as = _told_as(said_before, _user_messages(vendors))
    await page.silence(SETTLED_SECS)
    # What the bot says of the end of its speech comes a little later.
    await asyncio.sleep(0.2)
    latencies = page.events("turn-latency")[told:]
    return Turn(
        total_secs=heard_at - ended_at,
        marks_secs=_in_order([mark - ended_at for mark in marks], heard_at - ended_at),
        requests=sum(entry.what == "request" for entry in openai),
        told_as=told_as,
        early=early,
        told_secs=latencies[-1]["total_ms"] / 1000 if latencies else None,
    )


def _user_messages(vendors: Vendors) -> list[str]:
    """The user's messages that the model was told of in its last request."""
    bodies = vendors.openai.bodies
    messages: list[dict[str, Any]] = bodies[-1]["messages"] if bodies else []
    return [str(message["content"]) for message in messages if message["role"] == "user"]


def _told_as(before: list[str], now: list[str]) -> int:
    """How many messages have come to those of before, or are there, if those are another call's.

    The last of those of before may have grown meanwhile, by words that came late.
    """
    same_call = len(now) >= len(before) and now[: len(before) - 1] == before[:-1]
    return len(now) - len(before) if same_call else len(now)


def _marks(
    sound_at: float,
    heard_at: float,
    deepgram: list[Entry],
    openai: list[Entry],
    cartesia: list[Entry],
) -> list[float]:
    """When each part ended, found backwards from the first sound of the answer."""
    voiced = _last(cartesia, "begun", heard_at)
    text = next(
        (
            e.at_secs
            for e in cartesia
            if e.what == "message"
            and e.facts.get("transcript")
            and voiced is not None
            and e["context_id"] == voiced["context"]
        ),
        heard_at,
    )
    token = _at(_last(openai, "begun", text), text)
    request = _at(_last(openai, "request", token), token)
    final = _at(_last(deepgram, "final", heard_at), request)
    # A bot may ask again for what has not come yet: what counts is when it asked first.
    speech = _at(_last(deepgram, "speech", final), final)
    finalize = next(
        (e.at_secs for e in deepgram if e.what == "finalize" and speech <= e.at_secs <= final),
        final,
    )
    return [sound_at, finalize, final, request, token, text, _at(voiced, text), heard_at]


def _last(entries: list[Entry], what: str, until: float) -> Entry | None:
    found = [entry for entry in entries if entry.what == what and entry.at_secs <= until]
    return found[-1] if found else None


def _at(entry: Entry | None, default: float) -> float:
    return default if entry is None else entry.at_secs


def _in_order(marks: list[float], end: float) -> tuple[float, ...]:
    """Marks that never go back, nor past the end."""
    ordered: list[float] = []
    for mark in marks:
        ordered.append(min(max(mark, ordered[-1] if ordered else 0.0), end))
    return tuple(ordered)

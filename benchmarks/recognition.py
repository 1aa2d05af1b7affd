"""How soon speech is recognised on this machine, how well, and in how much memory.

Beside Sonora's recogniser stands Pipecat's Whisper service as it comes, with the same model.
"""

import asyncio
import re
import tempfile
import time
import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import numpy as np
import soxr  # pyright: ignore[reportMissingTypeStubs]
from loguru import logger
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    TranscriptionFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.audio.vad_processor import VADProcessor
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.transcriptions.language import Language as PipecatLanguage

from benchmarks.figures import SCAFFOLD, SONORA, Figure, Measurement, milliseconds
from benchmarks.kinds import LONG, PAUSES
from benchmarks.recordings import SHARE, Volunteer
from benchmarks.resources import resident_mb
from benchmarks.speakers import SYNTHESISERS, Speaker
from simulators.clients.bot_process import BotProcess, running_bot
from simulators.clients.webrtc import MIC_RATE, page
from simulators.local_models import require_whisper_base, whisper_base
from simulators.vendors.rig import Rig, rigged
from sonora_app.flow.lines import Lines
from sonora_app.local.hearing import Hearing
from sonora_app.local.preparation import State
from sonora_app.local.recognition import RATE, Recogniser
from sonora_app.local.stt import LocalSTTService
from sonora_app.settings import Language
from sonora_app.turns.detectors import build_silero
from sonora_app.turns.pauses import PauseNoticingVADProcessor

_TARGET_TIME, _TARGET_WORDS, _TARGET_MEMORY = 0.6, 1.0, 1.15

_SECS = (2.0, 6.0)
"""How long an utterance is."""
_PEOPLE, _MADE = "people", "synthetic voices"
_RECORDED, _SPOKEN = 40, 8
"""How many utterances of each."""

_FRAME_SECS = 0.02
_NOISE = 10.0
"""The loudness of the room, as the root mean square of 16-bit samples."""
_LEAD_SECS = 0.6
_STOPPED_SECS = 0.6
"""When the end of speech has been noticed for certain."""
_PATIENCE_SECS = 30.0
"""How long a transcript is waited for: what is still being recognised would hold up the next."""

_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Said:
    """An utterance to be recognised.

    Parameters:
        text: Its words.
        samples: Its sound, 16-bit at `RATE`.
        tail_secs: From its last voiced frame to its end.
        by: `people` or `synthetic voices`.
    """

    text: str
    samples: np.ndarray
    tail_secs: float
    by: str


@dataclass(frozen=True)
class _Heard:
    """What was made of an utterance.

    Parameters:
        text: The transcripts, joined.
        secs: From the end of speech to the last of them; None where none came.
        cpu_secs: Processor time, from the first sample to then.
    """

    text: str
    secs: float | None
    cpu_secs: float


async def measure(*, quick: bool) -> Measurement:
    """Have both services recognise the same utterances in turn, and a bot hold a call.

    Args:
        quick: Whether a third of the utterances has to do.

    Raises:
        VoiceMissingError: Not all who are to speak are installed.
        ModelMissingError: The model is not installed.
    """
    said = await utterances()
    said = said[:: 3 if quick else 1]
    with tempfile.TemporaryDirectory() as folder:
        model = whisper_base(Path(folder) / "whisper")
        heard = await _recognised(model, said)
        memory = await _memory_mb(Path(folder) / "data", model, said)
    return Measurement(
        title="Recognition on this machine",
        how="Speech of 2 to 6 s, played in real time into a pipeline with voice detection and the "
        "recogniser. In place of the scaffold stands Pipecat's Whisper service as it comes, with "
        "Pipecat's voice detection. Both have the model `base` and are told the language. The time "
        "is from the last voiced sound to the transcript. Wrong are words that were left out, put "
        "in or taken for others, in percent of those said. Memory is that of a bot's process that "
        "has loaded the model and holds no call, and of the same process at its most while it "
        "recognises.",
        figures=[*_figures(said, heard), *_memory_figures(memory)],
    )


async def require_parts() -> None:
    """See that the model is installed, and that all who are to speak can.

    Raises:
        VoiceMissingError: Somebody is not installed.
        ModelMissingError: The model is not.
    """
    require_whisper_base()
    await utterances()


async def utterances() -> list[Said]:
    """What is said: by people, and by synthetic voices."""
    people = [await _said(Volunteer(), [name], _PEOPLE) for name in recorded_names(every=4)]
    texts = [turn for kind in (*PAUSES, *LONG) for turn in kind.turns]
    whole = [" ".join(part for part in turn if isinstance(part, str)) for turn in texts]
    made = [
        await _said(SYNTHESISERS[number % len(SYNTHESISERS)], [text], _MADE)
        for number, text in enumerate(whole)
    ]
    return [*_fitting(people, _RECORDED), *_fitting(made, _SPOKEN)]


def recorded_names(*, offset: int = 0, every: int = 12) -> list[str]:
    """The names of some of the volunteer's recordings, spread over all of them."""
    folder = SHARE / "tuxpaint" / "stamps"
    files = sorted(folder.rglob("*_desc_es.ogg"))
    names = [str(file.relative_to(folder)).removesuffix("_desc_es.ogg") for file in files]
    return names[offset::every]


async def _said(speaker: Speaker, parts: Sequence[str], by: str) -> Said:
    utterance = await speaker.say(*parts)
    samples = np.asarray(soxr.resample(utterance.pcm, MIC_RATE, RATE))
    return Said(utterance.text, samples, utterance.tail_secs, by)


def _fitting(said: Sequence[Said], count: int) -> list[Said]:
    shortest, longest = _SECS
    fitting = [each for each in said if shortest <= len(each.samples) / RATE <= longest]
    return fitting[:count]


# --- Words


def words(text: str) -> list[str]:
    """The words of a text, without capitals, punctuation and accents."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return _WORD.findall("".join(letter for letter in plain if not unicodedata.combining(letter)))


def wrong_words(said: str, heard: str) -> int:
    """How many words were left out, put in or taken for others, at least."""
    wanted, found = words(said), words(heard)
    row = [*range(len(found) + 1)]
    for number, word in enumerate(wanted, 1):
        last, row = row, [number]
        for place, other in enumerate(found, 1):
            row.append(min(last[place] + 1, row[-1] + 1, last[place - 1] + (word != other)))
    return row[-1]


# --- The two services


async def _recognised(model: Path, said: Sequence[Said]) -> dict[str, list[_Heard]]:
    heard: dict[str, list[_Heard]] = defaultdict(list)
    async with (
        _pipecats(model) as pipecats,
        _sonoras(model) as sonoras,
    ):
        contenders = {SCAFFOLD: pipecats, SONORA: sonoras}
        for each in said[:1]:  # what each does for the first time only
            for contender in contenders.values():
                await contender.hear(each)
        for each in said:
            for name, contender in contenders.items():
                result = await contender.hear(each)
                heard[name].append(result)
                logger.info(f"{name}: “{each.text}” → “{result.text}”, {result.secs} s")
    return heard


class _Listener(FrameProcessor):
    """Notes when each transcript comes, and each end of speech."""

    def __init__(self) -> None:
        super().__init__()
        self.transcripts: list[tuple[float, str]] = []
        self.stops = 0

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, TranscriptionFrame):
            self.transcripts.append((time.monotonic(), frame.text))
        elif isinstance(frame, VADUserStoppedSpeakingFrame):
            self.stops += 1
        await self.push_frame(frame, direction)


class _Contender:
    """A recogniser in a pipeline of its own, with what tells it when somebody speaks."""

    def __init__(self, *processors: FrameProcessor) -> None:
        self._listener = _Listener()
        self._running = rigged(*processors, self._listener)
        self._rig: Rig | None = None
        self._chance = np.random.default_rng(1)

    async def __aenter__(self) -> "_Contender":
        self._rig = await self._running.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._running.__aexit__(None, None, None)

    async def hear(self, said: Said) -> _Heard:
        """Play an utterance in real time, and wait for what is made of it."""
        listener = self._listener
        listener.transcripts, listener.stops = [], 0
        began_cpu, started = time.process_time(), time.monotonic()
        frame = int(_FRAME_SECS * RATE)
        lead = int(_LEAD_SECS * RATE)
        sound = np.concatenate([np.zeros(lead, np.int16), said.samples])
        ended = started + len(sound) / RATE
        position = 0
        while position < len(sound) or not self._over(time.monotonic() - ended):
            chunk = sound[position : position + frame]
            chunk = np.pad(chunk, (0, frame - len(chunk)))
            noisy = np.clip(chunk + self._chance.normal(0, _NOISE, frame), -32_768, 32_767)
            audio = InputAudioRawFrame(noisy.astype(np.int16).tobytes(), RATE, 1)
            position += frame
            # A microphone gives a piece away once it is full.
            await asyncio.sleep(max(0.0, started + position / RATE - time.monotonic()))
            assert self._rig is not None
            await self._rig.send(audio)
        last = max((at for at, _ in listener.transcripts), default=None)
        return _Heard(
            " ".join(text.strip() for _, text in listener.transcripts),
            None if last is None else last - (ended - said.tail_secs),
            time.process_time() - began_cpu,
        )

    def _over(self, since_secs: float) -> bool:
        """Whether all that will come has come."""
        stops, transcripts = self._listener.stops, len(self._listener.transcripts)
        return since_secs > _PATIENCE_SECS or (
            since_secs > _STOPPED_SECS and 0 < stops <= transcripts
        )


def _pipecats(model: Path) -> _Contender:
    # It logs an error where what it needs is not installed.
    from pipecat.services.whisper.stt import WhisperSTTService

    service = WhisperSTTService(
        settings=WhisperSTTService.Settings(model=str(model), language=PipecatLanguage.ES)
    )
    return _Contender(VADProcessor(vad_analyzer=SileroVADAnalyzer()), service)


def _sonoras(model: Path) -> _Contender:
    hearing = Hearing(State.READY, part=Recogniser(model))
    service = LocalSTTService(Lines(Language.ES), hearing)
    return _Contender(PauseNoticingVADProcessor(build_silero()), service)


def _figures(said: Sequence[Said], heard: Mapping[str, Sequence[_Heard]]) -> list[Figure]:
    def of(by: str | None) -> dict[str, list[tuple[Said, _Heard]]]:
        return {
            name: [pair for pair in zip(said, those, strict=True) if by in (None, pair[0].by)]
            for name, those in heard.items()
        }

    def figures(by: str | None) -> list[Figure]:
        pairs, whose, part = of(by), f": {by}" if by else "", "all" if by else None
        return [
            Figure(
                name=f"end of speech to transcript{whose}",
                unit="ms",
                values={
                    name: milliseconds([each.secs for _, each in those if each.secs is not None])
                    for name, those in pairs.items()
                },
                target=None if by else _TARGET_TIME,
                part_of=part,
            ),
            Figure(
                name=f"words wrong{whose}",
                unit="%",
                values={name: [_share_wrong(those)] for name, those in pairs.items()},
                target=None if by else _TARGET_WORDS,
                part_of=part,
            ),
        ]

    return [
        *figures(None),
        *figures(_PEOPLE),
        *figures(_MADE),
        Figure(
            name="processor time for a second of speech",
            unit="s",
            values={
                name: [
                    round(each.cpu_secs * RATE / len(spoken.samples), 3) for spoken, each in those
                ]
                for name, those in of(None).items()
            },
        ),
    ]


def _share_wrong(pairs: Sequence[tuple[Said, _Heard]]) -> float:
    wrong = sum(wrong_words(said.text, heard.text) for said, heard in pairs)
    return round(100 * wrong / max(1, sum(len(words(said.text)) for said, _ in pairs)), 1)


# --- Memory


@dataclass(frozen=True)
class _Memory:
    """Resident memory of a bot's process, in MB: the model loaded, and at most in a call."""

    loaded: float
    at_most: float
    after: float


async def _memory_mb(data: Path, model: Path, said: Sequence[Said]) -> _Memory:
    with running_bot(
        data,
        SONORA_STT="whisper",
        SONORA_WHISPER_MODEL=str(model),
        SONORA_TTS="cartesia",  # which espeak-ng stands in for
    ) as bot:
        await asyncio.to_thread(_wait_until_loaded, bot)
        loaded = resident_mb(bot)
        most = loaded
        async with page(bot.url, noise=_NOISE) as client:
            await client.ready()
            await client.action("set_conversation_id", user_id=f"user-{uuid4()}")
            for each in said[:4]:
                await client.silence(0.6, timeout_secs=30)
                client.microphone.say(np.asarray(soxr.resample(each.samples, RATE, MIC_RATE)))
                until = time.monotonic() + len(each.samples) / RATE + 2.5
                while time.monotonic() < until:
                    most = max(most, resident_mb(bot))
                    await asyncio.sleep(0.05)
        await asyncio.sleep(1.5)
        return _Memory(loaded, most, resident_mb(bot))


def _wait_until_loaded(bot: BotProcess) -> None:
    while "What is said is recognised" not in bot.logged():
        time.sleep(0.1)


def _memory_figures(memory: _Memory) -> list[Figure]:
    ratio = round(memory.at_most / memory.loaded, 3)
    return [
        Figure(name="memory, the model loaded", unit="MB", values={SONORA: [memory.loaded]}),
        Figure(name="memory, at most in a call", unit="MB", values={SONORA: [memory.at_most]}),
        Figure(name="memory, after the call", unit="MB", values={SONORA: [memory.after]}),
        Figure(
            name="memory at most in a call, to that with the model loaded",
            unit="times",
            values={SONORA: [ratio]},
            limit=_TARGET_MEMORY,
        ),
    ]

"""The bot's own voice is known by its sound, and nobody else's is taken for it."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import numpy as np
import pytest
import soxr
from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    UserStartedSpeakingFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)

from simulators.clients.loudspeaker import Loudspeaker, room, sent
from simulators.clients.speech import speech
from simulators.clients.webrtc import MIC_RATE
from simulators.vendors.rig import Rig, rigged
from sonora_app.turns.bot_speech import BotSpeech
from sonora_app.turns.detectors import build_silero
from sonora_app.turns.own_voice import OwnVoice
from sonora_app.turns.pauses import PauseNoticingVADProcessor
from sonora_app.vendors.frames import UserPausedFrame

pytestmark = pytest.mark.unit

STORY = "Oaxaca tiene montañas, playas y mercados llenos de colores y una cocina famosa."
OTHER = "Espera mejor háblame de la comida."
BOT, USER = "es-419", "es-419+f2"
OUT, IN = 24_000, 16_000
BEGINS_SECS, STEP_SECS = 0.3, 0.02
NOISE = 8.0


@dataclass
class Scene:
    """What the bot plays, and what the microphone hears meanwhile, both from the same moment on."""

    played: np.ndarray
    heard: np.ndarray
    now: float = 0.0

    def steps(self, own: OwnVoice) -> Iterator[bytes]:
        """Play it step by step; gives what is heard in each."""
        out, heard = int(OUT * STEP_SECS), int(IN * STEP_SECS)
        for step in range(len(self.heard) // heard):
            self.now = step * STEP_SECS
            piece = self.played[step * out : (step + 1) * out]
            if piece.any():
                own.play(piece.tobytes(), OUT)
            self.now += STEP_SECS
            yield self.heard[step * heard : (step + 1) * heard].tobytes()

    def judged(self) -> Iterator[tuple[float, OwnVoice]]:
        """Each moment, after what came until then."""
        own = OwnVoice(lambda: self.now)
        for audio in self.steps(own):
            own.hear(audio, IN)
            yield self.now, own


async def scene(
    *,
    softer_db: float | None = None,
    later_secs: float = 0.0,
    reverberation_secs: float = 0.0,
    user: np.ndarray | None = None,
    user_secs: float = 0.0,
) -> Scene:
    """The bot tells a story, out of a loudspeaker or not, and somebody speaks or does not."""
    story = np.pad(await speech(STORY, voice=BOT), (int(BEGINS_SECS * MIC_RATE), MIC_RATE // 2))
    heard = np.random.default_rng(1).normal(0, NOISE, len(story))
    if softer_db is not None:
        answer = room(reverberation_secs)
        loudspeaker = Loudspeaker(softer_db=softer_db, later_secs=later_secs, answer=answer)
        loudspeaker.play(sent(story, bit_rate=64_000))
        heard += loudspeaker.take(len(story))
    if user is not None:
        at = int(user_secs * MIC_RATE)
        user = user[: len(heard) - at]
        heard[at : at + len(user)] += user
    return Scene(
        soxr.resample(story, MIC_RATE, OUT).astype(np.int16),
        soxr.resample(sent(heard), MIC_RATE, IN).astype(np.int16),
    )


@pytest.mark.parametrize("reverberation_secs", [0.0, 0.4])
@pytest.mark.parametrize("later_secs", [0.1, 0.6])
@pytest.mark.parametrize("softer_db", [6.0, 30.0])
async def test_it_is_known_as_soon_as_it_is_noticed_and_all_the_while(
    softer_db: float, later_secs: float, reverberation_secs: float
) -> None:
    call = await scene(
        softer_db=softer_db, later_secs=later_secs, reverberation_secs=reverberation_secs
    )
    begins = BEGINS_SECS + later_secs
    known: list[bool] = []
    for now, own in call.judged():
        # Silero has noticed it 0.25 s after its first sound.
        if begins + 0.25 <= now < begins + 0.35:
            known.append(own.is_alone())
        elif begins + 0.35 <= now < begins + 3.0 and round(now * 50) % 5 == 0:
            assert not own.is_spoken_over()
    assert known
    assert all(known)
    assert own.found


@pytest.mark.parametrize(
    ("said", "voice"), [(OTHER, BOT), (OTHER, USER), (STORY, USER), (STORY, "es+m3")]
)
@pytest.mark.parametrize("user_secs", [0.5, 1.3])
async def test_nobody_else_is_taken_for_it(said: str, voice: str, user_secs: float) -> None:
    call = await scene(user=await speech(said, voice=voice), user_secs=user_secs)
    for now, own in call.judged():
        if user_secs + 0.2 <= now < user_secs + 1.0:
            assert not own.is_alone()
    assert not own.found


@pytest.mark.parametrize("reverberation_secs", [0.0, 0.3])
@pytest.mark.parametrize("softer_db", [8.0, 20.0])
async def test_who_speaks_over_it_is_heard(softer_db: float, reverberation_secs: float) -> None:
    call = await scene(
        softer_db=softer_db,
        later_secs=0.2,
        reverberation_secs=reverberation_secs,
        user=await speech(OTHER, voice=USER),
        user_secs=1.5,
    )
    heard_at = [now for now, own in call.judged() if 1.5 <= now < 2.2 and own.is_spoken_over()]
    assert heard_at
    assert heard_at[0] - 1.5 < 0.35


async def test_a_voice_begins_over_it_as_quickly_as_over_none() -> None:
    user = await speech(OTHER, voice=USER)
    over_echo = await scene(softer_db=24.0, later_secs=0.2, user=user, user_secs=1.5)
    for now, own in over_echo.judged():
        if 1.7 <= now < 2.2:
            assert not own.is_alone()


async def test_a_delay_that_changes_is_no_user() -> None:
    call = await scene(softer_db=12.0, later_secs=0.2)
    changes = int(2.0 * IN)
    call.heard = np.delete(call.heard, slice(changes, changes + int(0.06 * IN)))
    over = [
        own.is_spoken_over()
        for now, own in call.judged()
        if 1.0 < now < 3.0 and round(now * 50) % 4 == 0
    ]
    assert not any(all(over[at : at + 3]) for at in range(len(over) - 2))


def test_nothing_is_kept_while_the_bot_is_silent() -> None:
    own = OwnVoice()
    own.hear(bytes(640), IN)
    assert not own.is_alone()
    assert not own.found


# --- Who is told of it


@asynccontextmanager
async def listening(call: Scene) -> AsyncGenerator[tuple[Rig, BotSpeech]]:
    """What notices voices hears a scene; the bot's speech flows in the end."""
    bot = BotSpeech()
    bot.own_voice = OwnVoice(lambda: call.now)
    async with rigged(PauseNoticingVADProcessor(build_silero(), speech=bot)) as rig:
        yield rig, bot
        assert not bot.held


async def hear(call: Scene, rig: Rig, bot: BotSpeech, *, until: float = 60.0) -> None:
    for count, audio in enumerate(call.steps(bot.own_voice), 1):
        await rig.send(InputAudioRawFrame(audio, IN, 1))
        await rig.get(InputAudioRawFrame, count)
        await asyncio.sleep(0)
        if call.now > until:
            return


def reported(rig: Rig) -> list[type[Frame]]:
    """What was told of voices, each once although it is told both ways."""
    kinds = (VADUserStartedSpeakingFrame, VADUserStoppedSpeakingFrame)
    told = [(kind, len(rig.all(kind))) for kind in kinds]
    return [kind for kind, count in told for _ in range(count // 2)]


async def test_it_is_reported_to_nobody() -> None:
    call = await scene(softer_db=12.0, later_secs=0.2, reverberation_secs=0.3)
    async with listening(call) as (rig, bot):
        await hear(call, rig, bot)
        assert reported(rig) == []
        assert not rig.all(UserPausedFrame)
        assert bot.own_voice.found


async def test_who_speaks_over_it_is_reported() -> None:
    user = await speech(OTHER, voice=USER)
    call = await scene(softer_db=12.0, later_secs=0.2, user=user, user_secs=1.0)
    async with listening(call) as (rig, bot):
        await hear(call, rig, bot)
        assert VADUserStartedSpeakingFrame in reported(rig)
        assert rig.all(UserPausedFrame)


async def test_a_turn_that_words_begin_has_its_voice_reported() -> None:
    call = await scene(softer_db=12.0, later_secs=0.2)
    async with listening(call) as (rig, bot):
        await hear(call, rig, bot, until=1.2)
        assert reported(rig) == []
        await rig.send(UserStartedSpeakingFrame())
        await rig.get(VADUserStartedSpeakingFrame)

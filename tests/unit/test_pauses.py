"""A pause is noticed soon after the last sound of a word, with real speech and the real Silero."""

from itertools import pairwise

import numpy as np
import pytest
import soxr  # pyright: ignore[reportMissingTypeStubs]
from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)

from simulators.clients.speech import speech
from simulators.clients.webrtc import MIC_RATE
from simulators.vendors.rig import rigged
from sonora_app.turns.detectors import build_silero
from sonora_app.turns.pauses import HUSH_SECS, PAUSE_SECS, Loudness, PauseNoticingVADProcessor
from sonora_app.vendors.frames import (
    UserHushedFrame,
    UserPausedFrame,
    UserResumedFrame,
    UserSpokeBrieflyFrame,
    UserStirredFrame,
)

pytestmark = pytest.mark.unit

RATE = 16_000
CHUNK = RATE // 50

HELLO = "Quiero viajar a Oaxaca"


async def _said(*parts: str | float) -> np.ndarray:
    """Words, and silences in seconds."""
    samples = [
        soxr.resample(await speech(part), MIC_RATE, RATE)
        if isinstance(part, str)
        else np.zeros(int(part * RATE), np.int16)
        for part in parts
    ]
    return np.concatenate([np.zeros(RATE // 2, np.int16), *samples])


def _noisy(samples: np.ndarray, share: float) -> np.ndarray:
    """With noise of this share of the speech's loudness."""
    loudness = share * float(np.sqrt(np.mean(samples.astype(np.float32) ** 2)))
    noise = np.random.default_rng(1).normal(0, loudness, len(samples))
    return (samples + noise).astype(np.int16)


async def _heard(samples: np.ndarray) -> list[tuple[float, Frame]]:
    """What is reported of the sound, each with the seconds of it that had come in by then."""
    audio = [
        InputAudioRawFrame(samples[start : start + CHUNK].astype(np.int16).tobytes(), RATE, 1)
        for start in range(0, len(samples) - CHUNK + 1, CHUNK)
    ]
    async with rigged(PauseNoticingVADProcessor(build_silero())) as rig:
        await rig.send(*audio)
        await rig.get(InputAudioRawFrame, len(audio))
        frames = rig.all(Frame)
    heard: list[tuple[float, Frame]] = []
    secs = 0.0
    for frame in frames:
        if isinstance(frame, InputAudioRawFrame):
            secs += CHUNK / RATE
        elif isinstance(
            frame,
            UserHushedFrame
            | UserPausedFrame
            | UserResumedFrame
            | UserSpokeBrieflyFrame
            | UserStirredFrame
            | VADUserStartedSpeakingFrame
            | VADUserStoppedSpeakingFrame,
        ):
            heard.append((secs, frame))
    return heard


def _at(heard: list[tuple[float, Frame]], kind: type[Frame]) -> list[float]:
    return [secs for secs, frame in heard if isinstance(frame, kind)]


async def test_a_pause_is_noticed_before_silero_hears_no_voice() -> None:
    samples = await _said(HELLO, 0.6)
    over_secs = len(samples) / RATE - 0.6
    heard = await _heard(samples)
    *_, paused = _at(heard, UserPausedFrame)
    assert PAUSE_SECS <= paused - over_secs < PAUSE_SECS + 0.05
    assert paused < _at(heard, VADUserStoppedSpeakingFrame)[0] - 0.1


async def test_a_deep_hush_is_told_before_it_counts_as_a_pause() -> None:
    samples = await _said(HELLO, 0.6)
    over_secs = len(samples) / RATE - 0.6
    heard = await _heard(samples)
    *_, hushed = _at(heard, UserHushedFrame)
    *_, paused = _at(heard, UserPausedFrame)
    assert HUSH_SECS <= hushed - over_secs < HUSH_SECS + 0.03
    assert hushed < paused


@pytest.mark.parametrize(("share", "hushes"), [(0.04, False), (0.021, False), (0.019, True)])
def test_only_a_deep_silence_may_be_a_pause_at_once(share: float, hushes: bool) -> None:
    loudness = Loudness()
    loudness.hear(np.full(CHUNK, 10_000, np.int16).tobytes(), RATE)
    assert not loudness.hushes
    loudness.hear(np.full(CHUNK, int(10_000 * share), np.int16).tobytes(), RATE)
    assert loudness.hushes is hushes


async def test_what_is_not_deep_has_to_last_as_long_as_a_pause() -> None:
    samples = await _said(HELLO, 0.6)
    # Noise 28 dB below the loudest packet: a hush, but no deep one.
    loudest = max(np.std(samples[at : at + CHUNK]) for at in range(0, len(samples), CHUNK))
    noise = np.random.default_rng(1).normal(0, loudest * 0.04, len(samples))
    heard = await _heard((samples + noise).astype(np.int16))
    *_, hushed = _at(heard, UserHushedFrame)
    *_, paused = _at(heard, UserPausedFrame)
    assert hushed == paused


async def test_who_goes_on_after_a_hush_has_resumed_without_a_pause() -> None:
    samples = await _said(HELLO, 0.05, "en abril", 0.6)
    first_secs = len(await _said(HELLO)) / RATE
    kinds = [
        type(frame) for secs, frame in await _heard(samples) if first_secs < secs < first_secs + 0.1
    ]
    assert kinds == [UserHushedFrame, UserResumedFrame]


async def test_every_pause_begins_with_a_hush() -> None:
    kinds = [
        type(frame)
        for _, frame in await _heard(_noisy(await _said(HELLO, 0.12, "en abril", 0.6), 0.1))
        if isinstance(frame, UserHushedFrame | UserPausedFrame | UserResumedFrame)
    ]
    assert UserPausedFrame in kinds
    for before, kind in pairwise(kinds):
        assert kind is not UserPausedFrame or before is UserHushedFrame


async def test_with_noise_around_it_is_noticed_by_silero() -> None:
    samples = _noisy(await _said(HELLO, 0.6), 0.1)
    over_secs = len(samples) / RATE - 0.6
    heard = await _heard(samples)
    *_, paused = _at(heard, UserPausedFrame)
    assert over_secs < paused < _at(heard, VADUserStoppedSpeakingFrame)[0]


async def test_who_goes_on_has_paused_and_resumed() -> None:
    samples = await _said(HELLO, 0.12, "en abril", 0.6)
    first_secs = len(await _said(HELLO)) / RATE
    heard = await _heard(samples)
    paused = [secs for secs in _at(heard, UserPausedFrame) if secs > first_secs]
    resumed = [secs for secs in _at(heard, UserResumedFrame) if secs > first_secs]
    assert paused[0] < resumed[0] < first_secs + 0.12 + 0.1
    assert paused[0] < first_secs + 0.12


async def test_a_sound_after_a_pause_is_told_before_it_is_known_for_a_voice() -> None:
    samples = await _said(HELLO, 0.5, "mañana por la tarde", 0.6)
    again_secs = len(await _said(HELLO, 0.5)) / RATE
    heard = await _heard(samples)
    started = next(at for at in _at(heard, VADUserStartedSpeakingFrame) if at > again_secs)
    stirred = next(at for at in _at(heard, UserStirredFrame) if at > again_secs - 0.1)
    assert again_secs <= stirred < again_secs + 0.06
    assert stirred < started - 0.1


async def test_noise_around_is_no_sound_in_the_pause() -> None:
    heard = await _heard(_noisy(await _said(HELLO, 0.6), 0.1))
    assert not _at(heard, UserStirredFrame)


async def test_a_word_too_short_for_silero_is_told_too() -> None:
    samples = await _said("Sí", 0.6)
    over_secs = len(samples) / RATE - 0.6
    heard = await _heard(samples)
    assert [type(frame) for _, frame in heard] == [UserHushedFrame, UserSpokeBrieflyFrame]
    [hushed], [briefly] = _at(heard, UserHushedFrame), _at(heard, UserSpokeBrieflyFrame)
    assert over_secs < hushed <= briefly < over_secs + 0.12


@pytest.mark.parametrize("word", ["Sí", "No", "Ya", "Uno", "Ana"])
async def test_the_silence_after_a_short_word_is_told_before_silero_hears_none(word: str) -> None:
    samples = await _said(word, 0.6)
    over_secs = len(samples) / RATE - 0.6
    heard = await _heard(samples)
    first, *again = _at(heard, UserHushedFrame)
    # Silero hears a voice for 60 ms after it has stopped.
    assert over_secs < first < over_secs + 0.06
    # Some of them count as speech only once they are over, and all that was told before is void.
    late = {started for started in _at(heard, VADUserStartedSpeakingFrame) if started > first}
    assert again == sorted(late)


async def test_nothing_is_silent_twice_without_a_sound_in_between() -> None:
    heard = await _heard(await _said("Voy", 0.04, "claro", 0.05, "sí", 0.3, "no", 0.6))
    kinds = [type(frame) for _, frame in heard if not isinstance(frame, UserPausedFrame)]
    for before, kind in pairwise(kinds):
        assert kind is not UserHushedFrame or before is not UserHushedFrame


async def test_nobody_pauses_who_does_not_speak() -> None:
    async with rigged(PauseNoticingVADProcessor(build_silero())) as rig:
        noise = _noisy(np.full(RATE, 1_000, np.int16), 0.2) - 1_000
        for start in range(0, RATE, CHUNK):
            await rig.send(InputAudioRawFrame(noise[start : start + CHUNK].tobytes(), RATE, 1))
        await rig.get(InputAudioRawFrame, RATE // CHUNK)
        assert not rig.all(UserPausedFrame)

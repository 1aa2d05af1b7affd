"""Nova is asked for the transcript where the user falls silent, against Deepgram's protocol."""

from collections.abc import AsyncGenerator, Sequence

import pytest
from pipecat.frames.frames import (
    TranscriptionFrame,
    UserStartedSpeakingFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)

from simulators.vendors.deepgram import DeepgramVendor
from simulators.vendors.faults import Breakage, Fault
from simulators.vendors.rig import Rig, rigged
from sonora_app.settings import Language
from sonora_app.vendors.build import build_stt
from sonora_app.vendors.deepgram.finalize import AllTranscribedFrame
from sonora_app.vendors.frames import (
    UserHushedFrame,
    UserPausedFrame,
    UserResumedFrame,
    UserSpokeBrieflyFrame,
)
from tests.unit.test_vendor_build import DEEPGRAM_KEY, settings, sound

pytestmark = pytest.mark.unit

FINAL_SECS = 0.15


@pytest.fixture
async def deepgram() -> AsyncGenerator[DeepgramVendor]:
    vendor = DeepgramVendor(DEEPGRAM_KEY)
    vendor.final_secs = FINAL_SECS
    async with vendor.serving():
        yield vendor


async def _fall_silent(rig: Rig) -> None:
    await rig.send(*sound(0.04, loud=False), UserHushedFrame(quiet_secs=0.04))


async def test_a_hush_that_becomes_a_pause_is_finalized_once(deepgram: DeepgramVendor) -> None:
    deepgram.hears.append("Quiero viajar.")
    async with rigged(build_stt(settings(DEEPGRAM_BASE_URL=deepgram.url), Language.ES)) as rig:
        await rig.send(VADUserStartedSpeakingFrame(), *sound(0.4))
        await _fall_silent(rig)
        await rig.send(*sound(0.02, loud=False), UserPausedFrame(quiet_secs=0.06))
        await rig.get(AllTranscribedFrame)
        assert [frame.finalized for frame in rig.all(TranscriptionFrame)] == [True]
    assert len(deepgram.log.of("finalize")) == 1


async def test_what_was_told_of_a_hush_that_is_over_is_not_final(deepgram: DeepgramVendor) -> None:
    deepgram.hears += ["Son las sie", "te."]
    async with rigged(build_stt(settings(DEEPGRAM_BASE_URL=deepgram.url), Language.ES)) as rig:
        await rig.send(VADUserStartedSpeakingFrame(), *sound(0.4))
        await _fall_silent(rig)
        await rig.send(*sound(0.02), UserResumedFrame())
        assert not (await rig.get(TranscriptionFrame)).finalized
        await rig.send(*sound(0.2))
        await _fall_silent(rig)
        assert (await rig.get(TranscriptionFrame, 2)).finalized


async def test_what_was_told_of_an_earlier_hush_is_not_all_of_a_later_one(
    deepgram: DeepgramVendor,
) -> None:
    deepgram.hears += ["Son las sie", "te."]
    async with rigged(build_stt(settings(DEEPGRAM_BASE_URL=deepgram.url), Language.ES)) as rig:
        await rig.send(VADUserStartedSpeakingFrame(), *sound(0.4))
        await _fall_silent(rig)
        await rig.send(*sound(0.02), UserResumedFrame(), *sound(0.04))
        await _fall_silent(rig)
        await rig.get(AllTranscribedFrame)
        assert [(frame.text, frame.finalized) for frame in rig.all(TranscriptionFrame)] == [
            ("Son las sie", False),
            ("te.", True),
        ]
        assert len(rig.all(AllTranscribedFrame)) == 1


async def test_the_last_of_a_short_word_is_asked_for_once_the_voice_is_over(
    deepgram: DeepgramVendor,
) -> None:
    deepgram.hears += ["", "Sí."]
    async with rigged(build_stt(settings(DEEPGRAM_BASE_URL=deepgram.url), Language.ES)) as rig:
        await rig.send(*sound(0.1))
        await _fall_silent(rig)
        await rig.send(*sound(0.02), *sound(0.06, loud=False))
        await rig.send(UserSpokeBrieflyFrame(quiet_secs=0.06))
        told = await rig.get(TranscriptionFrame)
        assert (told.text, told.finalized) == ("Sí.", True)


async def test_positions_hold_after_speech_was_sent_again_by_another_connection(
    deepgram: DeepgramVendor,
) -> None:
    deepgram.hears += ["Son las sie", "te."]
    deepgram.fault = Fault(Breakage.DROP, after_secs=0.5)
    async with rigged(build_stt(settings(DEEPGRAM_BASE_URL=deepgram.url), Language.ES)) as rig:
        await rig.send(VADUserStartedSpeakingFrame(), *sound(1.0))
        await deepgram.log.wait_for("speech", 2)
        await rig.send(*sound(0.1))
        await _fall_silent(rig)
        await rig.send(*sound(0.02), UserResumedFrame(), *sound(0.2))
        await _fall_silent(rig)
        await rig.get(AllTranscribedFrame)
        assert [(frame.text, frame.finalized) for frame in rig.all(TranscriptionFrame)] == [
            ("Son las sie", False),
            ("te.", True),
        ]


async def test_words_before_the_users_voice_are_left_out_if_they_are_somebody_elses(
    deepgram: DeepgramVendor,
) -> None:
    deepgram.hears += ["Playas mercados espera.", "Playas y mercados."]
    judged: list[list[str]] = []

    def count_the_bots(words: Sequence[str]) -> int:
        judged.append([*words])
        return 2 if words == ["Playas", "mercados"] else 0

    stt = build_stt(
        settings(DEEPGRAM_BASE_URL=deepgram.url), Language.ES, count_others=count_the_bots
    )
    async with rigged(stt) as rig:
        # The third of three words of equal length is the user's.
        await rig.send(*sound(0.8), VADUserStartedSpeakingFrame(start_secs=0.1), *sound(0.1))
        await _fall_silent(rig)
        assert (await rig.get(TranscriptionFrame)).text == "espera."
        judged.clear()
        # In one turn the voice may rest.
        await rig.send(UserStartedSpeakingFrame(), *sound(0.4, loud=False), *sound(0.4))
        await rig.send(VADUserStartedSpeakingFrame(start_secs=0.2), *sound(0.4))
        await _fall_silent(rig)
        assert (await rig.get(TranscriptionFrame, 2)).text == "Playas y mercados."
        assert not any(judged)


async def test_what_an_earlier_voice_said_that_is_not_transcribed_yet_is_left_in(
    deepgram: DeepgramVendor,
) -> None:
    deepgram.hears.append("El martes por la tarde.")
    stt = build_stt(
        settings(DEEPGRAM_BASE_URL=deepgram.url), Language.ES, count_others=lambda words: len(words)
    )
    async with rigged(stt) as rig:
        await rig.send(*sound(0.2), VADUserStartedSpeakingFrame(start_secs=0.1), *sound(0.4))
        await rig.send(VADUserStoppedSpeakingFrame(stop_secs=0.16))
        await rig.send(VADUserStartedSpeakingFrame(start_secs=0.1), *sound(0.4))
        await _fall_silent(rig)
        assert (await rig.get(TranscriptionFrame)).text == "El martes por la tarde."

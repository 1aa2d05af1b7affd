"""The user's audio goes to those who listen to it, and the rest of the pipeline is spared it."""

import pytest
from pipecat.frames.frames import InputAudioRawFrame, TextFrame

from simulators.vendors.rig import rigged
from sonora_app.call.pipeline import EndOfListening

pytestmark = pytest.mark.unit


async def test_everything_but_audio_goes_on() -> None:
    async with rigged(EndOfListening()) as rig:
        audio = InputAudioRawFrame(bytes(640), 16_000, 1)
        await rig.send(audio, TextFrame("first"), audio, TextFrame("last"))
        last = await rig.get(TextFrame, 2)
        assert last.text == "last"
        # Audio is a system frame, and would have overtaken the text.
        assert rig.all(InputAudioRawFrame) == []

"""Sound that nobody takes is given up, and none that only a stall of the process held up."""

import asyncio
import time

import pytest
from pipecat.frames.frames import OutputAudioRawFrame
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import TransportParams

from sonora_app.call.presence.unsent import give_up_unsent

pytestmark = pytest.mark.unit

PACKET = OutputAudioRawFrame(bytes(640), 16_000, 1)
UNSENT_SECS = 0.4


class Jammed(BaseOutputTransport):
    """Takes sound once it is let."""

    def __init__(self) -> None:
        super().__init__(TransportParams())
        self.let = asyncio.Event()
        self.given_up = False

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        try:
            return await self.let.wait()
        except asyncio.CancelledError:
            self.given_up = True
            raise


async def test_sound_that_nobody_takes_is_given_up() -> None:
    output = Jammed()
    give_up_unsent(output, UNSENT_SECS)
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        await output.write_audio_frame(PACKET)
    assert time.monotonic() - began >= UNSENT_SECS
    await asyncio.sleep(0)
    assert output.given_up


async def test_the_time_in_which_the_process_stalls_does_not_count() -> None:
    output = Jammed()
    give_up_unsent(output, UNSENT_SECS)
    writing = asyncio.create_task(output.write_audio_frame(PACKET))
    await asyncio.sleep(0.01)
    time.sleep(2 * UNSENT_SECS)  # noqa: ASYNC251  # the stall
    await asyncio.sleep(0.01)
    assert not writing.done()
    output.let.set()
    assert await writing


async def test_what_is_cut_off_while_it_waits_is_not_sent() -> None:
    output = Jammed()
    give_up_unsent(output, UNSENT_SECS)
    writing = asyncio.create_task(output.write_audio_frame(PACKET))
    await asyncio.sleep(0.01)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    await asyncio.sleep(0)
    assert output.given_up

"""Gives up on a client that takes no sound any more, although its connection stays up.

Pipecat has a limit for this, by the clock. When the process stalls for so long, it would take every
client for gone that the bot was speaking to. So here only time counts in which the event loop runs.
"""

import asyncio

from pipecat.frames.frames import OutputAudioRawFrame
from pipecat.transports.base_output import BaseOutputTransport

UNSENT_SECS = 4.0
"""How long a packet of sound may wait to be sent before the call ends, since nobody hears it. A
busy process holds a packet back for two seconds."""

_STEPS = 8
"""In so many steps this is counted. A stall, however long, counts as one step at most."""


def give_up_unsent(output: BaseOutputTransport, unsent_secs: float = UNSENT_SECS) -> None:
    """Have a transport raise `TimeoutError` for sound that cannot be sent; Pipecat then ends it.

    Args:
        output: What sends the bot's sound.
        unsent_secs: How long that may take, in seconds.
    """
    write = output.write_audio_frame

    async def write_in_time(frame: OutputAudioRawFrame) -> bool:
        writing = asyncio.ensure_future(write(frame))
        try:
            for _ in range(_STEPS):
                if (await asyncio.wait([writing], timeout=unsent_secs / _STEPS))[0]:
                    return writing.result()
            raise TimeoutError
        finally:
            writing.cancel()

    output.write_audio_frame = write_in_time

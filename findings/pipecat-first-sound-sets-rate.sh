#!/usr/bin/env bash
# The first sound of a call settles which rate Pipecat plays; whatever has another is dropped for good.
#
# The guess that fails: each audio frame carries its rate, and the output transport resamples it to the
# line's. So a chime of 44,100 samples a second and a voice of 24,000 can both be played on a
# telephone of 8,000: each is resampled, or, at worst, the odd one out is dropped.
#
# What happens: a transport has one resampler for the whole call, which takes the rate of the first sound
# that is not of the line's own, and raises an error for any other ("cannot be reused with different
# sample rates"). After a chime at the beginning nothing of a speech-to-speech model, which has a rate
# of its own (OpenAI's and Gemini's send 24,000), is ever heard: the bot answers, the log has an
# error for each piece, nobody counts as speaking, and the line is silent. A voice that Pipecat asks
# for the line's rate is not concerned, which is why the chime worked with the last bot.
#
# pipecat-ai 1.14.0. Output seen, 2 s of a voice at 24,000 on a line of 8,000:
#   the voice alone: 2.0 s of the voice heard, 0 errors
#   after a chime of 8,000: 2.0 s of the voice heard, 0 errors
#   after a chime of 44,100: 0.0 s of the voice heard, 100 errors
#   before a chime of 44,100: 2.0 s of the voice heard, 50 errors
#
# What to do: resample files to the line's rate when they are loaded (`create_file_resampler`).
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet 'uv==0.13.9'
"$work/venv/bin/uv" pip install --quiet --python "$work/venv" --exclude-newer 2026-11-20 \
  'pipecat-ai==1.14.0' 'soxr==1.0.0'

cat > "$work/run.py" <<'PYTHON'
import asyncio
import sys

import numpy as np
from loguru import logger

logger.remove()

from pipecat.frames.frames import (  # noqa: E402
    ErrorFrame,
    Frame,
    OutputAudioRawFrame,
    StartFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
)
from pipecat.pipeline.pipeline import Pipeline  # noqa: E402
from pipecat.tests.utils import SleepFrame, run_test  # noqa: E402
from pipecat.transports.base_output import BaseOutputTransport  # noqa: E402
from pipecat.transports.base_transport import TransportParams  # noqa: E402

LINE, VOICE, FILE = 8_000, 24_000, 44_100


class Line(BaseOutputTransport):
    """A telephone: counts what it is given to play, of the voice and of anything else."""

    def __init__(self) -> None:
        super().__init__(TransportParams(audio_out_enabled=True, audio_out_sample_rate=LINE))
        self.voice_samples = self.other_samples = 0

    async def start(self, frame: StartFrame) -> None:
        await super().start(frame)
        await self.set_transport_ready(frame)

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        if isinstance(frame, TTSAudioRawFrame):
            self.voice_samples += len(frame.audio) // 2
        else:
            self.other_samples += len(frame.audio) // 2
        return True


def pieces(kind: type[OutputAudioRawFrame], rate: int, secs: int) -> list[Frame]:
    """A tone, in pieces of 20 ms."""
    wave = 8000 * np.sin(2 * np.pi * 440 * np.arange(rate * secs) / rate)
    sound, step = wave.astype(np.int16).tobytes(), rate // 50 * 2
    return [kind(sound[at : at + step], rate, 1) for at in range(0, len(sound), step)]


def chime(rate: int) -> list[Frame]:
    return [*pieces(OutputAudioRawFrame, rate, 1), SleepFrame(0.3)]


def voice() -> list[Frame]:
    spoken = pieces(TTSAudioRawFrame, VOICE, 2)
    return [TTSStartedFrame(), *spoken, TTSStoppedFrame(), SleepFrame(0.3)]


async def heard(frames: list[Frame]) -> tuple[float, int]:
    """How many seconds of the voice are played, and how many errors there are."""
    line = Line()
    _, told = await run_test(Pipeline([line]), frames_to_send=frames)
    errors = sum(isinstance(frame, ErrorFrame) for frame in told)
    return round(line.voice_samples / LINE, 1), errors


async def main() -> None:
    cases = {
        "the voice alone": voice(),
        f"after a chime of {LINE:,}": [*chime(LINE), *voice()],
        f"after a chime of {FILE:,}": [*chime(FILE), *voice()],
        f"before a chime of {FILE:,}": [*voice(), *chime(FILE)],
    }
    seen = []
    for case, frames in cases.items():
        seen.append(await heard(frames))
        print(f"{case}: {seen[-1][0]} s of the voice heard, {seen[-1][1]} errors")
    sys.exit(seen != [(2.0, 0), (2.0, 0), (0.0, 100), (2.0, 50)])


asyncio.run(main())
PYTHON
for run in 1 2; do "$work/venv/bin/python" -W ignore "$work/run.py"; done

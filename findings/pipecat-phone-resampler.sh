#!/usr/bin/env bash
# Pipecat hears a telephone up to 110 ms late, and does not send it the end of a line.
#
# The guess that fails: a stream of 8,000 samples a second is turned into one of 16,000 by a filter,
# which costs its own length, some ms, once. 20 ms go in, 20 ms come out. At the end of a line the
# rest comes out, or is at most those few ms of silence.
#
# What happens: soxr, by which Pipecat's serializers for telephones resample, computes in blocks. In
# pieces of 20 ms nothing comes for a while, then 100 ms at once. So the end of the user's turn is
# noticed up to 110 ms later, and as much again goes by on the way back. After a line of the bot's
# the serializer is given nothing more. What soxr then holds stays there, and is thrown away after
# 0.2 s (`resampler_clear_after_secs`) as stale: the end of a word, where a voice leaves no silence.
# The output transport's own resampler is flushed at the end of speech, the serializer's is not.
#
# pipecat-ai 1.14.0, soxr 1.0.0. Output seen:
#   to the bot: 17 to 109 ms later than it came
#   to the phone: of lines of 1 to 2 s the last 25 to 150 ms were never sent
#
# What to do: let the pipeline have the phone's rate, `audio_in_sample_rate=8000` and
# `audio_out_sample_rate=8000`, so that nothing is resampled on the way. Where Whisper listens, see
# pipecat-whisper-phone.sh.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet 'uv==0.13.9'
"$work/venv/bin/uv" pip install --quiet --python "$work/venv" --exclude-newer 2026-11-20 \
  'pipecat-ai==1.14.0' 'soxr==1.0.0'

cat > "$work/run.py" <<'PYTHON'
import asyncio
import base64
import json
import sys
from types import SimpleNamespace

import numpy as np
from loguru import logger

logger.remove()

from pipecat.frames.frames import OutputAudioRawFrame  # noqa: E402
from pipecat.serializers.twilio import TwilioFrameSerializer  # noqa: E402

SECS, PHONE, BOT_HEARS, BOT_SPEAKS = 2, 8_000, 16_000, 24_000


def line() -> TwilioFrameSerializer:
    params = TwilioFrameSerializer.InputParams(auto_hang_up=False)
    return TwilioFrameSerializer("1", params=params)


async def heard() -> tuple[int, int]:
    """How much later than it came the bot is handed the phone's sound, in ms: from, to."""
    phone, handed, late = line(), 0, []
    await phone.setup(SimpleNamespace(audio_in_sample_rate=BOT_HEARS))
    payload = base64.b64encode(bytes([0x90, 0x10]) * (PHONE // 100)).decode()
    for number in range(1, SECS * 50 + 1):
        media = {"event": "media", "media": {"payload": payload}}
        frame = await phone.deserialize(json.dumps(media))
        handed += len(frame.audio) // 2 if frame else 0
        late.append(round(1000 * (number / 50 - handed / BOT_HEARS)))
    return min(late[25:]), max(late[25:])


async def unsent(ms: int) -> int:
    """How much of a line of so many ms the phone is never sent."""
    phone, sent = line(), []
    wave = 8000 * np.sin(2 * np.pi * 440 * np.arange(ms * BOT_SPEAKS // 1000) / BOT_SPEAKS)
    sound, step = wave.astype(np.int16).tobytes(), BOT_SPEAKS // 50 * 2
    for at in (*range(0, len(sound), step), 0):
        if len(sent) * 20 == ms:
            await asyncio.sleep(0.3)  # then the next line begins
        media = await phone.serialize(OutputAudioRawFrame(sound[at : at + step], BOT_SPEAKS, 1))
        sent.append(len(base64.b64decode(json.loads(media)["media"]["payload"])) if media else 0)
    assert sent[-1] == sent[0], "the next line begins as if it were the first"
    return ms - sum(sent[:-1]) * 1000 // PHONE


async def main() -> None:
    soonest, latest = await heard()
    print(f"to the bot: {soonest} to {latest} ms later than it came")
    lost = [await unsent(ms) for ms in range(1000, 2000, 100)]
    print(f"to the phone: of lines of 1 to 2 s the last {min(lost)} to {max(lost)} ms were never sent")
    sys.exit(not (latest > 80 and max(lost) > 80))


asyncio.run(main())
PYTHON
for run in 1 2; do "$work/venv/bin/python" "$work/run.py"; done

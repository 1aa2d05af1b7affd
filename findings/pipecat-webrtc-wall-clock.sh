#!/usr/bin/env bash
# The sound of Pipecat's SmallWebRTC transport follows the wall clock, in both directions.
#
# The guess that fails: what paces audio runs on a monotonic clock (asyncio's own does), so that a
# machine whose clock is corrected during a call (by NTP, or when a virtual machine resumes) sends on
# at 100 frames of 10 ms a second.
#
# What happens: `RawAudioTrack.recv` counts from a `time.time()` of when the track was made. After the
# clock is set back by N seconds the next frame waits N seconds, and the call is silent. After the
# clock is set forward by N seconds the track waits for nothing until it has caught up: it hands out
# N seconds of sound, or of silence, as fast as the encoder takes them. No line is logged.
#
# pipecat-ai 1.14.0, time-machine 3.2.0 in the place of whoever sets the clock. Output seen:
#   clock left alone: 50 frames within a second, as they should
#   clock set back 3 s: the next frame after about 3 s
#   clock set forward 30 s: 3000 frames within a second
#
# What to do: pace what leaves by a track of one's own on the monotonic clock, or notice the step (the
# two clocks drift apart) and move the track's start by as much.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet 'uv==0.13.9'
"$work/venv/bin/uv" pip install --quiet --python "$work/venv" --exclude-newer 2026-11-20 \
  'pipecat-ai[webrtc]==1.14.0' 'time-machine==3.2.0'

cat > "$work/run.py" <<'PYTHON'
import asyncio
import datetime
import sys
import time

import time_machine
from loguru import logger

logger.remove()

from pipecat.transports.smallwebrtc.transport import RawAudioTrack  # noqa: E402


async def within_a_second(track: RawAudioTrack, at_most: int) -> int:
    """How many frames of 10 ms the track hands out in a second of the monotonic clock."""
    until = time.monotonic() + 1
    for n in range(at_most):
        await track.recv()
        if time.monotonic() > until:
            return n
    return at_most


def clock_moved(secs: int) -> time_machine.travel:
    moved = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=secs)
    return time_machine.travel(moved, tick=True)


async def main() -> None:
    track = RawAudioTrack(sample_rate=24000)
    for _ in range(10):
        await track.recv()
    ordinary = await within_a_second(track, 50)
    print(f"clock left alone: {ordinary} frames within a second, as they should")

    with clock_moved(-3):
        began = time.monotonic()
        await track.recv()
        silent = time.monotonic() - began
    print(f"clock set back 3 s: the next frame after about {silent:.0f} s")

    track = RawAudioTrack(sample_rate=24000)
    for _ in range(10):
        await track.recv()
    with clock_moved(30):
        burst = await within_a_second(track, 3000)
    print(f"clock set forward 30 s: {burst} frames within a second")
    sys.exit(not (ordinary == 50 and silent > 2 and burst == 3000))


asyncio.run(main())
PYTHON

for _ in 1 2; do
  "$work/venv/bin/python" "$work/run.py"
done

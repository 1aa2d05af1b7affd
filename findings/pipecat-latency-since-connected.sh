#!/usr/bin/env bash
# Pipecat breaks down the wait for an answer from the moment the page connected, after an interruption
# by words.
#
# The guess that fails: `on_latency_measured` and `on_latency_breakdown` of `UserBotLatencyObserver`
# come together and tell of the same wait: one its length, the other its parts, which sum to it. Both
# count from where the user fell silent; only the greeting counts from where the page connected.
#
# What happens: a bot that is interrupted by words (`MinWordsUserTurnStartStrategy`, or a strategy of
# one's own) learns of a short phrase when it is over: the interruption comes after Silero's end of the
# voice. It clears where the user fell silent for the breakdown, and keeps it for the latency. So the
# latency is right, while the breakdown of the same answer says `client_connected`, as a greeting's
# does, and is as long as the call so far. The parts that it names are seconds, the rest is "pipeline".
# Whoever averages breakdowns, or logs "TOTAL", sees answers of minutes, the longer the later in a call.
#
# pipecat-ai 1.14.0, Python 3.11. Output seen (a phrase said 90 s into the call, answered after 1.5 s):
#   interrupted with the voice: 1.5 s, its parts 1.5 s from user_silence
#   interrupted by the words: 1.5 s, its parts 91.7 s from client_connected
#
# What to do: take the length from `on_latency_measured`, and leave out a breakdown whose
# `total_secs` is another.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet 'uv==0.13.9'
venv/bin/uv pip install --quiet --python venv --exclude-newer 2026-11-20 'pipecat-ai==1.14.0'

cat > run.py <<'PYTHON'
import asyncio
import sys

from loguru import logger

logger.remove()
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    ClientConnectedFrame,
    Frame,
    InterruptionFrame,
    TranscriptionFrame,
    UserStoppedSpeakingFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.observers.base_observer import FramePushed
from pipecat.observers.user_bot_latency_observer import UserBotLatencyObserver
from pipecat.processors.filters.identity_filter import IdentityFilter
from pipecat.processors.frame_processor import FrameDirection

CONNECTED, SILENT, ANSWERED = 1_000.0, 1_090.2, 1_091.7
STOP_SECS = 0.2


async def answer(by_words: bool) -> tuple[float, float, str]:
    """The wait, the sum of its parts, and from where the parts are counted."""
    now = CONNECTED
    observer = UserBotLatencyObserver(time_source=lambda: now)
    waits, breakdowns, told = [], [], asyncio.Event()

    @observer.event_handler("on_latency_measured")
    async def _(_, secs):
        waits.append(secs)

    @observer.event_handler("on_latency_breakdown")
    async def _(_, breakdown):
        breakdowns.append(breakdown)
        told.set()

    source, destination = IdentityFilter(), IdentityFilter()

    async def push(at: float, frame: Frame) -> None:
        nonlocal now
        now = at
        await observer.on_push_frame(
            FramePushed(source, destination, frame, FrameDirection.DOWNSTREAM, round(at * 1e9))
        )

    interruption = 1_090.6 if by_words else 1_089.9
    frames = [
        (CONNECTED, ClientConnectedFrame()),
        (1_089.9, VADUserStartedSpeakingFrame(start_secs=0.2, timestamp=1_089.9)),
        (SILENT + STOP_SECS, VADUserStoppedSpeakingFrame(stop_secs=STOP_SECS, timestamp=SILENT + STOP_SECS)),
        (1_090.6, TranscriptionFrame("Wait a moment", "", "")),
        (interruption, InterruptionFrame()),
        (1_090.7, UserStoppedSpeakingFrame()),
        (ANSWERED, BotStartedSpeakingFrame()),
    ]
    for at, frame in sorted(frames, key=lambda each: each[0]):
        await push(at, frame)
    await asyncio.wait_for(told.wait(), 5)
    return round(waits[-1], 1), round(breakdowns[-1].total_secs, 1), str(breakdowns[-1].measured_from)


async def main() -> int:
    with_voice, by_words = await answer(False), await answer(True)
    for name, (wait, parts, since) in {
        "interrupted with the voice": with_voice,
        "interrupted by the words": by_words,
    }.items():
        print(f"{name}: {wait} s, its parts {parts} s from {since}")
    return 0 if (with_voice, by_words) == (
        (1.5, 1.5, "user_silence"),
        (1.5, 91.7, "client_connected"),
    ) else 1


sys.exit(asyncio.run(main()))
PYTHON

for _ in 1 2; do
  venv/bin/python -W ignore run.py
done

#!/usr/bin/env bash
# Where the connection to the voice drops in mid-sentence, Pipecat notes the whole sentence as said.
#
# The guess that fails: Cartesia tells the time of each word, and Pipecat builds what the assistant has
# said of those words, so that an answer that was cut off holds no more than was heard. So a
# sentence whose connection drops ends in the context where the sound does. Or the rest is asked
# for again on the new connection, or an error tells that it was lost.
#
# What happens: Pipecat connects anew and ends the sentence's audio. At the end of each it takes words
# without a time for words that the voice forgot to tell, and adds the rest of the text. Nothing
# is asked for again, no ErrorFrame is pushed, since some sound came. The person has heard half
# of the price; the model, and whoever reads the transcript, holds that they were told it.
#
# pipecat-ai 1.14.0, websockets 17.4. Output seen:
#   not dropped: 1.0 s of sound (Your table costs forty euros.), kept: Your table costs forty euros., errors told: 0
#   dropped after 2 words: 0.4 s of sound (Your table), kept: Your table costs forty euros., errors told: 0
#
# What to do: note which contexts the voice said were done, and add the rest of the text only for those
# (`_apply_force_complete` of the service).
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet 'uv==0.13.9'
"$work/venv/bin/uv" pip install --quiet --python "$work/venv" --exclude-newer 2026-11-20 \
  'pipecat-ai[cartesia]==1.14.0' 'websockets==17.4'

cat > "$work/run.py" <<'PYTHON'
import asyncio
import base64
import json
import sys

from loguru import logger

logger.remove()

from pipecat.frames.frames import (  # noqa: E402
    ErrorFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    TTSAudioRawFrame,
)
from pipecat.pipeline.pipeline import Pipeline  # noqa: E402
from pipecat.processors.aggregators.llm_context import LLMContext  # noqa: E402
from pipecat.processors.aggregators.llm_response_universal import (  # noqa: E402
    LLMContextAggregatorPair,
)
from pipecat.services.cartesia.tts import CartesiaTTSService  # noqa: E402
from pipecat.tests.utils import SleepFrame, run_test  # noqa: E402
from websockets.asyncio.server import ServerConnection, serve  # noqa: E402

WORD_SECS, RATE = 0.2, 24_000


async def kept(words_until_drop: int | None) -> tuple[list[str], float, str, int]:
    """The words that the voice said, the seconds of sound that came, what the model is told later
    that it said, and how many errors were told."""
    said: list[str] = []

    async def voice(socket: ServerConnection) -> None:
        """Cartesia: each word is a message with its time, and one with its sound."""
        async for text in socket:
            asked = json.loads(text)
            words = asked.get("transcript", "").split()
            for place, word in enumerate(words):
                if place == words_until_drop:
                    await socket.close(1011)
                    return
                said.append(word)
                start = place * WORD_SECS
                times = {"words": [word], "start": [start], "end": [start + WORD_SECS]}
                sound = base64.b64encode(bytes(int(WORD_SECS * RATE) * 2)).decode()
                for part in (
                    {"type": "timestamps", "word_timestamps": times},
                    {"type": "chunk", "data": sound},
                ):
                    await socket.send(json.dumps({"context_id": asked["context_id"], **part}))
            if words:
                await socket.send(json.dumps({"context_id": asked["context_id"], "type": "done"}))

    async with serve(voice, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        tts = CartesiaTTSService(
            api_key="none",
            url=f"ws://127.0.0.1:{port}",
            settings=CartesiaTTSService.Settings(voice="1"),
        )
        context = LLMContext([])
        both = LLMContextAggregatorPair(context)
        down, up = await run_test(
            Pipeline([tts, both.assistant()]),
            frames_to_send=[
                LLMFullResponseStartFrame(),
                LLMTextFrame("Your table costs forty euros."),
                LLMFullResponseEndFrame(),
                SleepFrame(6),
            ],
        )
    heard = sum(len(f.audio) for f in down if isinstance(f, TTSAudioRawFrame)) / 2 / RATE
    errors = sum(isinstance(frame, ErrorFrame) for frame in (*down, *up))
    return said, heard, context.get_messages()[-1]["content"], errors


async def main() -> None:
    seen = []
    for drop in (None, 2):
        said, heard, told, errors = await kept(drop)
        seen.append((len(said), told, errors))
        print(
            f"{f'dropped after {drop} words' if drop else 'not dropped'}: {heard:.1f} s of sound "
            f"({' '.join(said)}), kept: {told}, errors told: {errors}"
        )
    whole = "Your table costs forty euros."
    sys.exit(seen != [(5, whole, 0), (2, whole, 0)])


asyncio.run(asyncio.wait_for(main(), 60))
PYTHON
for run in 1 2; do "$work/venv/bin/python" -W ignore "$work/run.py"; done

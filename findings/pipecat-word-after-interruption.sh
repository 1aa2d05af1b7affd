#!/usr/bin/env bash
# A word that Pipecat hands on just before an interruption ends up in the answer after it.
#
# The guess that fails: an interruption throws away what waits in a processor's queue, and what was
# passed on before it is seen to before it. So what a processor reads after an InterruptionFrame
# belongs to the time after.
#
# What happens: each processor has two queues. The first puts system frames before all others; only
# the second is emptied by an interruption. A word that lies in the first, because its reader has not
# had its turn yet, is overtaken by the interruption, survives it, and is read as the first word of
# what comes next. The assistant's context then holds the last word that was heard of the answer that
# was cut off at the beginning of the next one, and the RTVI client was shown it in its right place.
# It takes an event loop that is busy for a moment, such as with several calls in a process.
#
# pipecat-ai 1.14.0. Output seen:
#   said: one two | interrupted | three four
#   kept: ['one', 'two three four']
#
# What to do: let the event loop turn a few times before an interruption is passed on to whoever
# remembers what was said (a processor with `enable_direct_mode=True` in front of it can).
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet 'uv==0.13.9'
"$work/venv/bin/uv" pip install --quiet --python "$work/venv" --exclude-newer 2026-11-20 \
  'pipecat-ai==1.14.0'

cat > "$work/run.py" <<'PYTHON'
import asyncio
import sys

from loguru import logger

logger.remove()

from pipecat.frames.frames import (  # noqa: E402
    Frame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    TTSTextFrame,
    TextFrame,
    TextType,
)
from pipecat.pipeline.pipeline import Pipeline  # noqa: E402
from pipecat.processors.aggregators.llm_context import LLMContext  # noqa: E402
from pipecat.processors.aggregators.llm_response_universal import (  # noqa: E402
    LLMContextAggregatorPair,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor  # noqa: E402
from pipecat.tests.utils import SleepFrame, run_test  # noqa: E402


def word(text: str) -> TTSTextFrame:
    return TTSTextFrame(text=text, text_type=TextType.WORD)


class Output(FrameProcessor):
    """Tells the words that are heard, as an output transport does."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if not isinstance(frame, TextFrame) or isinstance(frame, TTSTextFrame):
            await self.push_frame(frame, direction)
        elif frame.text == "first":
            await self.push_frame(LLMFullResponseStartFrame())
            await self.push_frame(word("one"))
            await asyncio.sleep(0.1)
            await self.push_frame(word("two"))
            await self.push_frame(InterruptionFrame())
        else:
            await self.push_frame(LLMFullResponseStartFrame())
            await self.push_frame(word("three"))
            await self.push_frame(word("four"))
            await self.push_frame(LLMFullResponseEndFrame())


async def main() -> None:
    context = LLMContext([])
    pair = LLMContextAggregatorPair(context)
    pipeline = Pipeline([Output(), pair.assistant()])
    frames = [TextFrame("first"), SleepFrame(0.5), TextFrame("second"), SleepFrame(0.5)]
    await run_test(pipeline, frames_to_send=frames)
    kept = [message["content"] for message in context.get_messages()]
    print("said: one two | interrupted | three four")
    print(f"kept: {kept}")
    sys.exit(kept != ["one", "two three four"])


asyncio.run(main())
PYTHON

for _ in 1 2; do
  "$work/venv/bin/python" "$work/run.py"
done

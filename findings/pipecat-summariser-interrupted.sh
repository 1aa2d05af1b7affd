#!/usr/bin/env bash
# Pipecat's context summariser asks for another summary after each interruption, and throws away
# those that come meanwhile.
#
# The guess that fails: a talk that outgrew `max_context_tokens` is summed up once. There is a guard
# ("Summarization already in progress"), and `_handle_interruption` says that it cancels what is in
# progress and that the answer to it is handled all the same.
#
# What happens: the interruption takes the guard away and cancels nothing. At the next answer the
# talk is still too long, so another summary is asked for, under another id. The first one comes, its
# id is not the one that is waited for any more, and it is dropped as stale. Somebody who cuts the
# bot off more often than a summary takes has one made at each answer, and only the last is used.
# Nothing is logged above DEBUG.
#
# pipecat-ai 1.14.0. Output seen:
#   6 answers, each interrupted: 6 summaries asked for, 1 applied
#
# What to do: sum up outside of the pipeline, and ask again only once the talk has grown further.
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
from pipecat.frames.frames import (
    InterruptionFrame,
    LLMContextSummaryResultFrame,
    LLMFullResponseStartFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_context_summarizer import LLMContextSummarizer
from pipecat.utils.context.llm_context_summarization import LLMAutoContextSummarizationConfig

logger.remove()
ANSWERS = 6


async def main() -> None:
    talk = [{"role": "user", "content": "word " * 100} for _ in range(20)]
    context = LLMContext(talk)
    config = LLMAutoContextSummarizationConfig(max_context_tokens=500)
    summariser = LLMContextSummarizer(context=context, config=config)
    asked: list[str] = []
    applied: list[object] = []

    async def ask(_: object, frame: object) -> None:
        asked.append(frame.request_id)

    async def note(_: object, event: object) -> None:
        applied.append(event)

    summariser.add_event_handler("on_request_summarization", ask)
    summariser.add_event_handler("on_summary_applied", note)
    for _ in range(ANSWERS):
        await summariser.process_frame(LLMFullResponseStartFrame())
        await summariser.process_frame(InterruptionFrame())
    requests = len(asked)
    # Each summary comes, in the order in which they were asked for.
    for request_id in asked:
        await summariser.process_frame(
            LLMContextSummaryResultFrame(
                request_id=request_id, summary="A talk.", last_summarized_index=15
            )
        )
    await asyncio.sleep(0.1)
    print(
        f"{ANSWERS} answers, each interrupted: {requests} summaries asked for, "
        f"{len(applied)} applied"
    )
    sys.exit(0 if (requests, len(applied)) == (ANSWERS, 1) else 1)


asyncio.run(main())
PYTHON
for run in 1 2; do timeout 120 "$work/venv/bin/python" "$work/run.py"; done

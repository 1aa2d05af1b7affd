#!/usr/bin/env bash
# Of two tools that a model calls in one chunk of its answer, Pipecat runs the first only.
#
# The guess that fails: a chunk of a streamed answer has a list of calls, each with an index. OpenAI
# sends one call at a time, in pieces; other servers that speak its protocol have whole calls, and
# send several at once. OpenAI's own client reads both alike, and Pipecat stands on that client.
#
# What happens: Pipecat takes no more than the chunks from it, and puts the calls together itself. Of
# the list in each chunk it looks at the first and leaves the others: no function runs for them, the
# context has no trace of them, nothing is logged. The model is asked again with half of what it
# wanted to know. Words that come in the same chunk as a call are neither spoken nor remembered.
#
# pipecat-ai 1.14.0, openai 3.56.0. Output seen:
#   a chunk for each call: OpenAI's client reads free_tables, opening_hours; Pipecat free_tables, opening_hours
#   both in one chunk: OpenAI's client reads free_tables, opening_hours; Pipecat free_tables
#   words and a call: OpenAI's client reads One moment., free_tables; Pipecat free_tables
#
# What to do: override `get_chat_completions` of the service, and give each call, and the words before it,
# a chunk of its own.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet 'uv==0.13.9'
"$work/venv/bin/uv" pip install --quiet --python "$work/venv" --exclude-newer 2026-11-20 \
  'pipecat-ai[openai]==1.14.0' 'openai==3.56.0' 'aiohttp==3.14.5'

cat > "$work/run.py" <<'PYTHON'
import asyncio
import json
import sys

from aiohttp import web
from loguru import logger
from openai import AsyncOpenAI

logger.remove()
logger.add(sys.stderr, level="WARNING")

from pipecat.adapters.llm.schemas.function_schema import FunctionSchema  # noqa: E402
from pipecat.adapters.llm.schemas.tools_schema import ToolsSchema  # noqa: E402
from pipecat.frames.frames import LLMRunFrame, LLMTextFrame  # noqa: E402
from pipecat.pipeline.pipeline import Pipeline  # noqa: E402
from pipecat.pipeline.worker import PipelineWorker  # noqa: E402
from pipecat.processors.aggregators.llm_context import LLMContext  # noqa: E402
from pipecat.processors.aggregators.llm_response_universal import (  # noqa: E402
    LLMContextAggregatorPair,
)
from pipecat.processors.frame_processor import FrameProcessor  # noqa: E402
from pipecat.services.openai.llm import OpenAILLMService  # noqa: E402
from pipecat.workers.runner import WorkerRunner  # noqa: E402

NAMES = ("free_tables", "opening_hours")
FIRST, SECOND = (
    {"index": place, "id": f"call-{place}", "type": "function",
     "function": {"name": name, "arguments": "{}"}}
    for place, name in enumerate(NAMES)
)
ANSWERS = {
    "a chunk for each call": [{"tool_calls": [FIRST]}, {"tool_calls": [SECOND]}],
    "both in one chunk": [{"tool_calls": [FIRST, SECOND]}],
    "words and a call": [{"content": "One moment.", "tool_calls": [FIRST]}],
}
QUESTION = {"role": "user", "content": "Is there a table, and until when?"}


async def model(request: web.Request) -> web.StreamResponse:
    """A model: it calls its tools until it has a result."""
    asked = await request.json()
    calls = all(message["role"] != "tool" for message in asked["messages"])
    deltas = ANSWERS[request.match_info["case"]] if calls else [{"content": "Ok."}]
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    ends = ({}, "tool_calls" if calls else "stop")
    for delta, reason in [*((delta, None) for delta in deltas), ends]:
        chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m",
                 "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}
        await response.write(f"data: {json.dumps(chunk)}\n\n".encode())
    await response.write(b"data: [DONE]\n\n")
    return response


async def by_client(url: str) -> list[str]:
    """What OpenAI's client makes of the answer: its words, then its calls."""
    client = AsyncOpenAI(api_key="none", base_url=url)
    async with client.chat.completions.stream(model="m", messages=[QUESTION]) as stream:
        message = (await stream.get_final_completion()).choices[0].message
    words = [message.content] if message.content else []
    return words + [call.function.name for call in message.tool_calls or []]


async def by_pipecat(url: str) -> list[str]:
    """What comes of it in Pipecat: words that would be spoken, and functions that are run."""
    did: list[str] = []

    class Voice(FrameProcessor):
        async def process_frame(self, frame, direction) -> None:
            await super().process_frame(frame, direction)
            if isinstance(frame, LLMTextFrame) and frame.text != "Ok.":
                did.append(frame.text)
            await self.push_frame(frame, direction)

    async def tool(params) -> None:
        did.append(params.function_name)
        await params.result_callback({"ok": True})

    schemas = [FunctionSchema(name, name, properties={}, required=[]) for name in NAMES]
    context = LLMContext(messages=[QUESTION], tools=ToolsSchema(standard_tools=schemas))
    llm = OpenAILLMService(api_key="none", base_url=url)
    for name in NAMES:
        llm.register_function(name, tool)
    both = LLMContextAggregatorPair(context)
    worker = PipelineWorker(Pipeline([both.user(), llm, Voice(), both.assistant()]))
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    running = asyncio.create_task(runner.run())
    await worker.queue_frame(LLMRunFrame())
    await asyncio.sleep(2)
    await worker.cancel()
    await running
    return did


async def main() -> None:
    app = web.Application()
    app.router.add_post("/{case}/chat/completions", model)
    server = web.AppRunner(app)
    await server.setup()
    await web.TCPSite(server, "127.0.0.1", 0).start()
    host, port = server.addresses[0]
    seen = []
    for case in ANSWERS:
        url = f"http://{host}:{port}/{case}"
        read, did = await by_client(url), await by_pipecat(url)
        seen.append((read, did))
        print(f"{case}: OpenAI's client reads {', '.join(read)}; Pipecat {', '.join(did)}")
    await server.cleanup()
    first, second = NAMES
    expected = [
        ([first, second], [first, second]),
        ([first, second], [first]),
        (["One moment.", first], [first]),
    ]
    sys.exit(seen != expected)


asyncio.run(asyncio.wait_for(main(), 90))
PYTHON
for run in 1 2; do timeout 120 "$work/venv/bin/python" -W ignore "$work/run.py"; done

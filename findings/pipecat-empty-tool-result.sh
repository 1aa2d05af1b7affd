#!/usr/bin/env bash
# A tool that finds nothing, in Pipecat, tells the model that it has succeeded, and no answer is made.
#
# The guess that fails: `await params.result_callback([])` gives the model an empty list, from which
# it sees that nothing was found, as `[{"table": 4}]` gives it one table. So do `0` and `False`.
#
# What happens: every falsy result is written to the context as the word COMPLETED, which to a model
# reads as a booking made or a row deleted. And the model is not asked again, so that the caller
# hears nothing at all after the tool: the turn ends in silence. Nothing is logged.
#
# pipecat-ai 1.14.0. Output seen (the requests count the one that called the tool):
#   [{"table": 4}]: told [{"table": 4}], requests 2
#   []: told COMPLETED, requests 1
#   {}: told COMPLETED, requests 1
#   0: told COMPLETED, requests 1
#   false: told COMPLETED, requests 1
#
# What to do: never hand over a bare value. `{"tables": []}` is true.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet 'uv==0.13.9'
"$work/venv/bin/uv" pip install --quiet --python "$work/venv" --exclude-newer 2026-11-20 \
  'pipecat-ai[openai]==1.14.0' 'aiohttp==3.14.5'

cat > "$work/run.py" <<'PYTHON'
import asyncio
import json
import sys

from aiohttp import web
from loguru import logger
from pipecat.adapters.llm.schemas.function_schema import FunctionSchema
from pipecat.adapters.llm.schemas.tools_schema import ToolsSchema
from pipecat.frames.frames import LLMRunFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.services.openai.llm import OpenAILLMService
from pipecat.workers.runner import WorkerRunner

logger.remove()
logger.add(sys.stderr, level="WARNING")
requests = 0


async def model(request: web.Request) -> web.StreamResponse:
    """A model: its first answer calls the tool, every later one is a word."""
    global requests
    requests += 1
    call = {"index": 0, "id": "call-0", "type": "function",
            "function": {"name": "free_tables", "arguments": "{}"}}
    first = requests == 1
    delta = {"tool_calls": [call]} if first else {"content": "Ok."}
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    for each, reason in ((delta, None), ({}, "tool_calls" if first else "stop")):
        chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m",
                 "choices": [{"index": 0, "delta": each, "finish_reason": reason}]}
        await response.write(f"data: {json.dumps(chunk)}\n\n".encode())
    await response.write(b"data: [DONE]\n\n")
    return response


async def told(result: object, url: str) -> tuple[str, int]:
    """What the model is told of a tool's result, and how many requests it gets in all."""
    global requests
    requests = 0

    async def free_tables(params) -> None:
        await params.result_callback(result)

    schema = FunctionSchema("free_tables", "The tables that are free", properties={}, required=[])
    context = LLMContext(
        messages=[{"role": "user", "content": "Is there a table?"}],
        tools=ToolsSchema(standard_tools=[schema]),
    )
    llm = OpenAILLMService(api_key="none", base_url=url)
    llm.register_function("free_tables", free_tables)
    both = LLMContextAggregatorPair(context)
    worker = PipelineWorker(Pipeline([both.user(), llm, both.assistant()]))
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    running = asyncio.create_task(runner.run())
    await worker.queue_frame(LLMRunFrame())
    await asyncio.sleep(3)
    content = next(m["content"] for m in context.get_messages() if m["role"] == "tool")
    await worker.cancel()
    await running
    return content, requests


async def main() -> None:
    app = web.Application()
    app.router.add_post("/v1/chat/completions", model)
    server = web.AppRunner(app)
    await server.setup()
    site = web.TCPSite(server, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}/v1"
    seen = []
    for result in ([{"table": 4}], [], {}, 0, False):
        content, asked = await told(result, url)
        seen.append((content, asked))
        print(f"{json.dumps(result)}: told {content}, requests {asked}")
    await server.cleanup()
    sys.exit(seen != [('[{"table": 4}]', 2)] + 4 * [("COMPLETED", 1)])


asyncio.run(asyncio.wait_for(main(), 90))
PYTHON
for run in 1 2; do timeout 120 "$work/venv/bin/python" "$work/run.py"; done

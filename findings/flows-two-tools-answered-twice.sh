#!/usr/bin/env bash
# Two tools of one answer that stay in their node of Pipecat Flows are answered twice.
#
# The guess that fails: a model calls two tools in one answer. Pipecat groups the calls of an answer
# (`group_parallel_tools`, on by default) and asks the model again once, when the last of them has
# ended. So it does for plain tools. For functions of Pipecat Flows it does not: the manager asks for
# an answer with each result of a function that stays in its node (`run_llm=True`), which overrides
# the grouping.
#
# What happens: the model gets a request for each of the two results, and the person hears two
# answers, the second of which usually says the same again. Results that come at one time may get one
# request, since a result that is queued holds the request back.
#
# pipecat-ai 1.14.0. Output seen, with results 0.3 s apart; the first request is the one that calls:
#   functions of Flows: 3 requests
#   plain functions: 2 requests
#
# What to do: return `NO_RESPONSE` in place of None from a function that ends while another of the
# same answer still runs.
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
from pipecat.flows import FlowManager, NodeConfig
from pipecat.frames.frames import LLMRunFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.services.llm_service import FunctionCallParams
from pipecat.services.openai.llm import OpenAILLMService
from pipecat.workers.runner import WorkerRunner

logger.remove()
logger.add(sys.stderr, level="WARNING")
asked: list[dict] = []


async def model(request: web.Request) -> web.StreamResponse:
    """A model: its first answer calls both tools, every later one is a word."""
    body = await request.json()
    asked.append(body)
    if len(asked) == 1:
        calls = [
            {"index": i, "id": f"call-{i}", "type": "function",
             "function": {"name": name, "arguments": "{}"}}
            for i, name in enumerate(("find", "keep"))
        ]
        deltas, reason = [{"tool_calls": [call]} for call in calls], "tool_calls"
    else:
        deltas, reason = [{"content": "Ok."}], "stop"
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    for delta in [*deltas, {}]:
        choice = {"index": 0, "delta": delta, "finish_reason": None if delta else reason}
        chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m",
                 "choices": [choice]}
        await response.write(f"data: {json.dumps(chunk)}\n\n".encode())
    await response.write(b"data: [DONE]\n\n")
    return response


async def call(of_flows: bool) -> int:
    """How many requests the model gets in all."""
    asked.clear()

    async def find(flow_manager: FlowManager) -> tuple[dict, None]:
        """Find something."""
        await asyncio.sleep(0.1)
        return {"found": "it"}, None

    async def keep(flow_manager: FlowManager) -> tuple[dict, None]:
        """Keep something."""
        await asyncio.sleep(0.4)
        return {"kept": "it"}, None

    async def found(params: FunctionCallParams) -> None:
        await asyncio.sleep(0.1)
        await params.result_callback({"found": "it"})

    async def kept(params: FunctionCallParams) -> None:
        await asyncio.sleep(0.4)
        await params.result_callback({"kept": "it"})

    app = web.Application()
    app.router.add_post("/v1/chat/completions", model)
    server = web.AppRunner(app)
    await server.setup()
    site = web.TCPSite(server, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]
    llm = OpenAILLMService(api_key="none", base_url=f"http://127.0.0.1:{port}/v1")
    asking = [{"role": "user", "content": "Find it and keep it."}]
    plain = [FunctionSchema(name, "Does it.", {}, []) for name in ("find", "keep")]
    context = LLMContext() if of_flows else LLMContext(asking, tools=ToolsSchema(plain))
    aggregators = LLMContextAggregatorPair(context)
    worker = PipelineWorker(Pipeline([aggregators.user(), llm, aggregators.assistant()]))
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    running = asyncio.create_task(runner.run())
    if of_flows:
        flow = FlowManager(worker=worker, llm=llm, context_aggregator=aggregators)
        node: NodeConfig = {"name": "here", "task_messages": asking, "functions": [find, keep]}
        await flow.initialize(node)
    else:
        llm.register_function("find", found)
        llm.register_function("keep", kept)
        await worker.queue_frame(LLMRunFrame())
    await asyncio.sleep(4)
    await worker.cancel()
    await running
    await server.cleanup()
    return len(asked)


async def main() -> None:
    seen = []
    for how, of_flows in (("functions of Flows", True), ("plain functions", False)):
        seen.append(await call(of_flows))
        print(f"{how}: {seen[-1]} requests")
    sys.exit(seen != [3, 2])


asyncio.run(asyncio.wait_for(main(), 60))
PYTHON
for run in 1 2; do timeout 120 "$work/venv/bin/python" "$work/run.py"; done

#!/usr/bin/env bash
# A transition of Pipecat Flows is lost when another tool of the same answer is still running.
#
# The guess that fails: a model may call two tools in one answer. One looks something up, the other
# moves the conversation to its next node. Flows waits until both are done, and then moves. It does
# wait: `_check_and_execute_transition` asks whether any call is in progress. But it is asked only
# when the function that moves has ended. Nobody asks again when the slower tool ends.
#
# What happens: the model is told that its call succeeded, the node stays as it was, nothing is
# logged above DEBUG. The same two tools the other way round (the one that moves ends last) work.
#
# pipecat-ai 1.14.0. Output seen:
#   the lookup ends last: node start, model told {"status": "acknowledged"}
#   the lookup ends first: node end, model told {"status": "acknowledged"}
#
# What to do: let a function that moves wait for the others (`cancel_on_interruption` does not help),
# or look at the node after each answer and take the step that was acknowledged.
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
from pipecat.flows import FlowManager, NodeConfig
from pipecat.frames.frames import LLMRunFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
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
            for i, name in enumerate(("look_up", "move_on"))
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


async def call(lookup_secs: float, moving_secs: float) -> tuple[str, str]:
    asked.clear()

    async def look_up(flow_manager: FlowManager) -> tuple[dict, None]:
        """Look something up."""
        await asyncio.sleep(lookup_secs)
        return {"found": "it"}, None

    async def move_on(flow_manager: FlowManager) -> tuple[None, NodeConfig]:
        """Go on."""
        await asyncio.sleep(moving_secs)
        return None, node("end")

    def node(name: str) -> NodeConfig:
        functions = [look_up, move_on] if name == "start" else []
        return {
            "name": name,
            "task_messages": [{"role": "user", "content": f"You are at {name}."}],
            "functions": functions,
        }

    app = web.Application()
    app.router.add_post("/v1/chat/completions", model)
    server = web.AppRunner(app)
    await server.setup()
    site = web.TCPSite(server, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]
    llm = OpenAILLMService(api_key="none", base_url=f"http://127.0.0.1:{port}/v1")
    context = LLMContext()
    aggregators = LLMContextAggregatorPair(context)
    worker = PipelineWorker(Pipeline([aggregators.user(), llm, aggregators.assistant()]))
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    flow = FlowManager(worker=worker, llm=llm, context_aggregator=aggregators)
    running = asyncio.create_task(runner.run())
    await flow.initialize(node("start"))
    await asyncio.sleep(4)
    told = next(m["content"] for m in context.get_messages()
                if m.get("tool_call_id") == "call-1")
    await worker.cancel()
    await running
    await server.cleanup()
    return str(flow.current_node), told


async def main() -> None:
    seen = []
    for how, lookup_secs, moving_secs in (("last", 1.0, 0.0), ("first", 0.0, 1.0)):
        at, told = await call(lookup_secs, moving_secs)
        seen.append((at, told))
        print(f"the lookup ends {how}: node {at}, model told {told}")
    success = '{"status": "acknowledged"}'
    sys.exit(seen != [("start", success), ("end", success)])


asyncio.run(asyncio.wait_for(main(), 60))
PYTHON
for run in 1 2; do timeout 120 "$work/venv/bin/python" "$work/run.py"; done

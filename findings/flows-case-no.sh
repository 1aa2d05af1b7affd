#!/usr/bin/env bash
# In the YAML of Pipecat Flows, the case `no:` is never taken, nor is `10:30:`, though `09:30:` is.
#
# The guess that fails: `cases:` compare as strings. Pipecat takes care of that: keys may be strings,
# booleans or numbers, it brings `true:`, "True" and Python's True together, and its editor shows an
# arrow for each case. So a tool whose result says "no" goes where `no:` leads.
#
# What happens: Pipecat reads YAML 1.1, in which a bare `no` (or `off`) is False and a bare `yes` (`on`)
# is True, and 10:30 is a number to the base of 60. They become the cases "false", "true" and "630",
# which the results "no" and "10:30" are compared with in vain; `09:30` is no such number, since it
# begins with a 0, and stays what it is. `si:` works, so that a flow in Spanish loses one of its two
# answers. The call stays in its node, the model is told that all went well, and the log says it at
# DEBUG only. JavaScript's `yaml`, which the editor reads with, follows YAML 1.2 and sees the words.
#
# pipecat-ai 1.14.0, yaml 2.9.1 for Node. Output seen:
#   read by the editor's parser: si, no, 09:30, 10:30
#   read by Pipecat: si, false, 09:30, 630
#   the tool says si: goes to booked
#   the tool says no: stays in ask
#   the tool says 09:30: goes to booked
#   the tool says 10:30: stays in ask
#
# What to do: put every case in quotes, and give each branch a `default`.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet 'uv==0.13.9'
"$work/venv/bin/uv" pip install --quiet --python "$work/venv" --exclude-newer 2026-11-20 \
  'pipecat-ai[openai]==1.14.0' 'aiohttp==3.14.5'
cd "$work"
echo '{"type": "module"}' > package.json
npm install --silent --no-audit --no-fund 'yaml@2.9.1'

cat > flow.yaml <<'YAML'
initial_node: ask
nodes:
  ask:
    task_messages: [{role: developer, content: Offer a time.}]
    functions:
      - name: answered
        transition_to:
          field: answer
          cases:
            si: booked
            no: another_day
            09:30: booked
            10:30: booked
  booked:
    task_messages: [{role: developer, content: Confirm.}]
  another_day:
    task_messages: [{role: developer, content: Offer another day.}]
YAML

cat > editor.js <<'JS'
import { readFileSync } from "node:fs";
import { parse } from "yaml";

const { cases } = parse(readFileSync("flow.yaml", "utf8")).nodes.ask.functions[0].transition_to;
const read = Object.keys(cases).join(", ");
console.log(`read by the editor's parser: ${read}`);
process.exit(read === "si, no, 09:30, 10:30" ? 0 : 1);
JS

cat > run.py <<'PYTHON'
import asyncio
import json
import sys

from aiohttp import web
from loguru import logger
from pipecat.flows import TRANSITION_IN_YAML, Flow, FlowConfig, FlowManager
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.services.openai.llm import OpenAILLMService
from pipecat.workers.runner import WorkerRunner

logger.remove()
logger.add(sys.stderr, level="INFO", filter=lambda record: "flows" in record["name"])
CONFIG = FlowConfig.from_file("flow.yaml")


async def answered(flow_manager: FlowManager, answer: str) -> tuple[dict, str]:
    """What the person answered."""
    return {"answer": answer}, TRANSITION_IN_YAML


async def goes_to(answer: str) -> str:
    """The node that a call is in after the tool said this."""
    asked = 0

    async def model(request: web.Request) -> web.StreamResponse:
        """A model: its first answer calls the tool, every later one is a word."""
        nonlocal asked
        asked += 1
        arguments = json.dumps({"answer": answer})
        call = {"index": 0, "id": "call-1", "type": "function",
                "function": {"name": "answered", "arguments": arguments}}
        delta = {"tool_calls": [call]} if asked == 1 else {"content": "Ok."}
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for part, reason in ((delta, None), ({}, "tool_calls" if asked == 1 else "stop")):
            choice = {"index": 0, "delta": part, "finish_reason": reason}
            chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m",
                     "choices": [choice]}
            await response.write(f"data: {json.dumps(chunk)}\n\n".encode())
        await response.write(b"data: [DONE]\n\n")
        return response

    app = web.Application()
    app.router.add_post("/v1/chat/completions", model)
    server = web.AppRunner(app)
    await server.setup()
    site = web.TCPSite(server, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]
    llm = OpenAILLMService(api_key="none", base_url=f"http://127.0.0.1:{port}/v1")
    aggregators = LLMContextAggregatorPair(LLMContext())
    worker = PipelineWorker(Pipeline([aggregators.user(), llm, aggregators.assistant()]))
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    running = asyncio.create_task(runner.run())
    flow = Flow(CONFIG, handlers={"answered": answered})
    manager = FlowManager(worker=worker, llm=llm, context_aggregator=aggregators)
    await manager.initialize(flow.initial_node)
    while asked < 2:
        await asyncio.sleep(0.1)
    await asyncio.sleep(1)
    node = str(manager.current_node)
    await worker.cancel()
    await running
    await server.cleanup()
    return node


async def main() -> None:
    cases = CONFIG.nodes["ask"].functions[0].transition_to.cases
    print(f"read by Pipecat: {', '.join(cases)}")
    nodes = []
    for answer in ("si", "no", "09:30", "10:30"):
        nodes.append(await goes_to(answer))
        print(f"the tool says {answer}: {'stays in' if nodes[-1] == 'ask' else 'goes to'} {nodes[-1]}")
    sys.exit(nodes != ["booked", "ask", "booked", "ask"])


asyncio.run(asyncio.wait_for(main(), 60))
PYTHON
for run in 1 2; do
  node editor.js
  timeout 120 "$work/venv/bin/python" run.py
done

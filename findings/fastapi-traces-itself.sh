#!/usr/bin/env bash
# FastAPI traces itself as soon as a process has a tracer provider, and takes one's own spans along.
#
# The guess that fails: OpenTelemetry sees of a FastAPI application what one instruments, by
# `opentelemetry-instrumentation-fastapi` or by spans of one's own. So `trace.set_tracer_provider(...)` for a
# library's spans, such as Pipecat's `enable_tracing=True`, sends these and no others.
#
# What happens: FastAPI makes spans of each request, with nothing installed or called, when a global
# provider is set. And a task that a request starts, which goes on after the answer, inherits the
# request's span: what is traced in it, such as a whole call, becomes a child of `POST /offer` and has
# its trace id.
#
# fastapi 0.165.0, opentelemetry-sdk 1.45.2. Output seen:
#   spans that nobody asked for: POST /offer, fastapi.dependencies, fastapi.endpoint, fastapi.serialization
#   the task's span is a child of the request: True
#
# What to do: hand on only the spans of the scopes that are wanted (`span.instrumentation_scope.name`), and
# begin the task with `opentelemetry.context.attach(Context())`.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet 'uv==0.13.9'
"$work/venv/bin/uv" pip install --quiet --python "$work/venv" --exclude-newer 2026-11-20 \
  'fastapi==0.165.0' 'opentelemetry-sdk==1.45.2' httpx

cat > "$work/run.py" <<'PYTHON'
import asyncio

import httpx
from fastapi import FastAPI
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

spans = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(spans))
trace.set_tracer_provider(provider)

app = FastAPI()
tasks: list[asyncio.Task[None]] = []


async def work() -> None:
    # Long after the request was answered.
    await asyncio.sleep(0.2)
    with trace.get_tracer("mine").start_as_current_span("conversation"):
        pass


@app.post("/offer")
async def offer() -> str:
    tasks.append(asyncio.create_task(work()))
    return "ok"


async def main() -> None:
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://test"
    ) as client:
        await client.post("/offer")
    await asyncio.gather(*tasks)
    finished = spans.get_finished_spans()
    names = sorted({span.name for span in finished} - {"conversation"})
    print("spans that nobody asked for:", ", ".join(names))
    (mine,) = [span for span in finished if span.name == "conversation"]
    print("the task's span is a child of the request:", mine.parent is not None)


asyncio.run(main())
PYTHON

for _ in 1 2; do
  seen=$("$work/venv/bin/python" "$work/run.py")
  echo "$seen"
  grep -q "fastapi.endpoint" <<< "$seen"
  grep -q "child of the request: True" <<< "$seen"
done

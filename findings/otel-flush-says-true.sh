#!/usr/bin/env bash
# OpenTelemetry's `force_flush` says True for spans that nobody has got, and heeds no time limit.
#
# The guess that fails: `provider.force_flush(timeout_millis=200)` at the end of a call or a process
# returns within 0.2 s, True where everything was exported, and False where it was not or time ran out.
# So its documentation has it. Spans that could not be sent stay in the queue for the next attempt.
#
# What happens: `BatchSpanProcessor` does not look at the limit. It exports on the thread that called,
# the event loop's where a coroutine calls it, for as long as the exporter tries: up to that one's own
# `timeout`, 10 s unless it is set. What the exporter answers is not looked at either, and the spans
# are gone. It says False only after a shutdown. So a voice bot that flushes at the end of each call
# is mute in all the others while its collector hangs, and whoever checks the result sees nothing.
#
# opentelemetry-sdk and -exporter-otlp-proto-http 1.45.2, an exporter with `timeout=3`. Output seen, of
# `force_flush(timeout_millis=200)` and one span:
#   the collector takes them: True after 0.0 s, spans that arrive: 1
#   the collector refuses them: True after 0.0 s, spans that arrive: 0
#   the collector does not answer: True after 3.0 s, spans that arrive: 0
#
# What to do: call it by `asyncio.to_thread` with a limit of one's own, and give the exporter a short
# `timeout`. Whether spans arrive is told by the exporter's own `export`, in a class derived from it.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet 'uv==0.13.9'
"$work/venv/bin/uv" pip install --quiet --python "$work/venv" --exclude-newer 2026-11-20 \
  'opentelemetry-sdk==1.45.2' 'opentelemetry-exporter-otlp-proto-http==1.45.2'

cat > "$work/run.py" <<'PYTHON'
import logging
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

# The exporter's line in the log is all that tells of the loss.
logging.disable(logging.CRITICAL)


class Collector(BaseHTTPRequestHandler):
    """Takes spans, refuses them, or does not answer."""

    does, taken = "takes them", 0

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        if Collector.does == "does not answer":
            time.sleep(10)
            return
        takes = Collector.does == "takes them"
        Collector.taken += takes
        self.send_response(200 if takes else 401)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


def flushed(url: str, does: str) -> tuple[bool, float, int]:
    """What a flush says, how long it takes, and how many spans of one arrive, by and by."""
    Collector.does, Collector.taken = does, 0
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=url, timeout=3)))
    provider.get_tracer("call").start_span("call").end()
    began = time.monotonic()
    says = provider.force_flush(timeout_millis=200)
    secs = time.monotonic() - began
    Collector.does = "takes them"  # it is back
    provider.force_flush()
    provider.shutdown()
    return says, secs, Collector.taken


server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_address[1]}/v1/traces"
seen = []
for does in ("takes them", "refuses them", "does not answer"):
    says, secs, taken = flushed(url, does)
    seen.append((says, secs > 2, taken))
    print(f"the collector {does}: {says} after {secs:.1f} s, spans that arrive: {taken}")
server.shutdown()
sys.exit(seen != [(True, False, 1), (True, False, 0), (True, True, 0)])
PYTHON
for run in 1 2; do "$work/venv/bin/python" "$work/run.py"; done

"""An OpenTelemetry collector on loopback, which keeps the spans that are sent to it."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import web


@dataclass(frozen=True)
class CollectedSpan:
    """A span as it came over the wire."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    attributes: dict[str, Any]
    events: int


class Collector:
    """Takes OTLP over HTTP.

    Attributes:
        url: Where spans are sent.
        spans: Those that came.
    """

    def __init__(self) -> None:
        self.url = ""
        self.spans: list[CollectedSpan] = []
        self.raw = b""
        self._came = asyncio.Event()

    async def take(self, request: web.Request) -> web.Response:
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
            ExportTraceServiceRequest,
        )

        body = await request.read()
        if request.headers.get("content-encoding") == "gzip":
            import gzip

            body = gzip.decompress(body)
        self.raw += body
        sent = ExportTraceServiceRequest.FromString(body)
        for resource in sent.resource_spans:
            for scope in resource.scope_spans:
                self.spans += [_span(each) for each in scope.spans]
        self._came.set()
        return web.Response(body=b"", content_type="application/x-protobuf")

    async def until(self, names: set[str], *, timeout_secs: float) -> list[CollectedSpan]:
        """The spans so far, once there is one of each of these names."""
        async with asyncio.timeout(timeout_secs):
            while not names <= {span.name for span in self.spans}:
                self._came.clear()
                await self._came.wait()
        return self.spans


def _span(span: Any) -> CollectedSpan:
    return CollectedSpan(
        name=span.name,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        attributes={
            each.key: getattr(each.value, each.value.WhichOneof("value"))
            for each in span.attributes
        },
        events=len(span.events),
    )


@asynccontextmanager
async def trace_collector() -> AsyncGenerator[Collector]:
    """A collector that is there for a while."""
    collector = Collector()
    site = web.Application()
    site.router.add_post("/v1/traces", collector.take)
    runner = web.AppRunner(site, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        collector.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1/traces"
        yield collector
    finally:
        await runner.cleanup()

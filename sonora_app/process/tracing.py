"""Traces of calls by OpenTelemetry: Pipecat's own spans, with the call's ids and without its words.

Pipecat puts what was said, and what the model was told, into every span. Where no setting allows
that, only the attributes that are listed here are sent: whatever a later version adds is not.
"""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sonora_app.call.measuring.traced import span_began
from sonora_app.settings import Settings
from sonora_app.settings.extras import require_tracing

if TYPE_CHECKING:
    # Not needed where nothing is traced.
    from opentelemetry.sdk.trace.export import SpanExporter

_WORDLESS = re.compile(
    r"""
    conversation\.(id|type) | turn\..+ | sonora\..+ | metrics\..+
    | gen_ai\.(provider\.name | operation\.name | output\.type | usage\..+)
    | gen_ai\.request\.(model|temperature|max_tokens|max_completion_tokens|top_p|seed)
    | settings\.(model|language|voice) | voice_id | language | is_final | vad_enabled | stream
    | tool_count | stt\.incomplete | tts\.interrupted
    """,
    re.VERBOSE,
)
"""The attributes that hold no words."""


def start_tracing(settings: Settings) -> None:
    """Send the spans of this process's calls, where the settings name an address. Once.

    Raises:
        SettingsError: The extra `tracing` is not installed.
    """
    if not settings.traces_url:
        return
    require_tracing(settings)
    from opentelemetry import trace
    from opentelemetry.context import Context
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import Span, SpanProcessor, TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    from sonora_app import __version__

    class CallIds(SpanProcessor):
        """Has each span get the ids of its call."""

        def on_start(self, span: Span, parent_context: Context | None = None) -> None:
            span_began(span)

    exporter = of_calls(OTLPSpanExporter(endpoint=settings.traces_url), words=settings.traces_words)
    provider = TracerProvider(
        resource=Resource.create({"service.name": "sonora", "service.version": __version__})
    )
    provider.add_span_processor(CallIds())
    # Sends them in batches, from a thread of its own; what cannot be sent is dropped.
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)


def of_calls(exporter: "SpanExporter", *, words: bool) -> "SpanExporter":
    """What hands on Pipecat's spans alone: FastAPI makes some of each request, once it can.

    Args:
        exporter: What they are handed to.
        words: Whether they keep what may hold words.
    """
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
    from opentelemetry.trace import Status

    def bare(span: ReadableSpan) -> ReadableSpan:
        kept = {
            name: value
            for name, value in (span.attributes or {}).items()
            if _WORDLESS.fullmatch(name)
        }
        return ReadableSpan(
            name=span.name,
            context=span.context,
            parent=span.parent,
            resource=span.resource,
            attributes=kept,
            # Errors are events, and may quote what was sent.
            events=(),
            links=span.links,
            kind=span.kind,
            status=Status(span.status.status_code),
            start_time=span.start_time,
            end_time=span.end_time,
            instrumentation_scope=span.instrumentation_scope,
        )

    def is_of_call(span: ReadableSpan) -> bool:
        scope = span.instrumentation_scope
        return scope is not None and scope.name.startswith("pipecat")

    class OfCalls(SpanExporter):
        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            those = [span if words else bare(span) for span in spans if is_of_call(span)]
            return exporter.export(those) if those else SpanExportResult.SUCCESS

        def shutdown(self) -> None:
            exporter.shutdown()

        def force_flush(self, timeout_millis: int = 30_000) -> bool:
            return exporter.force_flush(timeout_millis)

    return OfCalls()

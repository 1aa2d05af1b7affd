"""The figures of this process for Prometheus: its calls, and what those that ended came to."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from sonora_app.process.calls import calls

if TYPE_CHECKING:
    # Not needed where nobody asks for figures.
    from sonora_app.call.keeping import KeptCall

_WAITS_SECS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 5.0)
"""Up to where waits are counted together, in seconds."""


class ProcessMetrics:
    """What is counted from the start of the process. Prometheus adds up several processes."""

    def __init__(self) -> None:
        """Count from nothing."""
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)

        def counter(name: str, told: str, *labels: str) -> Counter:
            return Counter(f"sonora_{name}", told, labels, registry=registry)

        held = Gauge("sonora_calls_in_progress", "Calls that go on.", registry=registry)
        held.set_function(lambda: len(calls))
        limit = Gauge("sonora_calls_limit", "Calls that are held at a time.", registry=registry)
        limit.set_function(lambda: calls.limit)
        self._ended = counter("calls", "Calls that ended, by why.", "end_reason")
        self._waits = Histogram(
            "sonora_answer_wait_seconds",
            "From where the user fell silent until the answer was heard.",
            registry=registry,
            buckets=_WAITS_SECS,
        )
        self._turns_cut = counter("turns_cut", "Turns that were cut in two.")
        self._early = counter("early_answers", "Answers begun before a turn was over.")
        self._withdrawn = counter("early_answers_withdrawn", "Of those, the ones for nothing.")
        self._failures = counter("failures", "What the page was told of that failed.", "kind")
        self._tokens = counter("tokens", "Tokens.", "provider", "model", "kind")
        self._audio = counter("audio_seconds", "Sound recognised.", "provider", "model")
        self._characters = counter("characters", "Characters spoken.", "provider", "model")
        self._cost = counter("known_cost", "What is known of what calls cost.", "currency")
        self._cost_unknown = counter(
            "calls_of_unknown_cost", "Calls of which it is not known whole."
        )

    def count(self, call: "KeptCall") -> None:
        """Count a call that has ended."""
        metrics = call.metrics
        self._ended.labels(call.reason.value).inc()
        for wait in metrics.get("waits_ms", ()):
            self._waits.observe(wait / 1000)
        self._turns_cut.inc(metrics["turns_cut"])
        self._early.inc(metrics["early_answers"])
        self._withdrawn.inc(metrics["early_answers_withdrawn"])
        for kind, times in metrics["failures"].items():
            self._failures.labels(kind).inc(times)
        for used in cast(list[Mapping[str, Any]], metrics["usage"]):
            model = (used["provider"], used.get("model", ""))
            if used["part"] == "stt":
                self._audio.labels(*model).inc(used["audio_secs"])
            elif used["part"] == "tts":
                self._characters.labels(*model).inc(used["characters"])
            else:
                for kind in ("prompt_tokens", "cached_tokens", "completion_tokens"):
                    self._tokens.labels(*model, kind).inc(used[kind])
        cost = metrics["cost"]
        self._cost.labels(cost["currency"]).inc(cost["known"])
        self._cost_unknown.inc(cost["total"] is None)


_metrics: ProcessMetrics | None = None


def metrics_page() -> ASGIApp:
    """What answers with the figures, which are counted from here on. Needs the extra `metrics`."""
    global _metrics
    counted = _metrics = ProcessMetrics()
    from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        figures = Response(generate_latest(counted.registry), media_type=CONTENT_TYPE_LATEST)
        await figures(scope, receive, send)

    return page


def count_call(call: "KeptCall | None") -> None:
    """Count a call that has ended, where figures are asked for; None had no conversation."""
    if _metrics is not None and call is not None:
        _metrics.count(call)

"""What settings need that only an extra of the installation brings."""

from importlib.util import find_spec

from sonora_app.errors import SettingsError
from sonora_app.settings.settings import Settings
from sonora_app.wording.translation import worded


def require_tracing(settings: Settings) -> None:
    """Make sure that traces can be sent, where an address for them is set.

    Raises:
        SettingsError: The extra `tracing` is not installed.
    """
    if settings.traces_url and not _there("opentelemetry.exporter.otlp.proto.http"):
        raise SettingsError(
            worded("SONORA_TRACES_URL needs the extra `tracing`, which is not installed."),
            hint=worded("Run `uv sync --extra tracing`, or unset SONORA_TRACES_URL."),
        )


def require_metrics(settings: Settings) -> None:
    """Make sure that figures can be given to Prometheus, where a setting says so.

    Raises:
        SettingsError: The extra `metrics` is not installed.
    """
    if settings.metrics and not _there("prometheus_client"):
        raise SettingsError(
            worded("SONORA_METRICS needs the extra `metrics`, which is not installed."),
            hint=worded("Run `uv sync --extra metrics`, or unset SONORA_METRICS."),
        )


def _there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # a package above it
        return False

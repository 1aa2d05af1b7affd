"""The settings of what is told of calls: where their reports go, and what vendors ask for."""

import base64
import binascii
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator
from pydantic_core import PydanticCustomError

from sonora_app.errors import SettingsError
from sonora_app.settings.addresses import is_on_this_machine
from sonora_app.settings.environment import EnvironmentSettings
from sonora_app.wording.translation import worded

_SECRET = "whsec_"  # noqa: S105  # what a secret of Standard Webhooks begins with
_SECRET_BYTES = range(24, 65)


class ReportSettings(EnvironmentSettings):
    """Reports, figures and traces of calls."""

    prices_file: Path | None = Field(
        None,
        validation_alias="SONORA_PRICES",
        description="A price list of your own, of the form of `sonora_app/reports/prices.yaml`. It "
        "counts before that one. See [operations.md](operations.md).",
    )
    report_url: str = Field(
        "",
        validation_alias="SONORA_REPORT_URL",
        description="Where the report of each call is sent when it has ended (`https://`, or an "
        "address of this machine). Empty: nowhere. See [operations.md](operations.md).",
    )
    report_secret: SecretStr | None = Field(
        None,
        validation_alias="SONORA_REPORT_SECRET",
        description="What those reports are signed with: `whsec_` and 24 to 64 bytes in base64.",
    )
    report_words: bool = Field(
        False,
        validation_alias="SONORA_REPORT_WORDS",
        description="Whether what was said is in those reports: the words of the turns, title, "
        "summary, and what functions and tools were given and answered.",
    )

    metrics: bool = Field(
        False,
        validation_alias="SONORA_METRICS",
        description="Whether the development runner tells Prometheus the figures of its process: "
        "at `/metrics`, to this machine alone. Needs the extra `metrics`. See "
        "[operations.md](operations.md).",
    )
    traces_url: str = Field(
        "",
        validation_alias="SONORA_TRACES_URL",
        description="Where the traces of calls are sent: the whole address of an OpenTelemetry "
        "collector for OTLP over HTTP, such as `http://127.0.0.1:4318/v1/traces`. Empty: nowhere. "
        "Needs the extra `tracing`. See [operations.md](operations.md).",
    )
    traces_words: bool = Field(
        False,
        validation_alias="SONORA_TRACES_WORDS",
        description="Whether what was said, and what the model was told, is in those traces.",
    )

    @field_validator("traces_url")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        if value and not value.startswith(("https://", "http://")):
            raise PydanticCustomError("address", "not the whole address of a collector")
        return value

    @field_validator("report_url")
    @classmethod
    def _is_safe(cls, value: str) -> str:
        if value and not _is_address(value):
            raise PydanticCustomError("address", "neither https:// nor an address of this machine")
        return value

    @field_validator("report_secret")
    @classmethod
    def _is_a_key(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(_key(value)) not in _SECRET_BYTES:
            raise PydanticCustomError("secret", "not whsec_ and 24 to 64 bytes in base64")
        return value

    @property
    def report_key(self) -> bytes:
        """What reports are signed with; empty where there is none."""
        return b"" if self.report_secret is None else _key(self.report_secret)

    @property
    def sends_reports(self) -> bool:
        """Whether the report of each call is sent anywhere.

        Raises:
            SettingsError: An address is set without a secret.
        """
        if not self.report_url:
            return False
        if self.report_secret is None:
            raise SettingsError(
                worded("SONORA_REPORT_URL is set, but SONORA_REPORT_SECRET is not."),
                hint=worded(
                    "Set it to whsec_ and 24 to 64 random bytes in base64; docs/operations.md says "
                    "how to make one."
                ),
            )
        return True


def _is_address(url: str) -> bool:
    """Whether reports can be sent there, and nobody on the way can read them."""
    # Here: only whoever sends reports needs it.
    import httpx

    try:
        # What `urlsplit` passes over, such as a line's end, httpx refuses.
        parts = urlsplit(str(httpx.URL(url)))
    except (ValueError, httpx.InvalidURL):
        return False
    local = parts.scheme == "http" and is_on_this_machine(url)
    return bool(parts.hostname) and (parts.scheme == "https" or local)


def _key(secret: SecretStr) -> bytes:
    try:
        return base64.b64decode(secret.get_secret_value().removeprefix(_SECRET), validate=True)
    except binascii.Error:
        return b""

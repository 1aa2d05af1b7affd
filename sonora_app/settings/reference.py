"""The settings written out: as the page `docs/settings.md` and as the file `.env.example`."""

import re
import textwrap
from collections.abc import Iterator

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from sonora_app.settings.environment import names
from sonora_app.settings.local import LocalSettings
from sonora_app.settings.process import ProcessSettings
from sonora_app.settings.reports import ReportSettings
from sonora_app.settings.settings import Settings
from sonora_app.settings.storage import StorageSettings
from sonora_app.settings.talk import TalkSettings
from sonora_app.settings.vendors import VendorSettings

SECTIONS: tuple[type[BaseModel], ...] = (
    VendorSettings,
    LocalSettings,
    StorageSettings,
    TalkSettings,
    ReportSettings,
    ProcessSettings,
)
"""The groups of settings, in the order in which they are told. Each docstring is a heading."""

_TO_FILL_IN = ("DEEPGRAM_API_KEY", "OPENAI_API_KEY", "CARTESIA_API_KEY")

_WIDTH = 100

_LINK = re.compile(r"\[([a-z]+\.md)\]\(\1\)")

_MARKDOWN_HEAD = """\
# Settings

Sonora reads its settings from environment variables and, on your machine, from the file `.env` in
the folder that it is started in. A variable of the environment wins over `.env`. Where two names
are given for one setting, the first that is set counts. Durations are in seconds. To begin, copy
`.env.example`, which lists the same settings, to `.env`.

`uv run sonora doctor` says which settings cannot be used, and why. This page is written by
`uv run sonora settings --output docs/settings.md`; the descriptions are in `sonora_app/settings/`.
"""

_ENV_HEAD = """\
# Sonora's settings. Copy this file to .env, which git and the image leave out.
# A line that is commented out shows the default. Locally nothing has to be set: each vendor
# without a key is replaced by a stand-in. Durations are in seconds.
# Written by: uv run sonora settings --format env --output .env.example
"""


def default(field: FieldInfo) -> str:
    """A setting's default as one would write it; empty where there is none."""
    if field.default is None:
        return ""
    return f"{field.default:g}" if isinstance(field.default, float) else str(field.default)


def settings() -> dict[str, FieldInfo]:
    """Every setting that has a name in the environment, by its name in `Settings`."""
    return {
        name: field
        for name, field in Settings.model_fields.items()
        if field.validation_alias is not None
    }


def as_markdown() -> str:
    """The page about the settings: a table for each group."""
    parts = [_MARKDOWN_HEAD]
    for section in SECTIONS:
        rows = [
            f"| {', '.join(f'`{name}`' for name in names(field))} "
            f"| {f'`{value}`' if (value := default(field)) else 'none'} "
            f"| {field.description} |"
            for field in _of(section)
        ]
        head = f"## {_heading(section)}\n\n| variable | default | what it sets |\n|---|---|---|"
        parts.append("\n".join([head, *rows]) + "\n")
    return "\n".join(parts)


def as_env() -> str:
    """The file to copy to `.env`: every setting under its description, with its default."""
    parts = [_ENV_HEAD]
    for section in SECTIONS:
        lines = [f"# --- {_heading(section)}"]
        for field in _of(section):
            name, *others = names(field)
            also = f" {' and '.join(others)} {_are(others)} read too." if others else ""
            told = f"{_without_markup(field.description or '')}{also}"
            lines += ["", *textwrap.wrap(told, _WIDTH, initial_indent="# ", subsequent_indent="# ")]
            off = "" if name in _TO_FILL_IN else "# "
            lines.append(f"{off}{name}={default(field)}")
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def _of(section: type[BaseModel]) -> Iterator[FieldInfo]:
    return (field for name, field in settings().items() if name in section.__annotations__)


def _heading(section: type[BaseModel]) -> str:
    return (section.__doc__ or "").rstrip(".")


def _are(others: list[str]) -> str:
    return "is" if len(others) == 1 else "are"


def _without_markup(text: str) -> str:
    return _LINK.sub(r"docs/\1", text.replace("`", ""))

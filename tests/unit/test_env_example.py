"""`.env.example` and the settings say the same."""

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from pydantic import AliasChoices
from pydantic.fields import FieldInfo

from sonora_app.settings import Settings

pytestmark = pytest.mark.unit

EXAMPLE = Path(__file__).resolve().parents[2] / ".env.example"
ASSIGNMENT = re.compile(r"^(?P<off># )?(?P<name>[A-Z][A-Z0-9_]*)=(?P<value>.*)$")


def variables(field: FieldInfo) -> list[str]:
    """The environment variables of a setting, the one to use first."""
    alias = field.validation_alias
    assert alias is not None
    return (
        [str(name) for name in alias.choices] if isinstance(alias, AliasChoices) else [str(alias)]
    )


def default(field: FieldInfo) -> str:
    """A setting's default as one would write it."""
    if field.default is None:
        return ""
    return f"{field.default:g}" if isinstance(field.default, float) else str(field.default)


def assignments() -> Iterator[re.Match[str]]:
    """The lines that set something, commented out or not."""
    for line in EXAMPLE.read_text("utf-8").splitlines():
        if match := ASSIGNMENT.match(line):
            yield match


def test_it_names_each_setting_once_with_its_default() -> None:
    named = [(match["name"], match["value"]) for match in assignments()]
    settings = {variables(field)[0]: default(field) for field in Settings.model_fields.values()}

    assert len(named) == len(dict(named))
    assert dict(named) == settings


def test_it_tells_the_other_names_of_a_setting() -> None:
    text = EXAMPLE.read_text("utf-8")

    for field in Settings.model_fields.values():
        for other in variables(field)[1:]:
            assert re.search(rf"\b{other}\b", text)


def test_only_keys_are_there_to_be_filled_in() -> None:
    live = {match["name"] for match in assignments() if not match["off"]}

    assert live == {"DEEPGRAM_API_KEY", "OPENAI_API_KEY", "CARTESIA_API_KEY"}


def test_each_setting_is_explained_right_above_it() -> None:
    lines = EXAMPLE.read_text("utf-8").splitlines()

    for above, line in pairwise(lines):
        if ASSIGNMENT.match(line):
            assert above.startswith("# "), line
            assert not ASSIGNMENT.match(above), line


def test_copied_as_it_is_it_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for field in Settings.model_fields.values():
        for variable in variables(field):
            monkeypatch.delenv(variable, raising=False)
    monkeypatch.chdir(tmp_path)
    bare = Settings()  # pyright: ignore[reportCallIssue]
    (tmp_path / ".env").write_text(EXAMPLE.read_text("utf-8"), "utf-8")

    assert Settings() == bare  # pyright: ignore[reportCallIssue]

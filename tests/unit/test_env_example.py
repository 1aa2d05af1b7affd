"""`.env.example` and the settings say the same."""

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from sonora_app.settings import Settings
from sonora_app.settings.environment import names
from sonora_app.settings.reference import as_env, default, settings

pytestmark = pytest.mark.unit

EXAMPLE = Path(__file__).resolve().parents[2] / ".env.example"
ASSIGNMENT = re.compile(r"^(?P<off># )?(?P<name>[A-Z][A-Z0-9_]*)=(?P<value>.*)$")


def assignments() -> Iterator[re.Match[str]]:
    """The lines that set something, commented out or not."""
    for line in EXAMPLE.read_text("utf-8").splitlines():
        if match := ASSIGNMENT.match(line):
            yield match


def test_it_is_what_the_settings_write() -> None:
    assert EXAMPLE.read_text("utf-8") == as_env()


def test_it_names_each_setting_once_with_its_default() -> None:
    named = [(match["name"], match["value"]) for match in assignments()]
    known = {names(field)[0]: default(field) for field in settings().values()}

    assert len(named) == len(dict(named))
    assert dict(named) == known


def test_it_tells_the_other_names_of_a_setting() -> None:
    text = EXAMPLE.read_text("utf-8")

    for field in settings().values():
        for other in names(field)[1:]:
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
    for field in settings().values():
        for variable in names(field):
            monkeypatch.delenv(variable, raising=False)
    monkeypatch.chdir(tmp_path)
    bare = Settings()  # pyright: ignore[reportCallIssue]
    (tmp_path / ".env").write_text(EXAMPLE.read_text("utf-8"), "utf-8")

    assert Settings() == bare  # pyright: ignore[reportCallIssue]

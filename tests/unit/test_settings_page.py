"""docs/settings.md and the settings say the same."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sonora_app.cli import app
from sonora_app.settings import Settings
from sonora_app.settings.environment import names
from sonora_app.settings.reference import SECTIONS, as_env, as_markdown, default, settings

pytestmark = pytest.mark.unit

PAGE = Path(__file__).resolve().parents[2] / "docs" / "settings.md"
ROW = re.compile(r"^\| (?P<names>`[A-Z].*?) \| (?P<default>.*?) \| (?P<told>.*) \|$", re.MULTILINE)


def test_the_page_is_what_the_settings_write() -> None:
    assert PAGE.read_text("utf-8") == as_markdown()


def test_each_setting_has_a_row_with_its_names_and_its_default() -> None:
    rows = {row["names"]: row["default"] for row in ROW.finditer(PAGE.read_text("utf-8"))}

    assert rows == {
        ", ".join(f"`{name}`" for name in names(field)): f"`{default(field)}`"
        if default(field)
        else "none"
        for field in settings().values()
    }


def test_each_setting_is_in_one_group_and_explained() -> None:
    grouped = [name for section in SECTIONS for name in section.__annotations__]

    assert sorted(name for name in grouped if name in settings()) == sorted(settings())
    for name, field in settings().items():
        assert field.description, name
        assert field.description.endswith("."), name
        assert "|" not in field.description, name


def test_the_wait_for_an_id_is_as_long_as_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SONORA_WAITING_SECS", raising=False)
    told = settings()["waiting_secs"].description or ""
    limits = [
        Settings(_env_file=None, env=env).waiting_limit_secs  # pyright: ignore[reportCallIssue]
        for env in ("local", "production")
    ]

    assert [float(number) for number in re.findall(r"\d+", told)] == limits


@pytest.mark.parametrize(("arguments", "expected"), [((), as_markdown()), (("env",), as_env())])
def test_the_command_writes_it(tmp_path: Path, arguments: tuple[str], expected: str) -> None:
    file = tmp_path / "written"
    given = ["settings", *(f"--format={value}" for value in arguments), "--output", str(file)]
    result = CliRunner().invoke(app, given)

    assert result.exit_code == 0, result.output
    assert file.read_text("utf-8") == expected

"""`sonora` alone, and its completion."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from simulators.clients.kept_journal import write_journal
from sonora_app import __version__
from sonora_app.cli import app

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A developer's machine without keys and without a journal."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ENV", "local")
    monkeypatch.setenv("SONORA_DATA_DIR", str(tmp_path / "data"))
    for name in ("DEEPGRAM_API_KEY", "OPENAI_API_KEY", "CARTESIA_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "data"


def test_it_says_what_one_can_do_next() -> None:
    result = CliRunner().invoke(app)

    assert result.exit_code == 0
    assert result.stdout.startswith(f"Sonora {__version__}\n")
    for command in ("bot.py", "sonora doctor", "sonora flow", "sonora --help"):
        assert f"\nuv run {command}" in result.stdout
    assert "no DEEPGRAM_API_KEY, OPENAI_API_KEY, CARTESIA_API_KEY." in result.stdout
    assert "conversations" not in result.stdout, "there is none to read"


def test_with_keys_and_conversations_it_says_so(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_journal(machine / "journal.db")
    for name in ("DEEPGRAM_API_KEY", "OPENAI_API_KEY", "CARTESIA_API_KEY"):
        monkeypatch.setenv(name, "a key")
    result = CliRunner().invoke(app)

    assert "Talk, at http://localhost:7860." in result.stdout
    assert "sonora conversations list" in result.stdout
    assert "2 kept" in result.stdout


def test_with_settings_that_cannot_be_used_it_sends_to_the_doctor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SONORA_IDLE_SECS", "soon")
    result = CliRunner().invoke(app)

    assert result.exit_code == 0
    assert "sonora doctor" in result.stdout
    assert "bot.py" not in result.stdout


def test_an_unknown_command_is_2() -> None:
    result = CliRunner().invoke(app, ["converse"])

    assert (result.exit_code, result.stdout) == (2, "")
    assert "converse" in result.stderr


def completed(*typed: str) -> list[str]:
    """What bash is offered for the last word, with what `sonora --install-completion` installs."""
    asked = {
        "_SONORA_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(("sonora", *typed)),
        "COMP_CWORD": str(len(typed)),
    }
    command = [sys.executable, "-m", "sonora_app.cli"]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, env=os.environ | asked
    )
    assert done.stderr == ""
    return done.stdout.split()


def test_the_shell_completes_its_commands() -> None:
    assert {"list", "show", "export"} <= set(completed("conversations", ""))


def test_the_shell_completes_conversations(machine: Path) -> None:
    assert completed("conversations", "show", "") == [], "there is none yet"
    kept = write_journal(machine / "journal.db")

    short = [str(kept.talk)[-8:], str(kept.other)[-8:]]
    assert completed("conversations", "show", "") == short
    assert completed("conversations", "show", short[0][:5]) == short[:1]
    assert completed("conversations", "delete", str(kept.other)[:-1]) == [str(kept.other)]
    assert completed("conversations", "show", "zz") == []

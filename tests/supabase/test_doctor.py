"""What `sonora doctor` and the bot's start say of a project, over Supabase's real API."""

import asyncio
import json
import socket
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from simulators.clients.bot_process import running_bot
from simulators.clients.logged import logged
from sonora_app.cli import app
from sonora_app.doctor import supabase_checks
from sonora_app.doctor.supabase_checks import report_schema
from sonora_app.settings import load_settings
from sonora_app.storage.journal.journal import Journal
from tests.supabase.lite import Lite, running_lite
from tests.supabase.schema import older_schema, schema_version
from tests.supabase.test_shipper_faults import Talk

pytestmark = pytest.mark.supabase


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A developer's machine without a `.env`; gives its journal."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ENV", "local")
    monkeypatch.setenv("SONORA_DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "data" / "journal.db"


@pytest.fixture(scope="module")
def empty() -> Generator[Lite]:
    with running_lite(()) as server:
        yield server


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Generator[Lite]:
    """A project of the text-chat API's."""
    file = tmp_path_factory.mktemp("older") / "20250101000000_chat.sql"
    file.write_text(older_schema(), encoding="utf-8")
    with running_lite([file]) as server:
        yield server


def use(monkeypatch: pytest.MonkeyPatch, server: Lite, key: str = "") -> None:
    monkeypatch.setenv("SUPABASE_URL", server.url)
    monkeypatch.setenv("SUPABASE_SECRET_KEY", key or server.secret_key)


def doctor() -> dict[str, Any]:
    """What it says, check by check."""
    result = CliRunner().invoke(app, ["doctor", "--json"])
    checks = {check["name"]: check for check in json.loads(result.stdout)["checks"]}
    problems = any(check["state"] == "problem" for check in checks.values())
    assert result.exit_code == problems
    return checks


def start() -> list[str]:
    """What the bot's start logs at ERROR."""
    with logged() as lines:
        asyncio.run(report_schema(load_settings()))
    return [line for line in lines if "| ERROR" in line]


def test_a_project_with_nothing(empty: Lite, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, empty)
    check = doctor()["Supabase"]
    assert check["state"] == "problem"
    assert check["found"] == "it has none of the tables that Sonora needs"
    assert "`supabase db push`" in check["advice"]
    (line,) = start()
    assert "`supabase db push`" in line


def test_a_project_with_only_the_older_tables(older: Lite, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, older)
    check = doctor()["Supabase"]
    assert check["state"] == "problem"
    assert check["found"] == "it has the tables of the text-chat API, and nothing of Sonora's yet"
    assert "`supabase db push`" in check["advice"]
    assert "rewrite no row" in check["advice"]
    (line,) = start()
    assert "`supabase db push`" in line


def test_a_project_with_an_earlier_schema(lite: Lite, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, lite)
    there = schema_version()
    monkeypatch.setattr(supabase_checks, "REQUIRED_SCHEMA", there + 1)
    check = doctor()["Supabase"]
    assert check["state"] == "problem"
    assert check["found"] == (
        f"its schema is {there}, and this version of Sonora needs {there + 1}"
    )
    assert "`supabase db push`" in check["advice"]
    assert len(start()) == 1


def test_a_project_with_the_current_schema(lite: Lite, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, lite)
    check = doctor()["Supabase"]
    assert (check["state"], check["advice"]) == ("ok", "")
    assert check["found"] == f"127.0.0.1, schema {schema_version()}"
    assert start() == []


@pytest.mark.parametrize("kind", ["wrong", "publishable"])
def test_a_key_that_is_none(lite: Lite, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    key = "sb_secret_wrong" if kind == "wrong" else lite.publishable_key
    use(monkeypatch, lite, key)
    check = doctor()["Supabase"]
    assert check["state"] == "problem"
    assert check["found"].startswith("Supabase does not accept the key")
    assert "SUPABASE_SECRET_KEY" in check["advice"]
    (line,) = start()
    assert "does not accept the key" in line
    assert key not in f"{check} {line}"


def test_a_project_that_does_not_answer(lite: Lite, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, lite)
    monkeypatch.setenv("SUPABASE_URL", "http://127.0.0.1:9")
    check = doctor()["Supabase"]
    assert check["state"] == "problem"
    assert "cannot be reached" in check["found"]
    assert "SUPABASE_URL" in check["advice"]
    assert start() == []


def test_what_waits_and_what_was_refused_is_shown(
    machine: Path, lite: Lite, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, lite)
    assert "Outbox" not in doctor()

    async def write() -> None:
        journal = await Journal.connect(machine, outbox=True)
        for batch in Talk().call(3):
            await journal.write(batch)
        entries = await journal.outbox.batch(100)
        await journal.outbox.settle([], {entries[2].position: "no"})
        await journal.aclose()

    asyncio.run(write())
    check = doctor()["Outbox"]
    assert check["state"] == "note"
    assert check["found"] == "9 records wait for Supabase, 1 were refused"
    assert "`uv run sonora sync list`" in check["advice"]
    # Also where it has nowhere to go any more.
    for name in ("SUPABASE_URL", "SUPABASE_SECRET_KEY"):
        monkeypatch.delenv(name)
    assert doctor()["Outbox"] == check


@pytest.mark.slow
def test_the_bot_says_so_at_its_start_and_serves(empty: Lite, tmp_path: Path) -> None:
    environment = {"SUPABASE_URL": empty.url, "SUPABASE_SECRET_KEY": empty.secret_key}
    with running_bot(tmp_path / "bot", **environment) as bot:
        deadline = time.monotonic() + 20
        while "supabase db push" not in bot.logged():
            assert time.monotonic() < deadline, bot.logged()
            time.sleep(0.1)
    (line,) = (line for line in bot.logged().splitlines() if "supabase db push" in line)
    assert "ERROR" in line


@pytest.mark.slow
def test_the_bot_does_not_wait_for_a_project_that_never_answers(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        environment = {
            "SUPABASE_URL": f"http://127.0.0.1:{server.getsockname()[1]}",
            "SUPABASE_SECRET_KEY": "sb_secret_none",
            "SONORA_SUPABASE_TIMEOUT_SECS": "300",
        }
        with running_bot(tmp_path / "bot", **environment) as bot:
            assert "ERROR" not in bot.logged()

"""`sonora sync`, over a journal that was really written, to Supabase's real API."""

import asyncio
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from loguru import logger
from typer.testing import CliRunner, Result

from sonora_app.cli import app
from sonora_app.settings import load_settings
from sonora_app.storage.journal.journal import Journal
from sonora_app.storage.journal.outbox_rows import Counts
from sonora_app.storage.store import Transcript
from sonora_app.storage.supabase.api import SupabaseApi
from sonora_app.storage.supabase.unshipped import UnshippedLog
from tests.supabase.lite import Lite
from tests.supabase.test_shipper_faults import Talk

pytestmark = pytest.mark.supabase

SECRET = "¿1? ☃"


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A developer's machine without a `.env`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ENV", "local")
    monkeypatch.setenv("SONORA_DATA_DIR", str(tmp_path / "data"))
    for name in ("SUPABASE_URL", "SUPABASE_SECRET_KEY", "SUPABASE_SERVICE_ROLE_KEY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "data" / "journal.db"


@pytest.fixture
def configured(lite: Lite, monkeypatch: pytest.MonkeyPatch) -> Lite:
    monkeypatch.setenv("SUPABASE_URL", lite.url)
    monkeypatch.setenv("SUPABASE_SECRET_KEY", lite.secret_key)
    return lite


def run(*arguments: str) -> Result:
    """Run the command as a shell would, in this process."""
    return CliRunner().invoke(app, ["sync", *arguments])


def journal(path: Path, work: Any) -> Any:
    async def working() -> Any:
        opened = await Journal.connect(path, outbox=True)
        try:
            return await work(opened)
        finally:
            await opened.aclose()

    return asyncio.run(working())


def write(path: Path, turns: int = 3) -> Talk:
    talk = Talk()

    async def work(opened: Journal) -> None:
        for batch in talk.call(turns):
            await opened.write(batch)

    journal(path, work)
    return talk


def set_aside(path: Path, index: int, reason: str = "A value is not allowed (23514)") -> int:
    async def work(opened: Journal) -> int:
        entries = await opened.outbox.batch(100)
        await opened.outbox.settle([], {entries[index].position: reason})
        return entries[index].position

    return journal(path, work)


def counts(path: Path) -> Counts:
    return journal(path, lambda opened: opened.outbox.counts())


def there(talk: Talk) -> Transcript | None:
    async def read() -> Transcript | None:
        api = await SupabaseApi.connect(load_settings())
        try:
            return await api.transcript(talk.conversation.id)
        finally:
            await api.aclose()

    return asyncio.run(read())


def here(path: Path, talk: Talk) -> Transcript | None:
    return journal(path, lambda opened: opened.transcript(talk.conversation.id))


def test_it_ships_what_waits_and_says_so(machine: Path, configured: Lite):
    talk = write(machine)
    result = run()
    assert (result.exit_code, result.stdout) == (0, "Shipped: 10. Waiting: 0. Set aside: 0.\n")
    assert there(talk) == here(machine, talk)
    again = run("--json")
    assert again.exit_code == 0
    assert json.loads(again.stdout) == {"shipped": 0, "pending": 0, "set_aside": 0}
    assert configured.secret_key not in result.output


def test_it_ships_what_a_dead_process_left(machine: Path, configured: Lite):
    talk = Talk()

    async def die(opened: Journal) -> None:
        first, second, *_ = talk.call(5)
        await opened.write([*first, *second])
        process = opened._connection._process
        assert process is not None
        opened._connection._process = None
        os.close(process._descriptor)

    journal(machine, die)
    assert run().exit_code == 0
    found = there(talk)
    assert found is not None
    assert found.sessions[0].end_reason == "crashed"
    assert found.conversation.status == "failed"


def test_what_is_refused_is_told_and_the_rest_arrives(
    machine: Path, configured: Lite, monkeypatch: pytest.MonkeyPatch
):
    talk = write(machine)
    assert run().exit_code == 0

    # Another machine, whose journal takes the conversation for somebody else's.
    other = machine.parent.parent / "other" / "journal.db"
    thief = Talk()
    thief.conversation = talk.conversation.model_copy(update={"user_id": "eva"})

    async def work(opened: Journal) -> None:
        for batch in thief.call(1):
            await opened.write(batch)

    journal(other, work)
    monkeypatch.setenv("SONORA_DATA_DIR", str(other.parent))
    mine = write(other)
    before = there(talk)
    result = run()
    assert result.exit_code == 1
    assert "Set aside: 6." in result.stdout
    assert "sonora sync list" in result.stderr
    assert there(talk) == before
    assert there(mine) == here(other, mine)

    listed = run("list")
    assert listed.exit_code == 0
    assert "another user's (SN001" in listed.stdout
    assert SECRET not in listed.stdout
    assert listed.stdout.endswith("Waiting: 0. Set aside: 6.\n")
    # A second time there is nothing new to complain about.
    assert run().exit_code == 0


def test_list_shows_what_was_refused_first_and_no_content(machine: Path):
    write(machine)
    position = set_aside(machine, 2)
    result = run("list", "--limit", "2")
    assert result.exit_code == 0
    header, first, second, third, last = result.stdout.splitlines()
    assert header.split() == ["ID", "Record", "Conversation", "Written", "State"]
    assert first.split()[0] == str(position)
    assert "insert messages" in first
    assert first.rstrip().endswith("A value is not allowed (23514)")
    assert second.rstrip().endswith("waits")
    assert third.rstrip().endswith("waits")
    assert last == "Waiting: 9. Set aside: 1."
    data = json.loads(run("list", "--json").stdout)
    assert (data["pending"], data["set_aside"]) == (9, 1)
    assert data["entries"][0]["id"] == position
    assert data["entries"][0]["state"] == "set_aside"
    assert SECRET not in json.dumps(data)


def test_retry_and_discard(machine: Path):
    write(machine)
    first, second, third = (set_aside(machine, 2) for _ in range(3))
    assert run("retry", str(second)).exit_code == 0
    assert counts(machine) == Counts(8, 2)
    assert run("discard", str(first)).exit_code == 0
    assert counts(machine) == Counts(8, 1)
    assert run("retry", "--all").stdout.startswith("Put back: 1.")
    assert counts(machine) == Counts(9, 0)
    for arguments in (("retry", str(third)), ("discard", "999"), ("retry", "999")):
        result = run(*arguments)
        assert result.exit_code == 2
        assert "is set aside" in result.stderr
    assert run("retry", "--all").exit_code == 0


def test_what_is_done_can_be_read_by_a_program(machine: Path):
    write(machine)
    first, second, _ = (set_aside(machine, 2) for _ in range(3))
    assert json.loads(run("discard", str(first), "--json").stdout) == {"discarded": first}
    assert json.loads(run("retry", str(second), "--json").stdout) == {"put_back": 1}
    assert json.loads(run("retry", "--all", "--json").stdout) == {"put_back": 1}


def test_it_speaks_spanish_too(machine: Path, monkeypatch: pytest.MonkeyPatch):
    write(machine)
    set_aside(machine, 2)
    monkeypatch.setenv("LC_ALL", "es_ES.UTF-8")
    assert run("list").stdout.endswith("En espera: 9. Apartados: 1.\n")
    assert run("discard", "999").stderr.startswith("No hay ninguna entrada 999 apartada.")
    unset = run()
    assert unset.exit_code == 1
    assert "Supabase no está configurado" in unset.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("retry",),
        ("retry", "1", "--all"),
        ("retry", "x"),
        ("discard",),
        ("list", "--limit", "0"),
        ("--json", "list"),
        ("restore", "none.log"),
    ],
)
def test_bad_input_exits_with_2(machine: Path, arguments: tuple[str, ...]):
    write(machine)
    assert run(*arguments).exit_code == 2


def test_without_supabase_it_says_what_is_missing(machine: Path):
    write(machine)
    result = run()
    assert result.exit_code == 1
    assert "Supabase is not configured" in result.stderr
    assert "SUPABASE_SECRET_KEY" in result.stderr
    assert result.stdout == ""


def test_without_a_journal_there_is_nothing_to_ship(machine: Path, configured: Lite):
    for arguments in ((), ("list",), ("retry", "--all"), ("discard", "1")):
        result = run(*arguments)
        assert result.exit_code == 1
        assert "nothing kept yet" in result.stderr
    assert not machine.exists()


def test_a_server_that_is_not_there_is_told(
    machine: Path, configured: Lite, monkeypatch: pytest.MonkeyPatch
):
    write(machine)
    monkeypatch.setenv("SUPABASE_URL", "http://127.0.0.1:9")
    result = run()
    assert result.exit_code == 1
    assert "cannot be reached" in result.stderr
    assert counts(machine).pending == 10


def test_a_wrong_key_is_told_and_not_shown(
    machine: Path, configured: Lite, monkeypatch: pytest.MonkeyPatch
):
    write(machine)
    monkeypatch.setenv("SUPABASE_SECRET_KEY", "sb_secret_wrong")
    result = run()
    assert result.exit_code == 1
    assert "does not accept the key" in result.stderr
    assert "sb_secret_wrong" not in result.output


def test_it_watches_while_a_bot_ships(machine: Path, configured: Lite):
    """Only one ships at a time: the command waits for the other, and succeeds with it."""
    talk = write(machine, 40)

    async def both(opened: Journal) -> int:
        assert opened.outbox.claim()
        command = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "sonora_app.cli", "sync", stdout=subprocess.DEVNULL
        )
        await asyncio.sleep(3)
        assert command.returncode is None
        opened.outbox.release()
        return await command.wait()

    assert journal(machine, both) == 0
    assert there(talk) == here(machine, talk)


def test_what_went_to_the_log_comes_back(machine: Path, configured: Lite, tmp_path: Path):
    talk = write(machine, 120)
    log = tmp_path / "bot.log"
    sink = logger.add(log, level="INFO", format="{time} {message}")
    logger.info("Something else {")
    assert journal(machine, lambda opened: UnshippedLog(opened).write()) == 244
    logger.remove(sink)
    # As a log collector puts it: something in front.
    log.write_text(re.sub("(?m)^", "2026-11-24T18:00:00 pod ", log.read_text("utf-8")), "utf-8")
    for _ in range(2):
        result = run("restore", str(log))
        assert (result.exit_code, result.stdout) == (0, "Brought to Supabase: 244. Refused: 0.\n")
    as_data = json.loads(run("restore", str(log), "--json").stdout)
    assert as_data == {"applied": 244, "refused": []}
    assert there(talk) == here(machine, talk)

    cut = tmp_path / "cut.log"
    cut.write_text(log.read_text("utf-8")[:-40], "utf-8")
    broken = run("restore", str(cut))
    assert broken.exit_code == 1
    assert "line 245" in broken.stderr

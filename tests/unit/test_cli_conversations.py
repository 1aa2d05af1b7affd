"""`sonora conversations`, over a journal that was really written."""

import json
import os
import pty
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from simulators.clients.kept_journal import HOSTILE, START, Kept, write_journal
from sonora_app.cli import app

pytestmark = pytest.mark.unit


def run(*arguments: str) -> Result:
    """Run the command as a shell would, in this process."""
    return CliRunner().invoke(app, ["conversations", *arguments])


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Path]:
    """A developer's machine, six hours behind UTC, with no `.env`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ENV", "local")
    monkeypatch.setenv("SONORA_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("TZ", "<-06>6")
    time.tzset()
    yield tmp_path / "data"
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def kept(machine: Path) -> Kept:
    """What the machine's journal holds."""
    return write_journal(machine / "journal.db")


def test_list_shows_each_conversation_on_a_line(kept: Kept) -> None:
    result = run("list")

    assert result.exit_code == 0
    header, first, second = result.stdout.rstrip("\n").split("\n")
    assert header.split() == ["ID", "Last", "talk", "Messages", "Status", "User", "Title"]
    assert first.split()[:4] == [str(kept.talk)[-8:], "2026-11-24", "12:02", "4"], "local time"
    assert first.split()[4:] == ["completed", "ana", "Un", "viaje", "a", "Oaxaca"]
    assert second.startswith(str(kept.other)[-8:])
    assert second.split()[3] == "0"


@pytest.mark.parametrize("columns", [50, 60, 80])
def test_on_a_terminal_each_conversation_has_one_line(
    kept: Kept, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = run("list").stdout.rstrip("\n").split("\n")

    assert len(lines) == 3
    # A piece of an id, or of a time, is of no use: the title is cut.
    assert lines[1].startswith(f"{str(kept.talk)[-8:]}  2026-11-24 12:02  ")
    assert "Un via" in lines[1]


def test_a_conversation_is_named_by_a_piece_of_its_id_or_as_the_last(kept: Kept) -> None:
    for name in ("last", str(kept.talk)[-8:], str(kept.talk).upper()):
        shown = json.loads(run("show", name, "--json").stdout)
        assert shown["conversation"]["id"] == str(kept.talk)
    of_both = run("show", str(kept.talk)[:8])
    assert of_both.exit_code == 2
    assert str(kept.talk) in of_both.output
    assert str(kept.other) in of_both.output
    assert "There is no conversation ffff." in run("show", "ffff").output
    assert "not a conversation's id" in run("show", "abc").output


def test_list_by_status_and_time_says_when_there_are_more(kept: Kept) -> None:
    completed = json.loads(run("list", "--status", "completed", "--json").stdout)
    since_then = json.loads(run("list", "--since", "2026-11-24 12:02", "--json").stdout)
    one = run("list", "--limit", "1")
    failed = json.loads(run("list", "--status", "failed", "--json").stdout)

    assert str(kept.talk) in [item["id"] for item in completed]
    assert failed == []
    assert str(kept.talk) in [item["id"] for item in since_then]
    assert "1 of 2; --limit shows more." in one.output
    assert run("list", "--since", "2099-01-01").stdout == "No such conversations.\n"


def test_list_finds_words_and_shows_where_they_stand(kept: Kept) -> None:
    found = run("list", "--search", "quiero OAXÁCA")
    (as_data,) = json.loads(run("list", "--search", "oaxaca quiero", "--json").stdout)
    failed = run("list", "--failed", "--until", "2099-01-01")

    header, line = found.stdout.rstrip("\n").split("\n")
    assert header.split()[-1] == "Said"
    assert line.endswith("Quiero ir a Oaxaca")
    assert as_data["hit"]["words"] == "Quiero ir a Oaxaca"
    assert as_data["id"] == str(kept.talk)
    assert failed.stdout == "No such conversations.\n"
    assert run("list", "--slow").stdout == "No such conversations.\n"


def test_prune_says_how_many_and_can_only_say_it(kept: Kept) -> None:
    many = "3650"
    assert json.loads(run("prune", "--older-than", many, "--dry-run", "--json").stdout) == {
        "would_delete": 0
    }
    refused = CliRunner().invoke(app, ["conversations", "delete", "last"], input="n\n")
    assert refused.exit_code == 1
    assert f"Delete {kept.talk} with its 4 messages?" in refused.output
    assert json.loads(run("show", "last", "--json").stdout)["conversation"]["id"] == str(kept.talk)


def test_list_as_json_is_data_alone(kept: Kept) -> None:
    listings = json.loads(run("list", "--json").stdout)

    assert [(item["id"], item["user_id"], item["messages"]) for item in listings] == [
        (str(kept.talk), "ana", 4),
        (str(kept.other), "luis", 0),
    ]
    assert datetime.fromisoformat(listings[0]["last_message_at"]) == START + timedelta(seconds=120)


def test_where_nothing_is_kept_a_label_begins_no_journal(machine: Path) -> None:
    """In another folder than the bot's, one is told so, and no second journal is left there."""
    told = run("label", "last", "bien")
    assert (told.exit_code, told.stdout) == (1, "")
    assert "There is nothing kept yet" in told.stderr
    assert not machine.exists()


def test_list_by_what_it_shows_itself(kept: Kept) -> None:
    def found(*wanted: str) -> list[str]:
        return [item["id"] for item in json.loads(run("list", *wanted, "--json").stdout)]

    both = [str(kept.talk), str(kept.other)]
    assert found("--status", "completed") == found("--status", "Completada") == both
    assert found("--status", "open") == found("--status", "active") == []
    assert found("--until", "2026-11-24 12:01:00", "--since", "2026-11-24") == [str(kept.other)]
    assert run("list", "--since", "0001-01-01").exit_code in (0, 2), "told, where it cannot be"


def test_list_by_user_and_limit(kept: Kept) -> None:
    of_luis = json.loads(run("list", "--user", "luis", "--json").stdout)
    newest = json.loads(run("list", "--limit", "1", "--json").stdout)
    of_nobody = run("list", "--user", "nobody")

    assert [item["id"] for item in of_luis] == [str(kept.other)]
    assert [item["id"] for item in newest] == [str(kept.talk)]
    assert (of_nobody.exit_code, of_nobody.stdout) == (0, "No conversations of nobody.\n")
    assert json.loads(run("list", "--user", "nobody", "--json").stdout) == []


def test_show_as_json_has_everything_in_order(kept: Kept) -> None:
    shown = json.loads(run("show", str(kept.talk), "--json").stdout)

    assert list(shown) == [
        "conversation",
        "sessions",
        "messages",
        "transitions",
        "tool_calls",
        "labels",
    ]
    assert shown["conversation"]["id"] == str(kept.talk)
    assert [session["end_reason"] for session in shown["sessions"]] == ["goodbye", None]
    names = ("seq", "role", "content", "modality", "interrupted", "node")
    assert [tuple(message[name] for name in names) for message in shown["messages"]] == [
        (1, "assistant", "Hola, Ana.", "voice", True, "greeting"),
        (2, "user", "Quiero ir a Oaxaca", "text", False, "conversation"),
        (3, "assistant", HOSTILE, "voice", False, "conversation"),
        (None, "agent", "¿Algo más?", "voice", False, None),
    ]
    names = ("seq", "from_node", "to_node", "trigger", "arguments")
    assert [tuple(step[name] for name in names) for step in shown["transitions"]] == [
        (1, "waiting", "greeting", "set_conversation_id", {"n": 1}),
        (2, "greeting", "conversation", "greeting_finished", {"n": 2}),
    ]
    assert all("created_at" in row for row in (*shown["messages"], *shown["transitions"]))
    names = ("name", "arguments", "status", "result", "ended_at")
    assert [tuple(call[name] for name in names) for call in shown["tool_calls"]] == [
        (
            "find_trip",
            {"to": "Oaxaca"},
            "done",
            "Un autobús a las 9.",
            "2026-11-24T18:00:07.500000Z",
        ),
        ("book_trip", {}, "started", None, None),
    ]


def test_turns_calls_and_conversations_are_labelled_and_listed_by_it(kept: Kept) -> None:
    note = ("--note", "Meant *Oaxaca*")
    assert run("label", "last", "Wrong answer", "--turn", "2", *note).stdout == "Labelled.\n"
    assert run("label", "last", "long", "--call", "2").exit_code == 0
    given = json.loads(run("label", "last", "to look at", "--json").stdout)
    assert given["label"]["message_id"] is given["label"]["session_id"] is None

    listed = json.loads(run("list", "--label", "wrong answer", "--json").stdout)
    assert [(each["id"], each["labels"]) for each in listed] == [
        (str(kept.talk), ["long", "to look at", "wrong answer"])
    ]
    exported = json.loads(run("export", "last").stdout)
    turn = exported["messages"][1]["id"]
    assert [each["name"] for each in exported["labels"] if each["message_id"] == turn] == [
        "wrong answer"
    ]
    lines = [" ".join(line.split()) for line in run("show", "last").stdout.split("\n")]
    said = lines.index("12:00:05 User Quiero ir a Oaxaca (typed)")
    assert lines[said + 1] == "Label: wrong answer · Meant *Oaxaca*"
    assert "Labels: to look at" in lines
    assert (
        "*Label: wrong answer · Meant \\*Oaxaca\\**"
        in run("export", "last", "--format", "markdown").stdout
    )

    assert run("label", "last", "long", "--call", "2", "--remove").stdout == "Taken away.\n"
    assert run("list", "--label", "long").stdout == "No such conversations.\n"
    again = run("label", "last", "long", "--call", "2", "--remove")
    assert (again.exit_code, "no such label" in again.output) == (2, True)
    beyond = run("label", "last", "long", "--turn", "9")
    assert (beyond.exit_code, "It has 4 of them." in beyond.output) == (2, True)
    assert run("label", "last", " ").exit_code == 2
    assert run("label", "last", "a", "--turn", "1", "--call", "1").exit_code == 2


def test_on_a_terminal_only_headings_are_bold(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    shown = run("show", str(kept.talk)).stdout

    assert "\x1b[1mUn viaje a Oaxaca\x1b[0m" in shown
    assert "\x1b[0mHola, Ana.\x1b[33m (interrupted)" in shown


def test_show_reads_as_a_transcript(kept: Kept) -> None:
    result = run("show", str(kept.talk))

    assert result.exit_code == 0
    assert result.stdout.startswith("Un viaje a Oaxaca\n")
    lines = [" ".join(line.split()) for line in result.stdout.split("\n")]
    first_call = lines.index(
        "Call 1 · 2026-11-24 12:00:01 · webrtc · 1 min 15 s · ended by a goodbye"
    )
    second_call = lines.index("Call 2 · 2026-11-24 12:01:30 · daily · not ended")
    assert lines[first_call + 2 : first_call + 6] == [
        "12:00:02 → greeting by set_conversation_id",
        "12:00:02 Sonora Hola, Ana. (interrupted)",
        "12:00:04 → conversation by greeting_finished",
        "12:00:05 User Quiero ir a Oaxaca (typed)",
    ]
    assert lines[second_call + 2] == "12:02:00 agent ¿Algo más?"


def test_show_tells_when_each_turn_was_kept_where_that_is_asked_for(
    kept: Kept, machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(sqlite3.connect(machine / "journal.db")) as journal, journal:
        journal.execute(
            "UPDATE messages SET written_at = ?, stored_at = iif(seq = 2, ?, NULL)",
            ("2026-11-24T18:00:05.123000+00:00", "2026-11-24T18:00:06.373000+00:00"),
        )
    lines = run("show", "last", "--times").stdout.split("\n")
    times = [line.strip() for line in lines if "in the journal" in line]
    here, there = "in the journal at 12:00:05.123", "in Supabase 1.250 s later"
    assert times == [here, f"{here} · {there}", here, here]
    assert "in the journal" not in run("show", "last").stdout
    given = json.loads(run("show", "last", "--json").stdout)["messages"]
    assert given[1]["stored_at"] == "2026-11-24T18:00:06.373000+00:00"
    assert given[0]["stored_at"] is None
    assert given[0]["written_at"] == given[1]["written_at"] == "2026-11-24T18:00:05.123000+00:00"

    monkeypatch.setenv("LC_ALL", "es_MX.UTF-8")
    told = "en el diario a las 12:00:05.123 · en Supabase 1.250 s después"
    assert told in run("show", "last", "--times").stdout


def test_what_takes_long_is_said_on_a_terminal(machine: Path) -> None:
    """Supabase accepts and never answers, until its time is up."""
    write_journal(machine / "journal.db")
    terminal, stderr = pty.openpty()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        supabase = {
            "SUPABASE_URL": f"http://127.0.0.1:{silent.getsockname()[1]}",
            "SUPABASE_SECRET_KEY": "sb_secret_none",
            "SONORA_SUPABASE_TIMEOUT_SECS": "1.5",
        }
        command = [sys.executable, "-m", "sonora_app.cli", "conversations", "list"]
        listed = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=os.environ | supabase | {"TERM": "xterm"},
            text=True,
            timeout=60,
        )
    os.close(stderr)
    shown = os.read(terminal, 100_000).decode()
    os.close(terminal)

    assert "Reading…" in shown
    assert "from the journal alone" in shown
    assert "Un viaje a Oaxaca" in listed.stdout


def test_what_is_quick_is_not_announced(kept: Kept) -> None:
    terminal, stderr = pty.openpty()
    command = [sys.executable, "-m", "sonora_app.cli", "conversations", "list"]
    subprocess.run(command, stdout=subprocess.PIPE, stderr=stderr, check=True, timeout=60)
    os.set_blocking(terminal, False)
    with pytest.raises(BlockingIOError):
        os.read(terminal, 100_000)
    for end in (stderr, terminal):
        os.close(end)


def test_delete_as_json(kept: Kept) -> None:
    assert json.loads(run("delete", str(kept.talk), "--yes", "--json").stdout) == {
        "deleted": str(kept.talk)
    }


def test_delete_leaves_nothing_of_it_in_the_files(kept: Kept, machine: Path) -> None:
    def found() -> bool:
        return any(b"Quiero ir" in file.read_bytes() for file in machine.glob("journal.db*"))

    assert found()
    result = run("delete", str(kept.talk), "--yes")

    assert (result.exit_code, result.stdout) == (0, "Deleted.\n")
    assert not found()
    assert [item["id"] for item in json.loads(run("list", "--json").stdout)] == [str(kept.other)]
    assert run("delete", str(kept.talk), "--yes").exit_code == 2
    assert run("prune", "--older-than", "0", "--yes").exit_code == 2


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_as_a_process(kept: Kept, monkeypatch: pytest.MonkeyPatch, locale: str) -> None:
    """From the shell: data alone on stdout, in UTF-8 whatever the locale."""
    for name, value in (("LC_ALL", locale), ("PYTHONUTF8", "0"), ("PYTHONCOERCECLOCALE", "0")):
        monkeypatch.setenv(name, value)
    command = [sys.executable, "-m", "sonora_app.cli", "conversations", "show", str(kept.talk)]
    shown = subprocess.run([*command, "--json"], capture_output=True, check=True, timeout=60)
    read = subprocess.run(command, capture_output=True, check=True, timeout=60)

    assert json.loads(shown.stdout.decode("utf-8"))["messages"][3]["content"] == "¿Algo más?"
    assert "¿Algo más?" in read.stdout.decode("utf-8")
    assert (shown.stderr, read.stderr) == (b"", b"")


def test_pipecat_is_not_imported() -> None:
    """It takes seconds, and no conversation needs it."""
    imported = subprocess.run(
        [sys.executable, "-c", "import sonora_app.cli, sys; print('pipecat' in sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert imported.stdout == "False\n"

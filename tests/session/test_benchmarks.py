"""The benchmarks measure what they say: a turn with each bot, its parts adding up to the whole."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from benchmarks.contenders import Checkout, Sonora
from benchmarks.joining import serving_supabase
from benchmarks.knowledge.retrieval import RetrievingScaffold
from benchmarks.knowledge.turns import GROUNDED, measure_turns
from benchmarks.turns import PARTS, Turn, take_turn
from benchmarks.utterance import Utterance
from benchmarks.vendors import REALISTIC, serving_vendors
from simulators.clients.bot_process import PROJECT
from simulators.clients.browser_page import browser_page
from simulators.clients.webrtc import page
from tests.session.test_grounding import CLEANING, index_at

pytestmark = [pytest.mark.session, pytest.mark.slow]

_SAID = "Quiero viajar a Oaxaca en abril"


@pytest.mark.alone
@pytest.mark.browser
async def test_a_turn_is_timed_part_by_part_in_chromium(tmp_path: Path) -> None:
    async with serving_vendors() as vendors:
        vendors.delay(REALISTIC)
        vendors.answers = {_SAID: "Muy buena idea."}
        contender = Sonora(tmp_path)
        said = await Utterance.spoken(_SAID)
        async with contender.running(vendors) as process, browser_page(process.url) as client:
            assert await contender.join(client) > 0
            turn = await take_turn(client, vendors, said)
        assert vendors.deepgram.log.of("final"), "the bot heard nothing"
    assert vendors.openai.bodies, "the model was not asked"
    _is_timed(turn)


@pytest.mark.alone
async def test_an_answer_from_documents_is_timed_beside_a_bot_with_a_tool(tmp_path: Path) -> None:
    index = index_at(tmp_path / "docs" / "knowledge.db")
    # How long a search takes on a busy machine is not what is looked at.
    sonora = Sonora(tmp_path / "sonora", {"SONORA_KNOWLEDGE_SECS": "10"})
    shutil.copy(index, tmp_path / "sonora")
    async with serving_supabase() as (_, supabase):
        scaffold = RetrievingScaffold(tmp_path / "scaffold", index, supabase, embeds=True)
        talks = await measure_turns(
            [scaffold, sonora], index, [CLEANING], rounds=1, turns=1, uncounted=0
        )
    requests: dict[str, int] = {}
    for name, (turn,) in talks.turns.items():
        _is_timed(turn)
        requests[name] = turn.requests
    assert requests[scaffold.name] == 2
    assert talks.turns[scaffold.name][0].total_secs > talks.turns[GROUNDED][0].total_secs
    assert requests[GROUNDED] == 1
    assert (talks.needed, talks.present) == (1, 1)


def _is_timed(turn: Turn) -> None:
    assert not turn.cut, turn
    assert list(turn.parts_secs) == list(PARTS)
    assert sum(turn.parts_secs.values()) == pytest.approx(turn.total_secs)
    # What the vendors take for themselves is found where it belongs.
    assert turn.total_secs > REALISTIC.first_token + REALISTIC.first_byte
    assert turn.parts_secs["TTS"] >= REALISTIC.first_byte


async def test_another_checkout_is_run_from_its_own_files(tmp_path: Path) -> None:
    checkout = tmp_path / "earlier"
    for folder in ("sonora_app", "flows"):
        shutil.copytree(PROJECT / folder, checkout / folder)
    shutil.copy(PROJECT / "bot.py", checkout)
    (checkout / "sonora_app" / "__init__.py").write_text('__version__ = "0.0.1"\n', "utf-8")
    contender = Checkout(checkout, tmp_path / "journal")
    async with (
        serving_vendors() as vendors,
        contender.running(vendors) as process,
        page(process.url) as client,
    ):
        await contender.join(client)
    with closing(sqlite3.connect(tmp_path / "journal" / "journal.db")) as journal:
        versions = journal.execute("SELECT app_version FROM sessions").fetchall()

    assert contender.name == "earlier"
    assert versions == [("0.0.1",)]

"""The benchmarks measure what they say: a turn with each bot, its parts adding up to the whole."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, closing
from pathlib import Path

import pytest

from benchmarks.contenders import Checkout, Contender, Scaffold, Sonora
from benchmarks.turns import PARTS, take_turn
from benchmarks.utterance import Utterance
from benchmarks.vendors import REALISTIC, serving_vendors
from simulators.clients.bot_process import PROJECT
from simulators.clients.browser_page import BrowserPage, browser_page
from simulators.clients.webrtc import Page, page

pytestmark = [pytest.mark.session, pytest.mark.slow, pytest.mark.alone]

_SAID = "Quiero viajar a Oaxaca en abril"


Connect = Callable[[str], AbstractAsyncContextManager[Page | BrowserPage]]


@pytest.mark.parametrize(
    ("bot", "connect"),
    [
        (Scaffold, page),
        (Sonora, page),
        pytest.param(Sonora, browser_page, marks=pytest.mark.browser),
    ],
    ids=["scaffold", "sonora", "sonora-chromium"],
)
async def test_a_turn_is_timed_part_by_part(
    bot: type[Contender], connect: Connect, tmp_path: Path
) -> None:
    async with serving_vendors() as vendors:
        vendors.delay(REALISTIC)
        vendors.answers = {_SAID: "Muy buena idea."}
        contender = bot(tmp_path)
        said = await Utterance.spoken(_SAID)
        async with contender.running(vendors) as process, connect(process.url) as client:
            assert await contender.join(client) > 0
            turn = await take_turn(client, vendors, said)
        assert vendors.deepgram.log.of("final"), "the bot heard nothing"
    assert vendors.openai.bodies, "the model was not asked"
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

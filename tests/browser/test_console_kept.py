"""The console on a bot that keeps what is said in Supabase: how far it has come, and what is left.

Also what one can do with the devices meanwhile.
"""

import asyncio
import json
import re
from collections.abc import Generator
from uuid import uuid4

import pytest
from playwright.async_api import Browser, Page, expect

from simulators.clients.bot_process import BotProcess, running_bot
from simulators.clients.visit import visiting
from sonora_app.storage.wanted import Wanted
from tests.browser.conftest import address
from tests.session.conftest import journal_of
from tests.supabase.lite import Lite, running_lite
from tests.supabase.stored import in_supabase

pytestmark = [pytest.mark.browser, pytest.mark.supabase, pytest.mark.slow]

WIDE = {"width": 1600, "height": 950}


@pytest.fixture(scope="module")
def lite() -> Generator[Lite]:
    """Supabase's API over our schema."""
    with running_lite() as server:
        yield server


@pytest.fixture(scope="module")
def bot(lite: Lite, tmp_path_factory: pytest.TempPathFactory) -> Generator[BotProcess]:
    """A bot in rehearsal that keeps what is said in Supabase."""
    with running_bot(
        tmp_path_factory.mktemp("bot"),
        SUPABASE_URL=lite.url,
        SUPABASE_SECRET_KEY=lite.secret_key,
        SONORA_WAITING_SECS="60",
    ) as process:
        yield process


async def begin(page: Page, user: str, start: str) -> None:
    await page.get_by_label("Quién habla").fill(user)
    await page.get_by_label(f"Solo de {user}").check()
    await page.get_by_role("button", name=start).click()
    await expect(page.locator(".node")).to_have_text("conversation")


async def write(page: Page, text: str) -> None:
    await page.get_by_label("Escribe un mensaje").fill(text)
    await page.keyboard.press("Enter")


async def saved(page: Page, button: str) -> str:
    """What a button has the browser save."""
    async with page.expect_download() as saving:
        await page.get_by_role("button", name=button).click()
    path = await (await saving.value).path()
    return await asyncio.to_thread(path.read_text, "utf-8")


async def test_what_is_said_is_kept_taken_along_and_deleted(
    bot: BotProcess, browser: Browser, lite: Lite
) -> None:
    user = f"ana-{uuid4().hex[:8]}"
    async with visiting(browser, address(bot), locale="es-ES", viewport=WIDE) as visit:
        page = visit.page
        await begin(page, user, "Empezar a hablar")
        await write(page, "Quiero planear un viaje a Oaxaca.")
        # What is being said was heard as far as it was said, and is kept when it has ended.
        speaking = page.locator('.said.bot[data-kept="heard"] .coming')
        await expect(speaking).not_to_be_empty()
        await expect(page.locator('.said[data-kept="stored"]')).to_have_count(3)
        marks = page.locator(".said").get_by_role("img", name="Guardado en Supabase")
        await expect(marks).to_have_count(3)
        await page.locator("nav.tabs").get_by_role("button", name="Latencia").click()
        await expect(page.locator(".stations .total")).to_have_text(["0", "0", "3"])
        await expect(page.locator(".storage")).to_contain_text("En camino a Supabase: 0")
        shown = await page.locator(".said .words").all_inner_texts()
        (conversation,) = in_supabase(lite, user)
        assert {each["content"] for each in conversation["messages"]} == set(shown)

        await page.get_by_role("button", name="Colgar").click()
        await expect(page.locator(".listing .title")).to_have_text(
            "Ensayo: planear un viaje a Oaxaca"
        )
        await expect(page.locator(".over .summary")).to_contain_text("viaje")
        whole = json.loads(await saved(page, "Exportar como JSON"))
        markdown = await saved(page, "Exportar como Markdown")
        assert whole["conversation"]["user_id"] == user
        assert whole["messages"][1]["content"] == "Quiero planear un viaje a Oaxaca."
        assert markdown.startswith("# Ensayo: planear un viaje a Oaxaca")
        assert "> Quiero planear un viaje a Oaxaca." in markdown
        assert all(each["written_at"] < each["stored_at"] for each in whole["messages"][:3])
        await page.locator(".listing").first.click()
        when = page.locator(
            ".trace .turn .facts", has_text=re.compile("en el diario a las [0-9:]{8}")
        )
        await expect(when).to_have_count(len(whole["messages"]))
        await expect(when.first).to_contain_text(re.compile("en Supabase [0-9.]+ ms después"))

        remove = page.get_by_role("button", name="Borrar")
        await remove.click()
        keep = page.get_by_role("button", name="Conservar")
        await expect(keep).to_be_focused()
        await keep.click()
        await expect(remove).to_be_focused()
        await remove.click()
        await page.locator(".asking .leave").click()
        await expect(page.locator(".listing")).to_have_count(0)
        await expect(page.get_by_role("button", name="Nueva conversación")).to_be_focused()
        await expect(page.get_by_role("button", name="Empezar a hablar")).to_be_visible()
        assert visit.errors == []

    assert in_supabase(lite, user) == []
    async with journal_of(bot) as journal:
        assert await journal.conversations(Wanted(user_id=user)) == ()


async def test_muted_and_with_another_microphone(bot: BotProcess, browser: Browser) -> None:
    async with visiting(browser, address(bot), locale="es-ES", viewport=WIDE) as visit:
        page = visit.page
        await begin(page, f"eva-{uuid4().hex[:8]}", "Empezar a hablar")
        await visit.silence(600)
        turns = page.locator(".said.user")

        await page.get_by_role("button", name="Silenciar").click()
        await expect(page.get_by_text("Micrófono silenciado: Sonora no te oye")).to_be_visible()
        await visit.speak(True)
        await page.wait_for_timeout(1500)
        await expect(page.get_by_role("meter", name="Tú")).to_have_attribute("aria-valuenow", "0")

        # Another device stays muted, and is the one that is heard afterwards.
        await page.locator(".devices summary").click()
        await page.keyboard.press("Escape")
        await expect(page.locator(".devices[open]")).to_have_count(0)
        await page.keyboard.press("Enter")
        microphone = page.get_by_label("Micrófono")
        await microphone.select_option(index=2)
        chosen = await microphone.input_value()
        await page.wait_for_function("id => window.asked.at(-1) === id", arg=chosen)
        await page.wait_for_timeout(1500)
        assert await turns.count() == 0
        await page.get_by_role("button", name="Reactivar").click()
        await expect(page.get_by_text("Estás hablando")).to_be_visible()
        await page.wait_for_timeout(1000)
        await visit.speak(False)
        await expect(turns).to_have_count(1)

        await page.evaluate(
            """() => {
              window.sinks = [];
              const real = HTMLMediaElement.prototype.setSinkId;
              HTMLMediaElement.prototype.setSinkId = async function (id) {
                await real.call(this, id);
                window.sinks.push(this.sinkId);
              };
            }"""
        )
        speaker = page.get_by_label("Altavoz")
        await speaker.select_option(index=1)
        wanted = await speaker.input_value()
        await page.wait_for_function("id => id && window.sinks.at(-1) === id", arg=wanted)
        await page.get_by_role("button", name="Colgar").click()
        assert visit.errors == []

"""The console on what Sonora remembers of who talks: seen, corrected, forgotten, switched off."""

import asyncio
import json
import re

import pytest
from playwright.async_api import Browser, expect

from simulators.clients.bot_process import BotProcess
from simulators.clients.visit import visiting
from tests.browser.conftest import address

pytestmark = [pytest.mark.browser, pytest.mark.slow]

WIDE = {"width": 1600, "height": 950}
SAID = "Me llamo Julia."


async def test_a_fact_is_seen_where_it_was_said_corrected_and_forgotten(
    bot: BotProcess, browser: Browser
) -> None:
    async with visiting(browser, address(bot), locale="es-ES", viewport=WIDE) as visit:
        page = visit.page
        await page.get_by_label("Quién habla").fill("julia")
        memory = page.locator("nav.tabs").get_by_role("button", name="Memoria")
        await memory.click()
        await expect(page.get_by_text("Todavía no se recuerda nada.")).to_be_visible()
        await page.get_by_role("button", name="Empezar a hablar").click()
        await expect(page.locator(".node")).to_have_text("conversation")
        await page.get_by_label("Escribe un mensaje").fill(SAID)
        await page.keyboard.press("Enter")
        fact = page.locator(".fact")
        # It comes while the call goes on, whose transcript is not to be left.
        await expect(fact.locator(".content")).to_contain_text("Julia")
        source = fact.get_by_role("button", name="Dónde se dijo")
        await expect(source).to_be_disabled()
        await page.get_by_role("button", name="Colgar").click()

        await source.click()
        await expect(page.locator(".said.user:focus")).to_contain_text(SAID)
        learnt = page.locator(".said.user:focus .places")
        await expect(learnt).to_have_text(re.compile("Se recuerda: .*Julia"))
        await memory.click()
        await fact.get_by_role("button", name="Corregir").click()
        # Nothing but spaces is no sentence: it is not sent.
        await fact.get_by_role("textbox", name="Corregir").fill("  ")
        await fact.get_by_role("button", name="Guardar").click()
        await fact.get_by_role("textbox", name="Corregir").fill("Se llama Juliana.")
        await fact.get_by_role("button", name="Guardar").click()
        await expect(fact.locator(".content")).to_have_text("Se llama Juliana.")

        async with page.expect_download() as saving:
            await page.locator(".memories").get_by_role("button", name="Exportar").click()
        path = await (await saving.value).path()
        saved = json.loads(await asyncio.to_thread(path.read_text, "utf-8"))
        assert [each["content"] for each in saved["memories"]] == ["Se llama Juliana."]

        await fact.get_by_role("button", name="Olvidar").click()
        await expect(fact.locator(".asking")).to_contain_text("se queda sin título")
        await fact.get_by_role("button", name="Olvidarlo").click()
        await expect(page.get_by_text("Todavía no se recuerda nada.")).to_be_visible()
        wants = page.get_by_label("Quiere que Sonora recuerde sus datos")
        await expect(wants).to_be_checked()
        await wants.uncheck()
        await page.reload()
        await memory.click()
        await expect(wants).not_to_be_checked()
        assert visit.errors == []

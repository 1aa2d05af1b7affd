"""The console shows what is done with tools, where it was done in the talk, and who plays what."""

from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from simulators.clients.visit import visiting
from simulators.vendors.model_hub import model_hub
from tests.browser.conftest import address
from tests.session.remembering import bot_with_model
from tests.session.test_booking import EXAMPLE, KEY, Guest, example, model, serving

pytestmark = [pytest.mark.browser, pytest.mark.slow]


async def test_a_tool_stands_between_the_question_and_the_answer(
    browser: Browser, tmp_path: Path
) -> None:
    api = example()
    with (
        serving(api.booking_api(api.Restaurant(slow_secs=1.5), KEY)) as url,
        model(Guest().answer) as vendor,
        model_hub({}, waits=True) as hub,
        bot_with_model(
            tmp_path,
            vendor,
            SONORA_TOOLS_FILE=str(EXAMPLE / "tools.yaml"),
            BOOKING_URL=url,
            BOOKING_KEY=KEY,
            SONORA_STT="whisper",
            SONORA_WHISPER_MODEL="base",
            SONORA_MODELS_URL=hub.url,
        ) as bot,
    ):
        async with visiting(browser, address(bot), locale="es-ES") as visit:
            page = visit.page
            parts = page.locator(".rehearsal")
            await expect(parts).to_contain_text("Whisper base se está descargando: 0 %.")
            await expect(parts).to_contain_text("Nota que hablas, pero no entiende qué dices")
            hub.go_on.set()
            await expect(parts).not_to_contain_text("se está descargando")
            await expect(parts).to_contain_text("Nota que hablas, pero no entiende qué dices")
            await page.get_by_label("Quién habla").fill("ana")
            await page.get_by_role("button", name="Empezar a hablar").click()
            await expect(page.locator(".node")).to_have_text("conversation")
            await page.get_by_role("button", name="Silenciar").click()
            write = page.get_by_label("Escribe un mensaje")
            await write.fill("Quiero una mesa para el viernes, somos cuatro.")
            await page.keyboard.press("Enter")
            tools = page.locator(".transcript .tool")
            await expect(tools.first).to_contain_text("free_tables")
            await expect(tools.first).to_contain_text("hecho")
            await expect(page.locator(".said.bot", has_text="Hay mesa")).to_be_visible()
            order = await page.locator(".transcript ol").last.locator("> li").all_inner_texts()
            asked = next(n for n, text in enumerate(order) if "somos cuatro" in text)
            assert "free_tables" in order[asked + 1]
            assert "Hay mesa" in order[asked + 2]

            await write.fill("A las nueve y media, a nombre de Ana.")
            await page.keyboard.press("Enter")
            booking = page.locator(".transcript .tool", has_text="book_table")
            await expect(booking).to_have_attribute("data-state", "started")
            await expect(booking).to_have_attribute("data-state", "done")
            await expect(booking).to_contain_text("s")

            # Where one looks at the conversation later, it stands at the same place.
            await page.get_by_role("button", name="Colgar").click()
            await page.locator(".listing").first.click()
            past = page.locator(".transcript ol").first
            await expect(past.locator(".tool")).to_contain_text(["free_tables", "book_table"])
            order = await past.locator("> li:not(.request)").all_inner_texts()
            asked = next(n for n, text in enumerate(order) if "somos cuatro" in text)
            assert "hecho" in order[asked + 1]
            assert "Hay mesa" in order[asked + 2]
            assert visit.errors == []

"""The console on a bot that answers from documents: its sources, a search, what was not found."""

from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from simulators.clients.visit import visiting
from simulators.local_models import whisper_base
from tests.browser.conftest import address
from tests.session.test_grounding import CLEANING, PASSAGE, index_at
from tests.whisper import recognising_bot

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.alone]

WIDE = {"width": 1600, "height": 950}
MISSED = "¿Cuánto cuesta un boleto de avión a Bogotá?"


async def test_an_answer_to_a_spoken_question_names_its_source_and_what_is_missed_is_listed(
    browser: Browser, tmp_path: Path
) -> None:
    index_at(tmp_path / "knowledge.db")
    whisper = whisper_base(tmp_path / "whisper")
    # How long a search takes on a busy machine is not what is looked at.
    patience = {"SONORA_WAITING_SECS": "60", "SONORA_KNOWLEDGE_SECS": "10"}
    with recognising_bot(tmp_path, whisper, **patience) as bot:
        async with visiting(browser, address(bot), locale="es-ES", viewport=WIDE) as visit:
            page = visit.page
            await page.get_by_label("Quién habla").fill("luis")
            await page.get_by_role("button", name="Empezar a hablar").click()
            await expect(page.locator(".node")).to_have_text("conversation")
            # Asked aloud, and recognised on this machine.
            await visit.silence(600)
            await visit.say(CLEANING)
            sources = page.locator(".said.bot", has_text="bicarbonato").locator("details.sources")
            await expect(sources.locator("summary")).to_have_text("De Horno")
            await sources.locator("summary").click()
            await expect(sources.locator(".place").first).to_have_text("Horno › Limpieza")
            await expect(sources.locator("blockquote").first).to_contain_text(PASSAGE)
            await expect(sources.locator(".facts")).to_contain_text("la respuesta esperó")
            # The greeting, and an answer for which nothing was found, name none.
            await page.get_by_label("Escribe un mensaje").fill(MISSED)
            await page.keyboard.press("Enter")
            await page.locator("nav.tabs").get_by_role("button", name="Documentos").click()
            missed = page.locator(".knowledge .document", has_text="cuesta un boleto")
            await expect(missed).to_contain_text("luis")
            await expect(page.locator("details.sources")).to_have_count(1)
            await page.get_by_role("button", name="Colgar").click()

            knowledge = page.locator(".knowledge")
            await expect(knowledge.get_by_text("2 documentos")).to_be_visible()
            await expect(knowledge.locator(".document", has_text="Contrato")).to_contain_text("ana")
            await knowledge.get_by_role("textbox").fill("¿cuándo termina el contrato de alquiler?")
            await knowledge.get_by_role("button", name="Buscar").click()
            await expect(knowledge.locator(".findings .place").first).to_contain_text("Horno")
            # It is searched as who talks would: what is Ana's is not found for Luis.
            await expect(knowledge.locator(".findings")).not_to_contain_text("treinta de junio")
            assert visit.outside() == []
            assert visit.errors == []

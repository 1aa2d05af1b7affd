"""Where one is in the console outlasts a reload, and going back leads to where one was."""

from collections.abc import Generator

import pytest
from playwright.async_api import Browser, Page, expect

from simulators.clients.bot_process import BotProcess, running_bot
from simulators.clients.kept_journal import Kept, write_journal
from simulators.clients.visit import visiting
from tests.browser.conftest import address

pytestmark = [pytest.mark.browser, pytest.mark.slow]

NARROW = {"width": 380, "height": 780}
WIDE = {"width": 1366, "height": 768}
VIEWS = ("Conversaciones", "Flujo", "Memoria", "Documentos", "Latencia", "Cifras", "Estado")


@pytest.fixture(scope="module")
def kept_bot(
    tmp_path_factory: pytest.TempPathFactory,
) -> Generator[tuple[BotProcess, Kept]]:
    """A bot, and what its journal has from the start."""
    folder = tmp_path_factory.mktemp("bot")
    kept = write_journal(folder / "journal.db")
    with running_bot(folder, warm=False) as bot:
        yield bot, kept


async def at(page: Page, view: str) -> None:
    await expect(page.locator("nav.bar [aria-current]")).to_have_text(view)


async def look(page: Page, view: str) -> None:
    await page.locator("nav.bar").get_by_role("button", name=view, exact=True).click()
    await at(page, view)


async def test_on_a_phone_each_view_is_in_sight_and_stays_after_a_reload(
    kept_bot: tuple[BotProcess, Kept], browser: Browser
) -> None:
    bot, _ = kept_bot
    async with visiting(browser, address(bot), locale="es-MX", viewport=NARROW) as visit:
        page = visit.page
        for view in VIEWS:
            button = page.locator("nav.bar").get_by_role("button", name=view, exact=True)
            await expect(button).to_be_in_viewport(ratio=1)
            await look(page, view)
            await page.reload()
            await at(page, view)
        for view in reversed(VIEWS[:-1]):
            await page.go_back()
            await at(page, view)
        assert visit.errors == []


async def test_on_a_phone_going_back_leads_from_a_turn_to_the_list(
    kept_bot: tuple[BotProcess, Kept], browser: Browser
) -> None:
    bot, kept = kept_bot
    async with visiting(browser, address(bot), locale="es-MX", viewport=NARROW) as visit:
        page = visit.page
        pointed = page.locator(".trace .said:has([aria-current])")
        await look(page, "Conversaciones")
        await page.locator(".listing").first.click()
        await at(page, "Hablar")
        await page.locator(".trace").get_by_role("link", name="Turno 2").click()
        await expect(pointed).to_contain_text("Quiero ir a Oaxaca")
        await page.go_back()
        await expect(pointed).to_have_count(0)
        await page.go_back()
        await at(page, "Conversaciones")
        await page.go_forward()
        await at(page, "Hablar")
        await expect(page.locator(".outline h2")).to_have_text("Un viaje a Oaxaca")

        # A link shows what it names, whatever is looked at.
        await look(page, "Cifras")
        await page.goto(f"{address(bot)}#/conversations/{kept.talk}/turns/2")
        await at(page, "Hablar")
        await expect(pointed).to_contain_text("Quiero ir a Oaxaca")
        assert visit.errors == []


async def test_a_conversation_that_is_gone_is_left_by_going_back(
    kept_bot: tuple[BotProcess, Kept], browser: Browser
) -> None:
    bot, kept = kept_bot
    gone = f"{address(bot)}#/conversations/{str(kept.talk)[:-4]}0000"
    async with visiting(browser, address(bot), locale="es-MX", viewport=WIDE) as visit:
        page = visit.page
        await page.goto(gone)
        told = page.get_by_text("Esta conversación ya no está guardada.")
        await expect(told).to_be_visible()
        await page.go_back()
        await expect(told).to_have_count(0)
        assert [each for each in visit.errors if "404" not in each] == []


async def test_what_is_found_is_in_sight_below_the_filters(
    kept_bot: tuple[BotProcess, Kept], browser: Browser
) -> None:
    bot, _ = kept_bot
    for viewport in (WIDE, NARROW):
        async with visiting(browser, address(bot), locale="es-MX", viewport=viewport) as visit:
            page = visit.page
            if viewport is NARROW:
                await look(page, "Conversaciones")
            await page.get_by_text("Filtros").click()
            outcome = page.get_by_label("Resultado")
            await outcome.fill("Resuelto")
            # What draws the page anew meanwhile takes back nothing that is typed.
            await page.get_by_label("Oscuro").dispatch_event("click")
            await expect(outcome).to_have_value("Resuelto")
            await outcome.press("Tab")
            await expect(outcome).to_have_value("resuelto")
            await expect(page.locator(".listing").first).to_be_in_viewport(ratio=1)
            await page.locator(".filters select").first.select_option("fallida")
            await expect(page.get_by_text("No se encontró nada.")).to_be_in_viewport(ratio=1)
            assert visit.errors == []


async def test_on_a_phone_there_is_room_to_write_and_the_devices_can_be_put_away(
    kept_bot: tuple[BotProcess, Kept], browser: Browser
) -> None:
    bot, _ = kept_bot
    async with visiting(browser, address(bot), locale="es-MX", viewport=NARROW) as visit:
        page = visit.page
        await page.get_by_role("button", name="Solo escribir, sin micrófono").click()
        await expect(page.locator(".node")).to_have_text("conversation")
        writing = await page.get_by_label("Escribe un mensaje").bounding_box()
        assert writing
        assert writing["width"] > 200
        microphone = page.get_by_label("Micrófono", exact=False)
        await page.get_by_text("Dispositivos").click()
        await expect(microphone).to_be_visible()
        for each in ("Dispositivos", "Colgar"):
            await page.get_by_text(each, exact=True).click(trial=True)
        await page.get_by_text("Dispositivos").click()
        await expect(microphone).to_be_hidden()
        await page.get_by_role("button", name="Colgar").click()
        assert visit.errors == []

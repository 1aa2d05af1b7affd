"""The console shows the turns that the journal has, in its order, however they come."""

import asyncio
from uuid import uuid4

import pytest
from playwright.async_api import Browser, Page, expect

from simulators.clients.bot_process import BotProcess
from simulators.clients.visit import Visit, visiting
from tests.browser.conftest import address
from tests.browser.test_console_call import kept

pytestmark = [pytest.mark.browser, pytest.mark.slow]

WIDE = {"width": 1600, "height": 950}
SHOWN = """all => all.map((said) => {
  const words = said.querySelector(".words").cloneNode(true);
  for (const unheard of words.querySelectorAll("s, .coming")) unheard.remove();
  const role = said.classList.contains("user") ? "user" : "assistant";
  return [role, words.textContent.trim()];
})"""
"""Who said what, without the words that nobody heard."""


async def begin(visit: Visit, user: str) -> None:
    await visit.page.get_by_label("Quién habla").fill(user)
    await visit.page.get_by_role("button", name="Empezar a hablar").click()
    await expect(visit.page.locator(".drawing .box.now")).to_have_attribute(
        "data-node", "conversation"
    )
    await visit.silence(800)


async def write(page: Page, text: str) -> None:
    await page.get_by_label("Escribe un mensaje").fill(text)
    await page.keyboard.press("Enter")


async def end(visit: Visit, bot: BotProcess, user: str) -> None:
    """Hang up once all was said: the page shows what the journal has."""
    await visit.silence(2500, timeout_secs=60)
    await expect(visit.page.locator('.said[data-kept="heard"]')).to_have_count(0)
    shown = await visit.page.locator(".said").evaluate_all(SHOWN)
    await visit.page.get_by_role("button", name="Colgar").click()
    _, transcript = await kept(bot, user, sessions=1)
    assert shown == [[m.role, m.content] for m in transcript.messages if m.content]


@pytest.mark.parametrize("gap_secs", [0.05, 0.2])
async def test_lines_typed_one_right_after_another(
    bot: BotProcess, browser: Browser, gap_secs: float
) -> None:
    user = f"ana-{uuid4().hex[:8]}"
    async with visiting(browser, address(bot), locale="es-MX", viewport=WIDE) as visit:
        await begin(visit, user)
        for dogs in range(2, 6):
            await write(visit.page, f"Tengo {dogs} perros")
            await asyncio.sleep(gap_secs)
        await visit.heard(after_ms=await visit.now())
        await end(visit, bot, user)


async def test_a_line_typed_while_one_speaks(bot: BotProcess, browser: Browser) -> None:
    user = f"ana-{uuid4().hex[:8]}"
    async with visiting(browser, address(bot), locale="es-MX", viewport=WIDE) as visit:
        await begin(visit, user)
        for pause_secs, text in ((0.5, "Tengo perros"), (1.3, "Tengo gatos")):
            await visit.say("Quiero ir a Oaxaca")
            await asyncio.sleep(pause_secs)
            await write(visit.page, text)
            await visit.heard(after_ms=await visit.now())
            await asyncio.sleep(4)
        await end(visit, bot, user)


@pytest.mark.parametrize("width", [1280, 1366])
@pytest.mark.parametrize("locale", ["es-MX", "en-US"])
async def test_the_tabs_stand_on_one_line(
    bot: BotProcess, browser: Browser, width: int, locale: str
) -> None:
    viewport = {"width": width, "height": 800}
    async with visiting(browser, address(bot), locale=locale, viewport=viewport) as visit:
        await expect(visit.page.locator(".tabs button")).to_have_count(6)
        tops = await visit.page.locator(".tabs button").evaluate_all(
            "all => all.map((each) => each.getBoundingClientRect().top)"
        )
        assert len(set(tops)) == 1


async def paste(page: Page, text: str) -> None:
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await page.evaluate("text => navigator.clipboard.writeText(text)", text)
    await page.get_by_label("Escribe un mensaje").press("Control+V")


async def test_what_a_paste_loses_is_said(bot: BotProcess, browser: Browser) -> None:
    async with visiting(browser, address(bot), locale="es-MX", viewport=WIDE) as visit:
        await begin(visit, f"ana-{uuid4().hex[:8]}")
        field, hint = visit.page.get_by_label("Escribe un mensaje"), visit.page.locator(".hint")
        cut = hint.filter(has_text="Solo caben los primeros 4000 caracteres")
        joined = hint.filter(has_text="los saltos de línea que pegaste")
        await paste(visit.page, "a" * 4100)
        await expect(field).to_have_value("a" * 4000)
        await expect(cut).to_be_visible()
        await field.fill("")
        await expect(cut).to_have_count(0)
        await paste(visit.page, "uno\ndos")
        await expect(joined).to_be_visible()
        await field.press("End")
        await field.press("s")
        await expect(joined).to_have_count(0)

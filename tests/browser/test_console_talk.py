"""The console in real Chromium, on a bot whose vendors are simulated and whose Supabase is real."""

import re
from pathlib import Path
from uuid import uuid4

import pytest
from playwright.async_api import Browser, expect

from simulators.clients.visit import Visit, visiting
from tests.browser.conftest import ARTIFACTS, address
from tests.session.talking import (
    ANSWER,
    DONE,
    ES,
    REQUEST,
    SUMMED_UP,
    Vendors,
    bot_with_keys,
    guide,
    said,
    serving_vendors,
)
from tests.supabase.lite import running_lite
from tests.supabase.stored import in_supabase, stored

pytestmark = [pytest.mark.browser, pytest.mark.supabase, pytest.mark.slow, pytest.mark.alone]

WIDE = {"width": 1600, "height": 950}
_FLOWING = "Una mañana me llamó mi amiga Yolanda, y me animé a mirar el mar."
"""The sound of what is said, without a stop that could be a pause: in a pause the recogniser is
asked for what it heard, and the simulated one then tells all of it."""
FAINT = "rgb(111, 118, 126)"
"""What is not final is shown in this colour."""
# Each of what is understood of the user, while it is not final, with its colour.
WATCH = """() => {
  window.understood = [];
  new MutationObserver(() => {
    for (const words of document.querySelectorAll(".said.user .coming"))
      window.understood.push([words.textContent, getComputedStyle(words).color]);
  }).observe(document.body, { childList: true, subtree: true, characterData: true });
}"""


async def say(visit: Visit, vendors: Vendors, text: str, *, picture: str) -> None:
    """Say something once the bot is silent, which is understood as `text` little by little."""
    await visit.silence(600)
    vendors.deepgram.hears.append(text)
    await visit.say(_FLOWING)
    await visit.page.wait_for_function("() => window.understood.length > 1")
    await visit.page.screenshot(path=ARTIFACTS / f"{picture}.png")
    await expect(visit.page.locator(".said.user .words").last).to_have_text(text)
    await expect(visit.page.locator(".said.user .coming")).to_have_count(0)
    understood = await visit.page.evaluate("window.understood.splice(0)")
    lengths = [len(words) for words, _ in understood]
    assert lengths == sorted(lengths)
    assert lengths[0] < lengths[-1] < len(text)
    assert all(text.startswith(words) for words, _ in understood)
    assert {colour for _, colour in understood} == {FAINT}


async def test_a_conversation_by_voice(browser: Browser, tmp_path: Path) -> None:
    user = f"ana-{uuid4().hex[:8]}"
    words = [
        ("assistant", ES.text("greeting.new")),
        ("user", REQUEST),
        ("assistant", ANSWER),
        ("user", DONE),
        ("assistant", SUMMED_UP),
    ]
    with running_lite() as lite:
        supabase = {"SUPABASE_URL": lite.url, "SUPABASE_SECRET_KEY": lite.secret_key}
        async with serving_vendors() as vendors:
            vendors.openai.model = guide
            vendors.cartesia.char_secs = 0.03
            settings = {"locale": "es-MX", "viewport": WIDE, "color_scheme": "light"}
            with bot_with_keys(tmp_path, vendors, **supabase) as bot:
                async with visiting(browser, address(bot), **settings) as visit:
                    page = visit.page
                    await page.evaluate(WATCH)
                    node, bot_said = page.locator(".node"), page.locator(".said.bot .words")
                    await page.get_by_label("Quién habla").fill(user)
                    await expect(page.locator(".rehearsal")).to_have_count(0)
                    await page.get_by_role("button", name="Empezar a hablar").click()
                    await expect(node).to_have_text("conversation")
                    await say(visit, vendors, REQUEST, picture="vendors-request")
                    await expect(bot_said.last).to_have_text(ANSWER)
                    await say(visit, vendors, DONE, picture="vendors-done")
                    await expect(node).to_have_text("wrap_up")
                    await expect(bot_said.last).to_have_text(SUMMED_UP)
                    # All of it was heard, and is where it is to stay.
                    await expect(page.locator('.said[data-kept="stored"]')).to_have_count(5)
                    assert await page.locator(".said .words").all_inner_texts() == [
                        text for _, text in words
                    ]
                    await page.get_by_role("button", name="Latencia").first.click()
                    await page.get_by_role("button", name=re.compile("^Eventos")).click()
                    filtered = page.get_by_label("Filtrar por tipo o contenido")
                    await filtered.fill("user-input")
                    await expect(page.locator(".drawer li")).not_to_have_count(0)
                    await page.keyboard.press("Escape")
                    await page.get_by_role("button", name="Colgar").click()
                    await expect(page.locator(".why")).to_have_text("Colgaste.")
                    assert visit.outside() == []
                    assert visit.errors == []

        (kept,) = in_supabase(lite, user)
        transcript = await stored(lite, kept["id"])
    assert transcript is not None
    assert said(transcript) == words
    assert [t.to_node for t in transcript.transitions] == ["greeting", "conversation", "wrap_up"]

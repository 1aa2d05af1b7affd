"""The console in real Chromium, with no key: a conversation, and coming back to it."""

import asyncio
import re
from uuid import UUID, uuid4

import pytest
from playwright.async_api import Browser, Locator, Page, expect

from simulators.clients.bot_process import BotProcess
from simulators.clients.visit import visiting
from sonora_app.storage.store import Transcript
from sonora_app.storage.wanted import Wanted
from tests.browser.conftest import address
from tests.session.conftest import journal_of

pytestmark = [pytest.mark.browser, pytest.mark.slow]

# Long, since the rehearsal's answer repeats it, and is to be cut short.
REQUEST = (
    "Quiero planear un viaje a Oaxaca en abril con mi hermana y visitar los mercados y las playas "
    "y los talleres de los pueblos de alrededor."
)
IN_ENGLISH = "Can we speak English, please?"
# Said once, without a comma, for longer than it takes to cut the bot off: it is one turn, however
# busy the machine is.
CUT_IN = "Espera un momento por favor que antes quiero preguntarte otra cosa muy importante."
MAX_OPENED_TO_GREETED_MS = 10_000
"""From opening the page to the first sound of the greeting."""
WIDE = {"width": 1600, "height": 950}


def node(page: Page) -> Locator:
    return page.locator(".drawing .box.now")


async def test_one_talks_soon_after_opening_the_page(bot: BotProcess, browser: Browser) -> None:
    async with visiting(browser, address(bot), locale="es-MX", viewport=WIDE) as visit:
        await visit.page.get_by_role("button", name="Empezar a hablar").click()
        clicked_ms = await visit.now()
        greeted_ms = await visit.heard()
        await visit.page.get_by_role("button", name="Colgar").click()
        painted_ms = await visit.page.evaluate(
            "performance.getEntriesByName('first-contentful-paint')[0].startTime"
        )
        sound_ms = greeted_ms - clicked_ms
        print(f"page shown after {painted_ms:.0f} ms, greeting {sound_ms:.0f} ms after the click")

    assert greeted_ms < MAX_OPENED_TO_GREETED_MS


async def test_a_conversation_by_voice_and_in_writing(bot: BotProcess, browser: Browser) -> None:
    user = f"ana-{uuid4().hex[:8]}"
    async with visiting(browser, address(bot), locale="es-MX", viewport=WIDE) as visit:
        page = visit.page
        await page.get_by_label("Quién habla").fill(user)
        await page.get_by_label(f"Solo de {user}").check()
        opened_ms = await visit.now()
        await page.get_by_role("button", name="Empezar a hablar").click()
        await visit.heard(after_ms=opened_ms)
        await expect(page.locator(".said.bot .words")).to_contain_text("Hola, soy Sonora.")
        await expect(node(page)).to_have_attribute("data-node", "conversation")
        await expect(page.locator(".path .to")).to_have_text(["greeting", "conversation"])

        # In writing; the answer is spoken.
        await visit.silence(500)
        typed_ms = await visit.now()
        await page.get_by_label("Escribe un mensaje").fill(REQUEST)
        await page.keyboard.press("Enter")
        await expect(page.locator(".said.user .words").first).to_have_text(REQUEST)
        await expect(page.locator(".said.user").first).to_contain_text("escrito")
        await visit.heard(after_ms=typed_ms)

        # By voice, into the answer: it stops, and says that it was cut off.
        await page.locator(".said.bot .coming").wait_for()
        await visit.say(CUT_IN)
        await expect(page.locator(".said.bot").nth(1)).to_contain_text("interrumpido")
        # The rest of the answer, some ten seconds, is not heard.
        stopped_ms = await visit.silence(700, timeout_secs=8)
        await expect(page.locator(".said.user .words").nth(1)).to_contain_text(
            "habla sin transcribir"
        )
        await visit.heard(after_ms=stopped_ms + 700)

        # Everything so far is in the journal, and the page says so.
        await visit.silence(800)
        await expect(page.locator('.said[data-kept="journalled"]')).to_have_count(5)
        await page.get_by_role("button", name="Latencia").first.click()
        await expect(page.locator(".bars li")).to_have_count(1)
        await page.get_by_role("button", name=re.compile("^Eventos")).click()
        await page.get_by_label("Filtrar por tipo o contenido").fill("message-recorded")
        await expect(page.locator(".drawer li")).to_have_count(5)
        await page.keyboard.press("Escape")

        await page.get_by_role("button", name="Colgar").click()
        await expect(page.locator(".why")).to_have_text("Colgaste.")

        # The same one again, from the list.
        conversation_id, first = await kept(bot, user, sessions=1)
        listed = page.locator(".listing")
        await expect(listed).to_have_count(1)
        await listed.click()
        await expect(page.locator(".said .words").first).to_contain_text("Hola, soy Sonora.")
        await expect(page.locator(".said.bot").nth(1)).to_contain_text("interrumpido")
        await page.get_by_role("button", name="Seguir hablando").click()
        await expect(page.locator(".divider").last).to_have_text("Ahora")
        await expect(page.locator("ol").get_by_text("Hola de nuevo")).to_be_visible(timeout=15_000)
        await expect(node(page)).to_have_attribute("data-node", "conversation")

        # In another language, which the lines are marked with.
        await page.get_by_label("Escribe un mensaje").fill(IN_ENGLISH)
        await page.keyboard.press("Enter")
        english = page.locator('.said .words[lang="en"]')
        await expect(english.first).to_have_text(IN_ENGLISH)
        await expect(english).to_have_count(2)
        await expect(page.locator('.said .words[lang="es"]')).to_have_count(1)
        await page.get_by_role("button", name="Colgar").click()

        again_id, second = await kept(bot, user, sessions=2)
        assert again_id == conversation_id
        assert visit.outside() == []
        assert visit.errors == []

    messages = [(m.role, m.modality.value, m.interrupted) for m in first.messages]
    assert messages == [
        ("assistant", "voice", False),
        ("user", "text", False),
        ("assistant", "voice", True),
        ("user", "voice", False),
        ("assistant", "voice", False),
    ]
    assert first.conversation.user_id == user
    assert len(second.messages) > len(first.messages)


async def kept(bot: BotProcess, user: str, *, sessions: int) -> tuple[UUID, Transcript]:
    """The user's one conversation, once its calls have ended and been summed up."""
    async with asyncio.timeout(20):
        while True:
            async with journal_of(bot) as journal:
                (listing,) = await journal.conversations(Wanted(user_id=user))
                transcript = await journal.transcript(listing.conversation.id)
            assert transcript is not None
            ended = [session for session in transcript.sessions if session.ended_at is not None]
            if len(ended) == sessions and transcript.conversation.title:
                return listing.conversation.id, transcript
            await asyncio.sleep(0.1)

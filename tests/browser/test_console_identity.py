"""The console on a bot that asks who is talking: an access token is sent, and kept nowhere."""

from collections.abc import AsyncGenerator, Generator
from uuid import uuid4

import pytest
from playwright.async_api import Browser, expect

from simulators.clients.auth_server import AuthServer, auth_server
from simulators.clients.bot_process import BotProcess, running_bot
from simulators.clients.browser import running_chromium
from simulators.clients.visit import visiting
from tests.browser.conftest import ARTIFACTS, address
from tests.browser.test_console_looks import Gallery
from tests.session.conftest import journal_of

pytestmark = [pytest.mark.browser, pytest.mark.slow]

KEPT_IN_THE_BROWSER = """async () => {
  const names = ["localStorage", "sessionStorage"];
  const stored = names.map(name => JSON.stringify(window[name]));
  return [...stored, document.cookie, location.href, JSON.stringify(await indexedDB.databases())];
}"""


@pytest.fixture
def project() -> Generator[AuthServer]:
    with auth_server() as server:
        yield server


@pytest.fixture
def bot(project: AuthServer, tmp_path_factory: pytest.TempPathFactory) -> Generator[BotProcess]:
    """A bot that takes nobody at their word."""
    with running_bot(
        tmp_path_factory.mktemp("bot"), SONORA_IDENTITY="verified", SUPABASE_URL=project.url
    ) as process:
        yield process


@pytest.fixture
async def browser() -> AsyncGenerator[Browser]:
    """A browser without a microphone."""
    async with running_chromium(devices=False) as chromium:
        yield chromium


async def test_an_access_token_says_who_is_talking(
    bot: BotProcess, browser: Browser, project: AuthServer
) -> None:
    user = str(uuid4())
    token, expired = project.token(user), project.token(user, lifetime_secs=-60)
    said: list[str] = []
    ARTIFACTS.mkdir(parents=True, exist_ok=True)
    async with visiting(browser, address(bot), locale="en-GB", reduced_motion="reduce") as visit:
        page = visit.page
        page.on("console", lambda message: said.append(message.text))
        start = page.get_by_role("button", name="Type only")
        field = page.get_by_label("Access token")
        await expect(field).to_have_attribute("type", "password")
        await expect(page.get_by_label("Who is talking")).to_have_count(0)
        gallery = Gallery(page)
        await gallery.prepare()
        await gallery.look("token", tab="Talk")
        assert gallery.findings == []
        await start.click()
        await expect(page.locator(".why")).to_contain_text("put in an access token")
        await page.get_by_role("button", name="Change the token").click()
        await field.fill(expired)
        await start.click()
        await expect(page.locator(".why")).to_contain_text("may have expired")
        await page.get_by_role("button", name="Change the token").click()
        await field.fill(token)
        await expect(page.get_by_text(f"Only of {user}")).to_be_visible()
        await start.click()
        await expect(page.locator(".node")).to_have_text("conversation")

        await page.locator("nav.tabs").get_by_role("button", name="Latency").click()
        await page.locator(".latency > button").click()
        await page.get_by_label("Filter by type or content").fill("set_conversation_id")
        await expect(page.locator(".drawer .out code")).to_contain_text('"access_token":"…"')
        everything = [await page.content(), *await page.evaluate(KEPT_IN_THE_BROWSER)]
        asked = list(visit.requests)
    async with journal_of(bot) as journal:
        (listing,) = await journal.conversations()

    assert listing.conversation.user_id == user
    # Neither whole nor in part: its signature proves it.
    for secret in (token, token.rsplit(".", 1)[1], expired.rsplit(".", 1)[1]):
        assert not [text for text in (*everything, *asked, *said, bot.logged()) if secret in text]

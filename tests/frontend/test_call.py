"""The logic of the front end's example, in Chromium, against a running bot.

Not tried here is a call without a microphone: Daily's media manager does without, that of the page
here cannot.
"""

from collections.abc import AsyncGenerator, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, Route

from simulators.clients.auth_server import AuthServer, auth_server
from simulators.clients.bot_process import BotProcess, running_bot
from simulators.clients.browser import running_chromium
from simulators.clients.waiting import Waiting
from sonora_app.runtime.backlog import OLD_SECS
from tests.frontend.conftest import bundled
from tests.session.conftest import transcript_of

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

# Larger than a message can be.
SEND_FILES = """page.call.sendFiles('¿Qué dice?', [
  new File(['Renta: 9500 pesos. '.repeat(9000)], 'recibo.txt', { type: 'text/plain' }),
])"""
PHASES = ["idle", "starting", "connecting", "opening", "open", "ended"]

ADDRESS = "/the-test-of-the-example"
"""Where the page is: at the bot's own origin, since it posts to the bot."""


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundled("page.ts", tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="module")
def auth() -> Generator[AuthServer]:
    with auth_server() as server:
        yield server


@pytest.fixture(scope="module")
def bot(auth: AuthServer, tmp_path_factory: pytest.TempPathFactory) -> Generator[BotProcess]:
    """A bot in rehearsal that asks for tokens, as one that is deployed should."""
    environment = {"SONORA_IDENTITY": "verified", "SUPABASE_URL": auth.url}
    with running_bot(tmp_path_factory.mktemp("frontend"), **environment) as process:
        yield process


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncGenerator[Browser]:
    async with running_chromium() as chromium:
        yield chromium


@dataclass
class Example:
    """Opens pages whose `window.page` has the example's call, and watches where they go."""

    bot: BotProcess
    browser: Browser
    script: Path
    elsewhere: list[str] = field(default_factory=list[str])

    async def open(self, **wish: Any) -> Page:
        page = await (await self.browser.new_context()).new_page()
        page.set_default_timeout(60_000)
        await page.route("**/*", self._serve)
        await page.goto(self.bot.url + ADDRESS)
        await page.evaluate("wish => { window.page = sonora.make(wish) }", wish)
        return page

    async def _serve(self, route: Route) -> None:
        url = route.request.url
        if url == self.bot.url + ADDRESS:
            await route.fulfill(body="<script src=page.js></script>", content_type="text/html")
        elif url == f"{self.bot.url}/page.js":
            await route.fulfill(path=self.script)
        elif url.startswith(self.bot.url):
            await route.continue_()
        else:
            self.elsewhere.append(url)
            await route.abort()


@pytest_asyncio.fixture(loop_scope="module")
async def example(bot: BotProcess, browser: Browser, script: Path) -> AsyncGenerator[Example]:
    opened = Example(bot, browser, script)
    yield opened
    for context in browser.contexts:
        await context.close()
    assert opened.elsewhere == []


async def until(page: Page, condition: str) -> None:
    """Wait until `condition` holds for the call's `state`, or for what it has passed."""
    await page.wait_for_function(
        "() => { const { call, phases, nodes } = page; const state = call.state();"
        f" return {condition}; }}"
    )


async def state(page: Page) -> dict[str, Any]:
    """The call's state; of its problem, which is an Error, what a page goes by."""
    return await page.evaluate(
        """() => {
            const { problem, ...state } = page.call.state();
            return { ...state, problem: problem && [problem.code, problem.remedy] };
        }"""
    )


async def code(page: Page, work: str) -> str | None:
    """The code of the CallError that `work` ends with."""
    return await page.evaluate(f"sonora.codeOf({work})")


async def test_a_conversation_and_how_it_goes_on(
    example: Example, bot: BotProcess, auth: AuthServer
) -> None:
    user = str(uuid4())
    page = await example.open(userId=user, token=auth.token(user))
    waiting = Waiting(bot)

    ready = await page.evaluate("page.call.start()")
    assert (ready["status"], ready["resumed"]) == ("ready", False)
    await until(page, "nodes.includes('conversation')")
    await page.evaluate("page.call.sendText('Quiero ir a Oaxaca')")
    await until(page, "state.lines.filter(line => line.role === 'assistant').length > 1")
    await page.evaluate("page.call.end()")
    await until(page, "nodes.includes('wrap_up')")
    await page.evaluate("page.call.end()")
    await until(page, "state.phase === 'ended'")

    shown = await state(page)
    assert await page.evaluate("page.phases") == PHASES
    assert shown["end"]["reason"] == "user_request"
    assert (shown["node"], shown["problem"]) == ("farewell", None)
    # A bot that had no processor for so long rightly says that it did not listen.
    if shown["notice"] is not None:
        assert shown["notice"]["code"] == "speech_dropped"
        assert waiting.excused_secs > OLD_SECS
    kept = await transcript_of(bot, ready["conversation_id"])
    typed = [line["text"] for line in shown["lines"] if line["typed"]]
    assert typed == ["Quiero ir a Oaxaca"]
    assert typed == [message.content for message in kept.messages if message.role == "user"]
    spoken = " ".join(line["text"] for line in shown["lines"] if line["role"] == "assistant")
    assert (kept.messages[0].content or "") in spoken

    again = await example.open(userId=user, token=auth.token(user))
    resumed = await again.evaluate("id => page.call.start(id)", ready["conversation_id"])
    assert resumed["resumed"]
    assert resumed["conversation_id"] == ready["conversation_id"]
    assert resumed["session_id"] != ready["session_id"]


async def test_a_lost_connection_comes_back_with_the_conversation(
    example: Example, auth: AuthServer
) -> None:
    user = str(uuid4())
    page = await example.open(userId=user, token=auth.token(user))
    ready = await page.evaluate("page.call.start()")
    await until(page, "state.lines.length > 0")

    await page.evaluate("page.client.disconnect()")  # behind the call's back
    await until(page, "phases.includes('reconnecting') && state.phase === 'open'")

    shown = await state(page)
    assert await page.evaluate("page.phases") == [*PHASES[:-1], "reconnecting", *PHASES[1:-1]]
    assert shown["conversationId"] == ready["conversation_id"]
    assert (shown["resumed"], shown["putBack"]) == (True, True)
    assert shown["lines"]


async def test_what_is_remembered_is_listed_corrected_and_forgotten(
    example: Example, auth: AuthServer
) -> None:
    user = str(uuid4())
    page = await example.open(userId=user, token=auth.token(user))
    await page.evaluate("page.call.start()")
    await until(page, "nodes.includes('conversation')")
    await page.evaluate("page.call.listMemories()")
    assert (await state(page))["memory"]["facts"] == []

    await page.evaluate("page.call.sendText('Me llamo Ana.', { audioResponse: false })")
    await until(page, "state.memory.facts.length === 1")
    kept = (await state(page))["memory"]["facts"][0]
    assert "Ana" in kept["content"]
    await page.evaluate("id => page.call.correctMemory(id, 'Se llama Eva.')", kept["id"])
    await until(page, "state.memory.facts[0].content === 'Se llama Eva.'")
    corrected = (await state(page))["memory"]["facts"]
    assert [(fact["content"], fact["id"] == kept["id"]) for fact in corrected] == [
        ("Se llama Eva.", False)
    ]
    await page.evaluate("id => page.call.forgetMemory(id)", corrected[0]["id"])
    await until(page, "state.memory.facts.length === 0")
    assert await code(page, f"page.call.forgetMemory('{kept['id']}')") == "not_found"
    await page.evaluate("page.call.setMemory(false)")
    assert (await state(page))["memory"]["remembers"] is False

    await page.evaluate(SEND_FILES)
    sent = "¿Qué dice? · recibo.txt"
    assert sent in [line["text"] for line in (await state(page))["lines"]]
    answered = "line.role === 'assistant' && line.text.includes('9500')"
    await until(page, f"state.lines.some(line => {answered})")

    frame = "async () => (await page.call.camera.frame())?.type ?? null"
    await page.evaluate("page.call.useCamera(true)")
    assert ((await state(page))["camera"], await page.evaluate(frame)) == ("on", "image/jpeg")
    await page.evaluate("page.call.useCamera(false)")
    assert ((await state(page))["camera"], await page.evaluate(frame)) == ("off", None)


async def test_an_expired_token_is_replaced_once(example: Example, auth: AuthServer) -> None:
    user = str(uuid4())
    tokens = {"token": auth.token(user, lifetime_secs=-60), "freshToken": auth.token(user)}
    page = await example.open(userId=user, **tokens)

    assert (await page.evaluate("page.call.start()"))["status"] == "ready"
    assert await page.evaluate("page.asked") == [False, True]


async def test_somebody_elses_conversation_is_refused(example: Example, auth: AuthServer) -> None:
    owner, other = str(uuid4()), str(uuid4())
    page = await example.open(userId=owner, token=auth.token(owner))
    ready = await page.evaluate("page.call.start()")
    stranger = await example.open(userId=other, token=auth.token(other))

    refused = await code(stranger, f"page.call.start('{ready['conversation_id']}')")

    assert refused == "conversation_refused"
    shown = await state(stranger)
    assert shown["phase"] == "failed"
    assert shown["problem"] == [refused, "new_conversation"]
    await until(stranger, "page.client.state === 'disconnected'")


async def test_errors_have_codes(example: Example, auth: AuthServer) -> None:
    user = str(uuid4())
    page = await example.open(userId=user, token=auth.token(user))

    assert await code(page, "page.call.sendText('too early')") == "not_ready"
    assert await page.evaluate("page.phases") == []
    starting = "page.call.start()"
    hung_up = f"(() => {{ const work = {starting}; void page.call.hangUp(); return work; }})()"
    assert await code(page, hung_up) == "hung_up"
    assert (await state(page))["phase"] == "ended"
    assert await code(page, starting) is None
    assert await code(page, "page.call.sendText('')") == "invalid_message"
    assert (await state(page))["phase"] == "open"

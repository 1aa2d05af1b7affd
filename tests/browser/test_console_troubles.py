"""What the console says when something is missing or fails, and to whom it says nothing."""

import asyncio
import functools
import re
import shutil
import threading
from collections.abc import AsyncGenerator, Generator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from simulators.clients.bot_process import PROJECT, BotProcess, running_bot
from simulators.clients.browser import running_chromium
from simulators.clients.visit import visiting
from tests.browser.conftest import address

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
async def bare_browser() -> AsyncGenerator[Browser]:
    """A browser on a machine without a microphone."""
    async with running_chromium(devices=False) as chromium:
        yield chromium


async def test_without_a_microphone_one_types_to_the_end(
    bot: BotProcess, bare_browser: Browser
) -> None:
    async with visiting(bare_browser, address(bot), locale="es-ES") as visit:
        page = visit.page
        await page.get_by_role("button", name="Empezar a hablar").click()
        await expect(page.locator(".composer .hint")).to_contain_text("micrófono")
        write = page.get_by_label("Escribe un mensaje")
        await expect(page.locator(".node")).to_have_text("conversation")
        for text, node in (("Eso es todo, adiós.", "wrap_up"), ("No, gracias.", "farewell")):
            await write.fill(text)
            await page.keyboard.press("Enter")
            await expect(page.locator(".node")).to_have_text(node)
        await expect(page.locator(".why")).to_have_text("Te despediste.")
        await expect(page.locator(".summary")).not_to_be_empty()
        assert visit.outside() == []
        assert visit.errors == []


async def test_a_bot_that_fails_at_the_start_is_told_of(
    tmp_path: Path, bare_browser: Browser
) -> None:
    program = str(Path(__file__).with_name("failing_bot.py").relative_to(PROJECT))
    with running_bot(tmp_path, program=program) as broken:
        async with visiting(bare_browser, address(broken), locale="en-GB") as visit:
            page = visit.page
            await page.get_by_role("button", name="Type only").click()
            await expect(page.locator(".why")).to_contain_text(
                "did not become ready", timeout=20_000
            )
            await expect(page.get_by_role("button", name="Try again")).to_be_visible()


@pytest.mark.parametrize(
    ("locale", "view", "file", "text", "told"),
    [
        (
            "en-GB",
            "Flow",
            "tools.yaml",
            "tools: [{name: roll, description: Roll a die., nodes: [lobby], function: os:path}]",
            "tool roll, nodes: lobby is no node of the flow",
        ),
        (
            "es-ES",
            "Flujo",
            "sonora.yaml",
            (PROJECT / "flows/sonora.yaml").read_text("utf-8").replace("to: wrap_up", "to: wrapup"),
            "nodo conversation: la función wrap_up lleva a wrapup, que no es",
        ),
    ],
)
async def test_a_mistake_in_a_file_of_the_flow_is_told_before_the_bot_is_ready_and_to_callers(
    tmp_path: Path, bare_browser: Browser, locale: str, view: str, file: str, text: str, told: str
) -> None:
    flows = Path(shutil.copytree(PROJECT / "flows", tmp_path / "flows"))
    (flows / file).write_text(text, "utf-8")
    program = "tests/session/own_flow_bot.py"
    locale_variable = f"{locale.replace('-', '_')}.UTF-8"
    with running_bot(
        tmp_path, program=program, warm=False, FLOWS=str(flows), LC_ALL=locale_variable
    ) as bot:
        async with visiting(bare_browser, address(bot), locale=locale) as visit:
            await visit.page.locator("nav.tabs").get_by_role("button", name=view).click()
            await expect(visit.page.locator(".flow")).to_contain_text(told)
            refused = await visit.page.request.post(f"{bot.url}/start", data={})
            assert refused.status == 503
            assert (await refused.json())["code"] == "misconfigured"
        lines = bot.logged().splitlines()
        before = lines[: next(number for number, line in enumerate(lines) if "ready!" in line)]

    assert any(told in line for line in before), lines
    assert not any("Traceback" in line for line in lines), lines


async def test_one_goes_on_after_a_reload_and_after_the_bot_was_stopped(
    tmp_path: Path, bare_browser: Browser
) -> None:
    with running_bot(tmp_path, SONORA_WAITING_SECS="60") as first:
        async with visiting(bare_browser, address(first), locale="en-GB") as visit:
            page = visit.page
            await page.get_by_role("button", name="Type only").click()
            now, said = page.locator(".status .node"), page.locator(".said.user .words")
            await expect(now).to_have_text("conversation")
            await typed(page, "One.")
            await expect(page.locator('.said.user[data-kept="journalled"]')).to_have_count(1)

            # The click that sound needs, and all is as it was.
            await page.reload()
            await expect(said).to_have_text(["One."])
            await page.get_by_role("button", name="Type only").click()
            await expect(now.last).to_have_text("goes on where it broke off")
            await typed(page, "Two.")
            await expect(said).to_have_text(["One.", "Two."])

            await asyncio.to_thread(first.stop)
            await expect(page.locator(".why")).to_contain_text("The bot was stopped")
            with running_bot(tmp_path, port=first.port, SONORA_WAITING_SECS="60"):
                # By itself.
                await expect(now.last).to_have_text("goes on where it broke off")
                await typed(page, "Three.")
                await expect(said).to_have_text(["One.", "Two.", "Three."])
                await expect(page.locator('.said.user[data-kept="journalled"]').last).to_have_text(
                    re.compile("Three")
                )
                # Nothing is offered after one has left by one's own wish.
                await page.get_by_role("button", name="Hang up").click()
                await page.reload()
                await expect(page.get_by_role("button", name="Start talking")).to_be_visible()
                await expect(said).to_have_count(0)


async def test_a_bot_that_dies_is_missed_at_once_and_what_was_said_stays(
    tmp_path: Path, bare_browser: Browser
) -> None:
    with running_bot(tmp_path, SONORA_WAITING_SECS="60") as bot:
        async with visiting(bare_browser, address(bot), locale="en-GB") as visit:
            page, said = visit.page, visit.page.locator(".said.user .words")
            await page.get_by_role("button", name="Type only").click()
            await expect(page.get_by_label("Write a message")).to_be_focused()
            await expect(page).to_have_title("● In a call · Sonora")
            # A new conversation speaks as the page does.
            await expect(page.locator(".said.bot .words")).to_contain_text("Hello")
            await expect(page.locator(".status .node")).to_have_text("conversation")
            await typed(page, "One.")
            await expect(page.locator('.said.user[data-kept="journalled"]')).to_have_count(1)

            await asyncio.to_thread(bot.kill)
            await expect(page.locator(".doing")).to_contain_text("Cut off", timeout=15_000)
            await page.get_by_role("button", name="Hang up").click()
            await expect(page.get_by_role("button", name="Talk on")).to_be_focused()
            await page.keyboard.press("Enter")
            await expect(page.locator(".why")).to_contain_text("cannot be reached")
            await expect(said).to_have_text(["One."])
            await expect(page).to_have_title("Sonora")


async def typed(page: Page, text: str) -> None:
    await page.get_by_label("Write a message").fill(text)
    await page.keyboard.press("Enter")


async def test_a_page_from_elsewhere_reads_nothing(
    bot: BotProcess, bare_browser: Browser, elsewhere: str
) -> None:
    async with visiting(bare_browser, elsewhere) as visit:
        for path in ("conversations", "health", "flow"):
            for mode in ("cors", "no-cors"):
                read = await visit.page.evaluate(
                    """async ([url, mode]) => {
                      try {
                        const answer = await fetch(url, { mode });
                        return [answer.status, await answer.text()];
                      } catch (error) {
                        return [0, ""];
                      }
                    }""",
                    [f"{address(bot)}sonora/api/{path}", mode],
                )
                assert read[0] in (0, 403), path
                assert "conversation" not in read[1]
        framed = await visit.page.evaluate(
            """url => new Promise(resolve => {
              const frame = document.createElement("iframe");
              frame.onload = () => {
                try { resolve(frame.contentDocument?.body?.innerText ?? ""); }
                catch (error) { resolve(""); }
              };
              frame.src = url;
              document.body.append(frame);
            })""",
            f"{address(bot)}sonora/api/conversations",
        )
        assert framed == ""


@pytest.fixture
def elsewhere(tmp_path: Path) -> Generator[str]:
    """A page of another site."""
    (tmp_path / "index.html").write_text("<!doctype html><title>Elsewhere</title><p>Hello")
    serve = functools.partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), serve) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://localhost:{server.server_port}/"
        server.shutdown()
        thread.join()

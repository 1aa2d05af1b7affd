"""The console's states, light and dark, wide and narrow: a picture of each, and axe's findings.

The pictures go to `artifacts/console/`, or where `SONORA_ARTIFACTS` says. With
`SONORA_README_PICTURES=1` those in the READMEs are taken anew.
"""

import asyncio
import os
import re
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from simulators.clients.bot_process import PROJECT, BotProcess
from simulators.clients.kept_journal import add_cut_turn
from simulators.clients.npm import installed
from simulators.clients.visit import visiting
from sonora_app.storage.records import utc_now
from tests.browser.conftest import ARTIFACTS, CONSOLE, address
from tests.session.conftest import data_dir, transcript_of

pytestmark = [pytest.mark.browser, pytest.mark.slow]

DOCS = PROJECT / "docs" if os.environ.get("SONORA_README_PICTURES") else ARTIFACTS
WIDE = {"width": 1600, "height": 950}
NARROW = {"width": 380, "height": 780}
README = {"width": 1280, "height": 760}
SERIOUS = ("serious", "critical")


class Gallery:
    """Looks at one page's states."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self.findings: list[str] = []

    async def prepare(self) -> None:
        """Bring axe into the page. Not by a script element, which the page's policy forbids."""
        axe = installed(CONSOLE) / "node_modules" / "axe-core" / "axe.min.js"
        await self._page.evaluate(axe.read_text("utf-8"))

    async def look(self, state: str, *, tab: str | None = None) -> None:
        """Take pictures of what is shown and have axe judge it.

        Args:
            state: What the pictures are called.
            tab: Which view of a narrow page shows it; None when it is shown already.
        """
        for size_name, size in (("wide", WIDE), ("narrow", NARROW)):
            await self._page.set_viewport_size(size)  # pyright: ignore[reportArgumentType]
            if tab and size is NARROW:
                await self._page.locator("nav.bar").get_by_role("button", name=tab).click()
            for scheme in ("light", "dark"):
                await self._page.emulate_media(color_scheme=scheme)
                await self._page.screenshot(path=ARTIFACTS / f"{state}-{size_name}-{scheme}.png")
                await self._judge(f"{state}, {size_name}, {scheme}")
        await self._page.set_viewport_size(WIDE)  # pyright: ignore[reportArgumentType]

    async def _judge(self, where: str) -> None:
        found: dict[str, Any] = await self._page.evaluate(
            "() => axe.run({ resultTypes: ['violations'] })"
        )
        for violation in found["violations"]:
            if violation["impact"] in SERIOUS:
                nodes = [node["html"][:120] for node in violation["nodes"][:3]]
                self.findings.append(f"{where}: {violation['id']}: {nodes}")


@pytest.fixture(autouse=True)
def artifacts() -> None:
    ARTIFACTS.mkdir(parents=True, exist_ok=True)


async def begin(page: Page, *, start: str, write: str, text: str) -> None:
    """Start a call, let the greeting be spoken, and type; returns while the answer is spoken."""
    await page.get_by_role("button", name=start).click()
    await expect(page.locator(".node")).to_have_text("conversation")
    await page.get_by_label(write).fill(text)
    await page.keyboard.press("Enter")
    await page.locator(".said.bot .coming").last.wait_for()


async def test_every_state_can_be_seen_and_read_by_anyone(
    bot: BotProcess, browser: Browser
) -> None:
    # Without motion: colours that are still changing would be judged half way.
    settings = {"locale": "es-ES", "viewport": WIDE, "reduced_motion": "reduce"}
    async with visiting(browser, address(bot), **settings) as visit:
        page, gallery = visit.page, Gallery(visit.page)
        await gallery.prepare()
        await expect(page.locator(".rehearsal")).to_be_visible()
        await gallery.look("idle", tab="Hablar")
        await page.get_by_label("Guardar el sonido de esta llamada.").check()

        await begin(
            page,
            start="Empezar a hablar",
            write="Escribe un mensaje",
            text="Recuerda que quiero planear un viaje a Oaxaca.",
        )
        recorded = page.get_by_text("Se está grabando")
        await expect(recorded).to_be_visible()
        await page.get_by_role("button", name="Dejar de grabar y borrar lo grabado").click()
        await expect(recorded).to_have_count(0)
        await page.get_by_role("button", name="Grabar la llamada").click()
        await expect(recorded).to_be_visible()
        # Nobody is paid for what stand-ins do.
        used = page.locator(".status .used")
        await expect(used).to_contain_text(re.compile("Costo: 0,00.US"))
        await gallery.look("talking", tab="Hablar")
        await visit.silence(600)
        await visit.speak(True)
        await page.wait_for_timeout(2500)
        await visit.speak(False)
        await expect(page.locator(".said.user")).to_have_count(2)
        await visit.silence(600)
        await gallery.look("flow", tab="Flujo")
        await page.locator("nav.tabs").get_by_role("button", name="Latencia").click()
        await expect(page.locator(".bars li")).to_have_count(1)
        await expect(used).to_contain_text(re.compile(r"[1-9]\d* tokens leídos, [1-9]"))
        await gallery.look("latency", tab="Latencia")
        await page.locator(".latency > button").click()
        await gallery.look("events")
        await page.keyboard.press("Escape")
        await page.locator("nav.tabs").get_by_role("button", name="Memoria").click()
        await gallery.look("memory", tab="Memoria")
        await page.locator("nav.tabs").get_by_role("button", name="Documentos").click()
        await gallery.look("documents", tab="Documentos")
        await page.locator("nav.tabs").get_by_role("button", name="Estado").click()
        await expect(page.locator(".checks li").first).to_be_visible()
        await gallery.look("health", tab="Estado")
        await page.get_by_role("button", name="Colgar").click()
        await expect(page.locator(".why")).to_be_visible()
        await gallery.look("ended", tab="Hablar")
        await page.locator(".listing").first.click()
        await expect(page.locator(".invitation.resuming")).to_be_visible()
        await gallery.look("resuming", tab="Hablar")
        await look_back(page, gallery)
        await find_a_cut_turn(bot, page, gallery)
        await add_up(page, gallery)

        assert gallery.findings == []
        assert visit.errors == []


async def label_a_turn(page: Page) -> None:
    """Label a turn with the keyboard, and change it; the form stays open for the picture."""
    first = page.locator(".trace .said .labels").first
    await first.get_by_role("button", name="Etiquetar: Turno 1").press("Enter")
    await page.keyboard.type("Mal  entendido")
    await page.keyboard.press("Enter")
    tag = first.get_by_role("button", name="Cambiar la etiqueta «mal entendido»: Turno 1")
    await tag.click()
    await page.get_by_label("Nota").fill("Dijo Oaxaca")
    await page.get_by_role("button", name="Guardar").click()
    await expect(first).to_contain_text("Dijo Oaxaca")
    await tag.click()


async def play_a_turn(page: Page) -> None:
    """The sound of the call has both sides, and a turn is played from where it is in it."""
    sound = page.get_by_label("Sonido de la llamada 1")
    await expect(sound).to_be_visible()
    await expect(page.locator(".trace .call .facts")).to_contain_text(
        "Aceptó la grabación en la página"
    )
    await page.wait_for_function("() => document.querySelector('.sound').readyState >= 4")
    loud = await page.evaluate(
        """async () => {
          const api = "/sonora/api";
          const id = location.hash.split("/")[2];
          const kept = await (await fetch(`${api}/conversations/${id}`)).json();
          const reference = encodeURIComponent(kept.sessions[0].metrics.recording.file);
          const sound = await fetch(`${api}/files/content?reference=${reference}`);
          const both = await new AudioContext().decodeAudioData(await sound.arrayBuffer());
          const loudest = (side) => both.getChannelData(side).reduce((a, b) => Math.max(a, b), 0);
          return [both.duration, loudest(0), loudest(1)];
        }"""
    )
    secs, user, bot = loud
    assert (secs > 5, user > 0.05, bot > 0.05) == (True, True, True), loud
    await page.get_by_role("button", name=re.compile("Escuchar el turno")).last.click()
    await page.wait_for_function("() => document.querySelector('.sound').currentTime > 3")
    await page.evaluate("() => document.querySelector('.sound').pause()")


async def look_back(page: Page, gallery: Gallery) -> None:
    """What happened in the call, by addresses that can be kept; and how one finds it."""
    turns = page.locator(".trace .turn")
    measured = page.locator(".trace .said.bot:has(.wait)")
    await expect(page.locator(".trace .step").first).to_contain_text("waiting → greeting")
    await expect(measured).to_have_count(1)
    chosen = measured.locator(".facts a")
    number = await chosen.inner_text()
    await chosen.click()
    await expect(page).to_have_url(re.compile(rf"#/conversations/[\w-]{{36}}/turns/{number}$"))
    await page.reload()
    await gallery.prepare()
    await expect(measured.locator("[aria-current]")).to_have_text(number)
    await expect(measured.locator(".parts")).to_be_visible()
    await page.locator("nav.tabs").get_by_role("button", name="Flujo").click()
    await expect(page.locator(".drawing .box.visited")).to_have_count(3)
    await label_a_turn(page)
    await play_a_turn(page)
    # What the model is told at a node, as it was told it in this call; and each of its requests.
    await page.locator('.drawing .box[data-node="greeting"]').click()
    told = page.get_by_label("Lo que se le dice al modelo en greeting")
    await expect(told).to_contain_text("Speak only Spanish")
    await expect(told.locator("mark")).to_have_count(0)
    request = page.locator(".trace .request").first
    await request.locator("summary").first.click()
    await expect(request).to_contain_text("planear un viaje a Oaxaca")
    await expect(request).to_contain_text("wrap_up")
    await gallery.look("trace", tab="Hablar")
    # Back from the view of the narrow page, and then from the turn.
    await page.go_back()
    await page.go_back()
    await expect(measured.locator("[aria-current]")).to_have_count(0)

    search = page.get_by_label("Buscar en lo que se dijo")
    await page.get_by_text("Filtros").click()
    await search.fill("OAXACÁ plan")
    await expect(page.locator(".listing .hit")).to_contain_text("planear un viaje a Oaxaca")
    await expect(page.locator(".pages")).to_contain_text("1–1 de 1")
    await page.locator(".listing").first.click()
    await expect(page.locator(".trace [aria-current]")).to_have_text(re.compile(r"^\d+$"))
    await expect(page.locator(".listing .tag")).to_have_text("mal entendido")
    await page.get_by_label("Con la etiqueta").fill("mal entendido")
    await expect(page.locator(".pages")).to_contain_text("1–1 de 1")
    await page.get_by_label("Algo falló").check()
    await expect(page.get_by_text("No se encontró nada.")).to_be_visible()
    assert await turns.count() > 3


async def find_a_cut_turn(bot: BotProcess, page: Page, gallery: Gallery) -> None:
    """A turn that was cut in two is one, also for what leads to a part of it."""
    conversation = await page.evaluate("location.hash.split('/')[2]")
    call = (await transcript_of(bot, conversation)).sessions[0]
    where = (data_dir(bot) / "journal.db", call.conversation_id, call.id)
    await asyncio.to_thread(add_cut_turn, *where, utc_now())
    await page.get_by_role("button", name="Quitar los filtros").click()
    await page.get_by_label("Buscar en lo que se dijo").fill("sevilla")
    await expect(page.locator(".listing .hit")).to_have_text("Y otro a Sevilla.")
    await page.locator(".listing").first.click()

    turn = page.locator(".trace .said:has([aria-current])")
    await expect(turn).to_contain_text("cortado en dos")
    await expect(turn.locator(".words")).to_have_text(
        "Quiero un vuelo a Madrid.\nY otro a Sevilla.", use_inner_text=True
    )
    cut_in, answer = (page.locator(".trace .said.bot").nth(place) for place in (-2, -1))
    await expect(cut_in).to_contain_text("Claro, bus")
    await expect(cut_in.locator(".wait")).to_have_count(0)
    await expect(answer.locator(".wait summary")).to_have_text("1350 ms")
    # What was found, and beside it the turn.
    await gallery.look("conversations", tab="Conversaciones")


async def add_up(page: Page, gallery: Gallery) -> None:
    """Many calls together, by an address that can be kept, and the list behind a figure."""
    await page.locator("nav.tabs").get_by_role("button", name="Cifras").click()
    await page.wait_for_url(re.compile(r"#/figures$"))
    await page.reload()
    await gallery.prepare()
    sums = page.locator(".sums > div")
    await expect(sums.filter(has_text="Costo")).to_contain_text("0,00")
    await expect(page.locator(".groups tbody tr")).to_have_count(1)
    await gallery.look("figures", tab="Cifras")
    hung_up = sums.filter(has_text="el usuario pidió terminarla")
    await hung_up.get_by_role("button").click()
    await expect(page.get_by_text(re.compile("Filtros · 2"))).to_be_visible()
    await expect(page.locator(".pages")).to_contain_text("1–1 de 1")


@pytest.mark.parametrize(
    ("language", "who", "only", "start", "write", "text"),
    [
        (
            "es",
            "Quién habla",
            "Solo de Ana",
            "Empezar a hablar",
            "Escribe un mensaje",
            "Quiero planear un viaje a Oaxaca.",
        ),
        (
            "en",
            "Who is talking",
            "Only of Emma",
            "Start talking",
            "Write a message",
            "I want to plan a trip to Oaxaca.",
        ),
    ],
)
async def test_the_pictures_of_the_readmes(
    bot: BotProcess,
    browser: Browser,
    language: str,
    who: str,
    only: str,
    start: str,
    write: str,
    text: str,
) -> None:
    settings = {"locale": language, "viewport": README, "color_scheme": "light"}
    async with visiting(browser, address(bot), **settings) as visit:
        page = visit.page
        await page.get_by_label(who).fill(only.split()[-1])
        await page.get_by_label(only).check()
        await page.locator(".fields select").first.select_option(language)
        await begin(page, start=start, write=write, text=text)
        # Until a part of the answer was said.
        await expect(page.locator(".said.bot .words").last).to_have_text(
            re.compile(r"^\w+ \w+ \w+")
        )
        await page.wait_for_timeout(1500)
        await page.screenshot(path=DOCS / f"console.{language}.png")
        assert visit.outside() == []

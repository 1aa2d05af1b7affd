"""Pictures and documents in the console: sent, answered, kept, shown again, and erased."""

import asyncio
import io
import re
from collections.abc import Generator
from pathlib import Path
from uuid import uuid4

import pytest
from PIL import Image
from playwright.async_api import Browser, Page, expect

from simulators.clients.bot_process import BotProcess, running_bot
from simulators.clients.visit import visiting
from simulators.vendors.openai import ChatRequest, Reply, ToolCall
from tests.browser.conftest import CONSOLE, address
from tests.session.talking import bot_with_keys, guide, serving_vendors

pytestmark = [pytest.mark.browser, pytest.mark.slow]

WIDE = {"width": 1600, "height": 950}
PDF_TEXT = "Renta de julio: 9500 pesos"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def bot(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[BotProcess]:
    """A bot in rehearsal, without any key, that keeps everything in `data`."""
    with running_bot(
        tmp_path_factory.mktemp("bot"), SONORA_DATA_DIR=str(data), SONORA_WAITING_SECS="60"
    ) as process:
        yield process


def picture(width: int, height: int) -> bytes:
    file = io.BytesIO()
    Image.effect_noise((width, height), 90).convert("RGB").save(file, "JPEG", quality=92)
    return file.getvalue()


def pdf(text: str) -> bytes:
    """One page with a line of text."""
    stream = f"BT /F1 24 Tf 72 700 Td ({text}) Tj ET".encode()
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R"
        b" /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    out, offsets = b"%PDF-1.4\n", list[int]()
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    head = b"xref\n0 6\n0000000000 65535 f \n" + table
    trailer = b"trailer << /Size 6 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % len(out)
    return out + head + trailer


def kept(data: Path) -> list[Path]:
    return [each for each in (data / "files").rglob("*.*") if each.name != ".lock"]


async def begin(page: Page, user: str) -> None:
    await page.get_by_label("Quién habla").fill(user)
    await page.get_by_label(f"Solo de {user}").check()
    await page.get_by_role("button", name="Solo escribir").click()
    await expect(page.locator(".node")).to_have_text("conversation")


async def test_a_picture_and_a_document_are_answered_kept_and_erased(
    bot: BotProcess, browser: Browser, data: Path
) -> None:
    user = f"ana-{uuid4().hex[:8]}"
    photo, paper = picture(1600, 1200), pdf(PDF_TEXT)
    assert len(photo) > 1_000_000, "it goes in many parts"
    async with visiting(browser, address(bot), locale="es-ES", viewport=WIDE) as visit:
        page = visit.page
        await begin(page, user)
        picker = page.locator('input[type="file"]')

        # What is too large, or one too many, is told before anything is sent.
        await picker.set_input_files(
            {"name": "todo.pdf", "mimeType": "application/pdf", "buffer": b"x" * 20_000_001}
        )
        await expect(page.get_by_role("alert")).to_contain_text("20 MB")
        await picker.set_input_files(
            [{"name": f"{n}.txt", "mimeType": "text/plain", "buffer": b"hola"} for n in range(5)]
        )
        await expect(page.get_by_role("alert")).to_contain_text("4 archivos")
        for n in range(4):
            await page.get_by_role("button", name=f"No enviar {n}.txt").click()
        await expect(page.locator(".files.pending")).to_have_count(0)

        await picker.set_input_files(
            {"name": "mi casa.jpg", "mimeType": "image/jpeg", "buffer": photo}
        )
        axe = (await asyncio.to_thread(_axe)).read_text("utf-8")
        await page.evaluate(axe)
        found = await page.evaluate("() => axe.run({ resultTypes: ['violations'] })")
        assert [each["id"] for each in found["violations"]] == []
        await page.get_by_label("Escribe un mensaje").fill("¿Qué ves?")
        await page.get_by_role("button", name="Enviar", exact=True).click()
        own = page.locator(".said.user").last
        await expect(own.get_by_role("img", name="Imagen: mi casa.jpg")).to_be_visible()
        await expect(own.locator(".words")).to_have_text("¿Qué ves?")
        await expect(page.locator(".said.bot").last).to_contain_text("Veo una imagen de")

        # A paper that is pasted goes alone.
        await page.get_by_label("Escribe un mensaje").focus()
        await page.evaluate(
            """([bytes, name]) => {
              const data = new DataTransfer();
              const file = new Uint8Array(bytes);
              data.items.add(new File([file], name, { type: "application/pdf" }));
              const paste = { clipboardData: data, bubbles: true, cancelable: true };
              document.activeElement.dispatchEvent(new ClipboardEvent("paste", paste));
            }""",
            [list(paper), "recibo.pdf"],
        )
        await page.keyboard.press("Enter")
        await expect(page.locator(".said.bot").last).to_contain_text("recibo.pdf")
        await expect(page.locator(".said.bot").last).to_contain_text("9500")
        # What is dropped goes together.
        await page.evaluate(
            """(files) => {
              const data = new DataTransfer();
              for (const [bytes, name, type] of files) {
                data.items.add(new File([new Uint8Array(bytes)], name, { type }));
              }
              const zone = document.querySelector(".composer");
              for (const kind of ["dragover", "drop"]) {
                const event = { dataTransfer: data, bubbles: true, cancelable: true };
                if (zone.dispatchEvent(new DragEvent(kind, event))) throw new Error(kind);
              }
            }""",
            [
                [list(picture(200, 100)), "plano.jpg", "image/jpeg"],
                [list(pdf("Luz de agosto: 120 pesos")), "luz.pdf", "application/pdf"],
            ],
        )
        await expect(page.locator(".files.pending li")).to_have_count(2)
        await page.get_by_role("button", name="Enviar", exact=True).click()
        dropped = page.locator(".said.user").last
        await expect(dropped.get_by_role("img", name="Imagen: plano.jpg")).to_be_visible()
        await expect(page.locator(".said.bot").last).to_contain_text("luz.pdf")
        await expect(page.locator('.said[data-kept="heard"]')).to_have_count(0)

        await page.get_by_role("button", name="Colgar").click()
        await page.locator(".listing").first.click()
        shown = page.get_by_role("img", name="Imagen: mi casa.jpg")
        await expect(shown).to_be_visible()
        await page.wait_for_function(
            "() => document.querySelector('.transcript .files img')?.naturalWidth > 0"
        )
        await expect(page.get_by_role("link", name="recibo.pdf")).to_be_visible()
        assert len(kept(data)) == 4
        assert b"base64" not in await asyncio.to_thread(_journal_bytes, data)

        await page.get_by_role("button", name="Borrar").click()
        await page.locator(".asking .leave").click()
        await expect(page.locator(".listing")).to_have_count(0)
        assert kept(data) == []
        assert visit.errors == []
        assert visit.outside() == []


async def test_the_bot_looks_through_the_camera_and_what_it_saw_is_kept_and_erased(
    browser: Browser, tmp_path: Path
) -> None:
    def model(request: ChatRequest) -> Reply:
        if not request.body["stream"]:
            return guide(request)
        if request.pictures:
            return Reply("Veo un reloj de colores.")
        if request.messages[-1]["role"] == "tool" or "camera_off" in str(request.messages[-1]):
            return Reply("Tu cámara está apagada.")
        return Reply(calls=(ToolCall("look", {}),))

    async with serving_vendors() as vendors:
        vendors.openai.model = model
        with bot_with_keys(tmp_path, vendors) as bot:
            async with visiting(browser, address(bot), locale="es-ES", viewport=WIDE) as visit:
                page = visit.page
                await begin(page, f"ana-{uuid4().hex[:8]}")
                write = page.get_by_label("Escribe un mensaje")
                await write.fill("¿Qué ves?")
                await page.keyboard.press("Enter")
                await _said(page, "apagada")

                switch = page.get_by_role("button", name="Encender la cámara")
                await switch.focus()
                await page.keyboard.press("Enter")
                off = page.get_by_role("button", name="Apagar la cámara")
                await expect(off).to_have_attribute("aria-pressed", "true")
                await expect(page.get_by_text("Cámara encendida")).to_be_visible()
                await page.wait_for_function(
                    "() => document.querySelector('.seen video')?.videoWidth > 0"
                )
                await write.fill("¿Y ahora?")
                await page.keyboard.press("Enter")
                await _said(page, "reloj")
                sent = page.locator(".said.user").last.get_by_role("img", name="camera.jpg")
                await expect(sent).to_be_visible()

                await off.click()
                await expect(page.locator(".seen")).to_have_count(0)
                await write.fill("¿Y sin cámara?")
                await page.keyboard.press("Enter")
                await _said(page, "apagada")

                await page.get_by_role("button", name="Colgar").click()
                await page.locator(".listing").first.click()
                await expect(page.get_by_role("img", name="camera.jpg")).to_be_visible()
                (frame,) = kept(tmp_path)
                await page.get_by_role("button", name="Borrar").click()
                await page.locator(".asking .leave").click()
                await expect(page.locator(".listing")).to_have_count(0)
                assert not frame.exists()
                assert visit.errors == []
    (looked,) = [one for body in vendors.openai.bodies if (one := ChatRequest(body)).pictures]
    with Image.open(io.BytesIO(looked.pictures[0])) as seen:
        assert min(seen.size) >= 240
        # Chromium's camera shows a clock on green.
        assert len(seen.convert("RGB").resize((64, 48)).getcolors(64 * 48) or []) > 20


async def _said(page: Page, words: str) -> None:
    """Wait until the bot has said it to the end: what is written sooner cuts it off."""
    said = page.locator(".said.bot").last
    await expect(said).to_have_text(re.compile(words))
    await expect(said).to_have_attribute("data-kept", re.compile("journalled|stored"))


def _axe() -> Path:
    from simulators.clients.npm import installed

    return installed(CONSOLE) / "node_modules" / "axe-core" / "axe.min.js"


def _journal_bytes(data: Path) -> bytes:
    return b"".join(path.read_bytes() for path in data.glob("journal.db*"))

"""The system's Chromium, driven by Playwright, with a microphone that plays a file or beeps."""

import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import Browser, async_playwright

_NAMES = ("chromium", "chromium-browser", "google-chrome")

_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
)
_DEVICES = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")


@asynccontextmanager
async def running_chromium(
    microphone: Path | None = None, *, devices: bool = True
) -> AsyncGenerator[Browser]:
    """Start a browser that grants the microphone unasked, and close it in the end.

    Args:
        microphone: A WAV file that it plays over and over; without one it beeps.
        devices: Without, there is no microphone, and nobody to allow one.

    Raises:
        RuntimeError: There is no Chromium on the PATH.
    """
    program = next(filter(None, map(shutil.which, _NAMES)), None)
    if program is None:
        raise RuntimeError("These tests need Chromium, and it is not on the PATH.")
    flags = [*_FLAGS, *(_DEVICES if devices else ())]
    if microphone is not None:
        flags.append(f"--use-file-for-fake-audio-capture={microphone}")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=flags)
        try:
            yield browser
        finally:
            await browser.close()

"""A page open in a browser, with what it asked of whom and when the bot was heard in it."""

import asyncio
import base64
import io
import wave
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from playwright.async_api import Browser, BrowserContext, Page, Request

from simulators.clients.speech import speech
from simulators.clients.webrtc import MIC_RATE

# Taps each track that a peer connection receives, beside whatever the page does with it; and lets
# the microphone be heard only while `speaking` says so, so that a test decides when its file plays.
# `say` plays something else into it, once. Which microphones were asked for, by their ids, is in
# `asked`.
_LISTEN = """
window.heardAt = [];
const Real = window.RTCPeerConnection;
window.RTCPeerConnection = class extends Real {
  constructor(...given) {
    super(...given);
    this.addEventListener("track", ({ track }) => {
      if (track.kind !== "audio") return;
      const context = new AudioContext();
      const analyser = context.createAnalyser();
      context.createMediaStreamSource(new MediaStream([track])).connect(analyser);
      const samples = new Float32Array(analyser.fftSize);
      setInterval(() => {
        analyser.getFloatTimeDomainData(samples);
        const power = samples.reduce((sum, each) => sum + each * each, 0) / samples.length;
        if (Math.sqrt(power) > 0.01) window.heardAt.push(performance.now());
      }, 20);
    });
  }
};
window.asked = [];
let volume = 0;
const gates = [];
const mouths = [];
window.speak = (on) => {
  volume = on ? 1 : 0;
  for (const gate of gates) gate.gain.value = volume;
};
window.say = async (file) => {
  const bytes = Uint8Array.from(atob(file), (each) => each.charCodeAt(0));
  for (const mouth of mouths) {
    const buffer = await mouth.context.decodeAudioData(bytes.slice().buffer);
    const speech = new AudioBufferSourceNode(mouth.context, { buffer });
    speech.connect(mouth);
    speech.start();
  }
};
const devices = navigator.mediaDevices;
const ask = devices?.getUserMedia.bind(devices);
if (devices) devices.getUserMedia = async (wanted) => {
  if (!wanted.audio) return ask(wanted);
  window.asked.push(wanted.audio?.deviceId?.exact ?? "");
  const context = new AudioContext();
  const gate = new GainNode(context, { gain: volume });
  const mouth = context.createMediaStreamDestination();
  context.createMediaStreamSource(await ask(wanted)).connect(gate).connect(mouth);
  gates.push(gate);
  mouths.push(mouth);
  return mouth.stream;
};
"""


@dataclass
class Visit:
    """An open page, and what it asked of whom."""

    page: Page
    requests: list[str] = field(default_factory=list[str])
    errors: list[str] = field(default_factory=list[str])

    def outside(self) -> list[str]:
        """The requests that were not for this machine."""
        local = ("localhost", "127.0.0.1", None)
        return [url for url in self.requests if urlsplit(url).hostname not in local]

    async def heard(self, *, after_ms: float = 0.0, timeout_secs: float = 30.0) -> float:
        """Wait for sound from the bot; returns when it came, in ms of the page's clock."""
        handle = await self.page.wait_for_function(
            "after => window.heardAt.find(moment => moment > after)",
            arg=after_ms,
            timeout=timeout_secs * 1000,
        )
        return float(await handle.json_value())

    async def silence(self, ms: float, *, timeout_secs: float = 20.0) -> float:
        """Wait until the bot was silent for `ms`; returns when it was last heard."""
        handle = await self.page.wait_for_function(
            """ms => {
              const last = window.heardAt.at(-1);
              return last !== undefined && performance.now() - last > ms && last;
            }""",
            arg=ms,
            timeout=timeout_secs * 1000,
        )
        return float(await handle.json_value())

    async def speak(self, on: bool) -> None:
        """Let the microphone's file be heard from now on, or no more."""
        await self.page.evaluate("on => window.speak(on)", on)

    async def say(self, text: str) -> None:
        """Begin to say a text, once, into whatever microphone there is."""
        file = base64.b64encode(await _wav(text)).decode()
        await self.page.evaluate("file => window.say(file)", file)

    async def now(self) -> float:
        """The page's clock, in ms since it was opened."""
        return float(await self.page.evaluate("performance.now()"))


async def write_microphone(path: Path, text: str, *, voice: str = "es-419") -> Path:
    """Write a WAV file in which a text is spoken, for a microphone to play over and over."""
    await asyncio.to_thread(path.write_bytes, await _wav(text, voice=voice))
    return path


async def _wav(text: str, *, voice: str = "es-419") -> bytes:
    """A WAV file in which a text is spoken."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(MIC_RATE)
        out.writeframes((await speech(text, voice=voice)).astype(np.int16).tobytes())
    return file.getvalue()


@asynccontextmanager
async def visiting(browser: Browser, url: str, **options: Any) -> AsyncGenerator[Visit]:
    """A fresh profile in which a page was opened.

    Args:
        browser: The browser.
        url: What to open.
        **options: Of Playwright's `new_context`: locale, color_scheme, viewport.
    """
    context: BrowserContext = await browser.new_context(**options)
    await context.add_init_script(_LISTEN)
    page = await context.new_page()
    visit = Visit(page)

    def asked(request: Request) -> None:
        visit.requests.append(request.url)

    context.on("request", asked)
    page.on("websocket", lambda socket: visit.requests.append(socket.url))
    page.on("pageerror", lambda error: visit.errors.append(str(error)))
    page.on(
        "console",
        lambda said: (
            visit.errors.append(f"{said.text} {said.location['url']}")
            if said.type == "error"
            else None
        ),
    )
    try:
        await page.goto(url)
        yield visit
    except BaseException as error:
        shown = await page.locator("body").inner_text()
        error.add_note(f"The page showed:\n{shown}\nIts errors: {visit.errors}")
        raise
    finally:
        await context.close()

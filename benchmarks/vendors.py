"""The vendors that both bots talk to, with the delays of a measurement."""

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from benchmarks.dictation import DictatedDeepgram
from simulators.vendors.cartesia import CartesiaVendor
from simulators.vendors.openai import ChatRequest, OpenAIVendor, Reply, ToolCall

KEY = "benchmark-key"

GREETING = "Hola, soy tu asistente de voz. ¿En qué te puedo ayudar?"
"""What the scaffold's model says when it is asked to introduce itself."""

_DESCRIPTION = json.dumps({"title": "Prueba", "summary": "Una prueba.", "topics": ["prueba"]})


@dataclass(frozen=True)
class Delays:
    """What the vendors take for themselves, in seconds.

    Parameters:
        final: From the end of speech, as the bot tells it, to the transcript.
        first_token: From a request to the first token of the answer.
        token: Between two tokens.
        first_byte: From a text to its first audio.
    """

    final: float = 0.0
    first_token: float = 0.0
    token: float = 0.0
    first_byte: float = 0.0

    def __str__(self) -> str:
        """In milliseconds, as in "STT 150, first token 350, token 15, TTS 120 ms"."""
        final, first_token, token, first_byte = (
            round(secs * 1000)
            for secs in (self.final, self.first_token, self.token, self.first_byte)
        )
        return f"STT {final}, first token {first_token}, token {token}, TTS {first_byte} ms"


NONE = Delays()
REALISTIC = Delays(final=0.150, first_token=0.350, token=0.015, first_byte=0.120)


class Vendors:
    """Deepgram, OpenAI and Cartesia, serving.

    Attributes:
        answers: What the model answers, by what the user said last, without full stops.
        otherwise: What it answers to anything else.
        calls: The function that it calls first, by what the user said last, likewise.
    """

    def __init__(self) -> None:
        """Create vendors that do not serve yet, with no delays."""
        self.deepgram = DictatedDeepgram(KEY)
        self.openai = OpenAIVendor(KEY)
        self.cartesia = CartesiaVendor(KEY)
        # Quick speech, so that a run does not spend its time listening to answers.
        self.cartesia.char_secs = 0.02
        self.answers: Mapping[str, str] = {}
        self.otherwise = GREETING
        self.calls: Mapping[str, ToolCall] = {}
        self.openai.model = self._answer
        self._delays = NONE

    def delay(self, delays: Delays) -> None:
        """Take this long from now on."""
        self._delays = delays
        self.deepgram.final_secs = delays.final
        self.cartesia.first_byte_secs = delays.first_byte

    def _answer(self, request: ChatRequest) -> Reply:
        if not request.body.get("stream"):
            return Reply(_DESCRIPTION, first_token_secs=self._delays.first_token)
        said = request.last_said.replace(".", "")
        called = self.calls.get(said) if request.messages[-1]["role"] == "user" else None
        return Reply(
            "" if called else self.answers.get(said, self.otherwise),
            calls=(called,) if called else (),
            first_token_secs=self._delays.first_token,
            token_secs=self._delays.token,
        )


@asynccontextmanager
async def serving_vendors() -> AsyncGenerator[Vendors]:
    """Serve all three until the block ends."""
    vendors = Vendors()
    async with AsyncExitStack() as stack:
        for vendor in (vendors.deepgram, vendors.openai, vendors.cartesia):
            await stack.enter_async_context(vendor.serving())
        yield vendors

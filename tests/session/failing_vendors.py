"""The vendors of one call, which fail as its case says."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any
from uuid import uuid4

from simulators.vendors.cartesia import CartesiaVendor
from simulators.vendors.deepgram import DeepgramVendor
from simulators.vendors.faults import Breakage, Fault, Quirk
from simulators.vendors.odd_answers import NOISE, call, chunk, ending, words
from simulators.vendors.openai import ChatRequest, OpenAIVendor, Reply, ToolCall
from simulators.vendors.settings import vendor_settings
from simulators.vendors.websocket import WebSocketVendor
from tests.session.failure_cases import At, Case, How, When

REQUEST = "Quiero viajar a Oaxaca en abril."
REST = "a Oaxaca en abril."
AGAIN = "Quiero comer bien."
WORDS = {
    "request": REQUEST,
    "rest": REST,
    "answer": "Oaxaca tiene montañas, playas y mercados llenos de colores en abril.",
    "first text": "Uno: ¿llueve?",
    "second text": "Dos: ¿hace calor?",
    "third text": "Tres: ¿hay tren?",
    "again": AGAIN,
    "answer again": "Entonces empieza por el mercado del centro.",
}

_CALL = '{"title": ["Un viaje"], "summary": ["Irá"], "topics": "viajes", "outcome": 7, "mood": 1}'
_BEGUN = [words(f"{word} ") for word in WORDS["answer"].split()[:4]]
_ODD: dict[How, list[Any]] = {
    How.NULLS: [
        *NOISE.values(),
        *(piece for word in WORDS["answer"].split() for piece in (words(f"{word} "), chunk(None))),
        ending(),
        *(NOISE[name] for name in NOISE if "usage" in name),
    ],
    How.THINKS: [words("<think>Oaxaca"), words("</think>**"), words("\ud83d"), ending()],
    How.NO_SUCH: [call("no_such_function", "{}"), call("say_goodbye", "{}"), ending("tool_calls")],
    How.STEPS: [call("no_such_function", "{}", id="same"), ending("tool_calls")],
    How.CUT_OFF: [call("wrap_up", '{"title": "Un via'), ending("length")],
    How.ODD_CALL: [call("wrap_up"), call(None, _CALL[:30]), call(None, _CALL[30:]), ending()],
    How.LENGTH: [*_BEGUN, ending("length")],
    How.FILTER: [*_BEGUN, ending("content_filter")],
}

_ROOM_CHARS = 40
"""What a model takes that has little room: a request, without the greeting before it."""

_STATUS = {How.KEY: 401, How.RATE: 429, How.ERROR: 500}
_BREAKAGE = {
    How.ERROR: Breakage.ERROR,
    How.DROPS: Breakage.DROP,
    How.STALLS: Breakage.STALL,
    How.GARBAGE: Breakage.GARBAGE,
    How.DRIPS: Breakage.SLOW,
}
_QUIRKS = {
    How.LOSES: (Quirk.EMPTY,),
    How.LOSES_TWICE: (Quirk.EMPTY,) * 4,
    How.TWICE: (Quirk.TWICE,),
    How.LATE: (Quirk.LATE,),
}
_MODEL_FAULTS = {
    How.DROPS: Reply(drop_after=4),
    How.STALLS: Reply(stall_after=4),
    How.GARBAGE: Reply(garbage_after=4),
    How.DRIPS: Reply(drips=True),
}


@dataclass
class FailingVendors:
    """The vendors of one call.

    Parameters:
        case: How they fail.
    """

    case: Case
    deepgram: DeepgramVendor = field(default_factory=lambda: DeepgramVendor(f"dg-{uuid4()}"))
    openai: OpenAIVendor = field(default_factory=lambda: OpenAIVendor(f"sk-{uuid4()}"))
    cartesia: CartesiaVendor = field(default_factory=lambda: CartesiaVendor(f"ct-{uuid4()}"))

    def __post_init__(self) -> None:
        self.second_openai = OpenAIVendor(f"sk-{uuid4()}")
        self.second_cartesia = CartesiaVendor(self.cartesia.key)
        for model in (self.openai, self.second_openai):
            model.model = _answer
        for voice in (self.cartesia, self.second_cartesia):
            voice.char_secs = 0.025

    @asynccontextmanager
    async def serving(self) -> AsyncGenerator[None]:
        """Serve, the fallbacks too, until the block ends."""
        async with AsyncExitStack() as stack:
            for vendor in (
                *(self.deepgram, self.openai, self.cartesia),
                *(self.second_openai, self.second_cartesia),
            ):
                await stack.enter_async_context(vendor.serving())
            yield

    def settings(self) -> dict[str, str]:
        """What points a call at them."""
        fallbacks = {
            "OPENAI_FALLBACK_BASE_URL": self.second_openai.url,
            "OPENAI_FALLBACK_API_KEY": self.second_openai.key,
            "CARTESIA_FALLBACK_BASE_URL": self.second_cartesia.url,
            "CARTESIA_FALLBACK_VOICE_ID": str(uuid4()),
        }
        return {
            **vendor_settings(self.deepgram, self.openai, self.cartesia),
            **(fallbacks if self.case.fallback else {}),
            "SONORA_STT": "flux" if self.case.at is At.FLUX else "nova-3",
            # A voice of the case's own: what the process keeps of one is not for another.
            "CARTESIA_VOICE_ID": str(uuid4()),
            # The greeting is made ahead in this language, and so not in the one of the call.
            "SONORA_LANGUAGE": "en" if self.case.when is When.GREETING else "es",
        }

    @property
    def socket(self) -> WebSocketVendor:
        """The one that fails, if it is reached by a WebSocket."""
        return self.cartesia if self.case.at is At.CARTESIA else self.deepgram

    async def fail(self) -> None:
        """Fail from now on, or once, as the case has it."""
        case = self.case
        if case.at is At.OPENAI:
            await self._fail_model()
        elif case.how in _QUIRKS:
            self.deepgram.quirks.extend(_QUIRKS[case.how])
        elif case.how is How.REFUSES:
            await self.socket.go_down()
        elif case.when is When.CONNECT:
            self._fail_handshakes()
        elif case.when is When.GREETING and case.at is not At.CARTESIA:
            self.socket.drop()
        elif case.at is At.CARTESIA:
            self.cartesia.fault = Fault(_BREAKAGE[case.how], after_secs=0.4)
        else:
            self.deepgram.fault = Fault(_BREAKAGE[case.how], after_secs=0.7)

    def _fail_handshakes(self) -> None:
        how = self.case.how
        self.socket.drips = how is How.DRIPS
        self.socket.handshake_secs = 3600.0 if how is How.STALLS else 0.0
        self.socket.refuse_with = HTTPStatus(_STATUS[how]) if how in _STATUS else None

    async def _fail_model(self) -> None:
        how = self.case.how
        if how is How.REFUSES:
            await self.openai.go_down()
        elif self.case.when is When.CONNECT:
            fault = Reply(headers_secs=3600.0) if how is How.STALLS else Reply(status=_STATUS[how])
            self.openai.model = lambda request: _only_streamed(request, fault)
        else:
            self.openai.model = _OddModel(how)

    async def recover(self) -> None:
        """Work again."""
        for vendor in (self.deepgram, self.cartesia):
            vendor.refuse_with, vendor.fault = None, None
            vendor.drips, vendor.handshake_secs = False, 0.0
            await vendor.come_back()
        self.openai.model = _answer
        await self.openai.come_back()

    def sounded(self, text: str) -> bool:
        """Whether the sound of a text has left, as a part of one stream of speech."""
        for log in (self.cartesia.log, self.second_cartesia.log):
            streams: dict[str, str] = {}
            for entry in log.of("spoken"):
                streams[entry["context"]] = f"{streams.get(entry['context'], '')} {entry['text']}"
            streams |= {entry["context"]: " ".join(entry["words"]) for entry in log.of("broken")}
            if any(text in stream for stream in streams.values()):
                return True
        return False


def _answer(request: ChatRequest) -> Reply:
    if not request.body["stream"]:
        return Reply("{}")
    answer = "answer again" if request.last_said == AGAIN else "answer"
    return Reply(WORDS[answer], token_secs=0.02)


class _OddModel:
    """A model that answers oddly, until it is exchanged for another.

    What it answers depends on the request alone, as a guess asks it as well.
    """

    def __init__(self, how: How) -> None:
        self._how = how
        self._refused = False

    def __call__(self, request: ChatRequest) -> Reply:
        roles = [message["role"] for message in request.messages]
        since_user = roles[len(roles) - roles[::-1].index("user") :] if "user" in roles else roles
        match self._how:
            case _ if not request.body["stream"]:
                return _answer(request)
            case How.KEY_ONCE if not self._refused:
                self._refused = True
                return Reply(status=401)
            case How.REFUSES_ONE:
                return Reply(status=400)
            case How.TOO_LONG if _talked(request) > _ROOM_CHARS:
                return Reply(status=400, code="context_length_exceeded")
            case How.WAIT:
                return Reply(status=429, headers={"Retry-After": "30"})
            case How.STEPS:
                return Reply(calls=(ToolCall(request.tools[0]),))
            case How.ODD_CALL if "tool" in since_user:
                return _answer(request)
            case how if how in _ODD:
                return Reply(chunks=_ODD[how], token_secs=0.02)
            case how:
                return _only_streamed(request, _MODEL_FAULTS.get(how, Reply()))


def _talked(request: ChatRequest) -> int:
    """How many characters of talk there are in a request."""
    return sum(
        len(message["content"])
        for message in request.messages
        if message["role"] in ("user", "assistant")
    )


def _only_streamed(request: ChatRequest, fault: Reply) -> Reply:
    answer = _answer(request)
    return replace(fault, text=answer.text) if request.body["stream"] else answer

"""OpenAI's chat completions: streamed as server-sent events, or in one piece.

What the model does is a function from a request to a reply. Chunks and completions are made with
the models of OpenAI's SDK, so their shapes are its shapes.
"""

import asyncio
import base64
import itertools
import json
import re
import time
from array import array
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, NoReturn

from aiohttp import web
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from simulators.vendors.faults import DRIP_SECS
from simulators.vendors.log import Log
from simulators.vendors.port import ReservedPort

_CALLS = itertools.count()
"""Numbers the calls of functions: each has an id of its own, as a conversation holds many."""

_ERROR_TYPES = {
    400: "invalid_request_error",
    401: "invalid_request_error",
    429: "requests",
    500: "server_error",
}


@dataclass(frozen=True)
class ToolCall:
    """A function that the model calls."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class Reply:
    """What the model does with one request.

    Parameters:
        text: What it says.
        calls: The functions it calls after that.
        status: The HTTP status; from 400 on there is an error in place of an answer.
        refusal: What an error says.
        code: The code of an error.
        headers: More headers of the response.
        headers_secs: How long the response takes to begin, in seconds.
        held: It does not begin before this is set.
        first_token_secs: How long the first token then takes.
        token_secs: How long each later one takes.
        drop_after: Break the connection off after so many tokens.
        stall_after: Say nothing more after so many tokens, and keep the connection.
        garbage_after: Send something that is no JSON after so many tokens.
        drips: Whether the answer comes a character at a time (a slow loris).
        chunks: What is streamed in place of an answer, as it is: each is a chunk as JSON, or a
            text that is sent in its place.
    """

    text: str = ""
    calls: tuple[ToolCall, ...] = ()
    status: int = 200
    refusal: str = "The model refuses."
    code: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    headers_secs: float = 0.0
    held: asyncio.Event | None = None
    first_token_secs: float = 0.0
    token_secs: float = 0.0
    drop_after: int | None = None
    stall_after: int | None = None
    garbage_after: int | None = None
    drips: bool = False
    chunks: Sequence[Any] | None = None


@dataclass(frozen=True)
class ChatRequest:
    """What the model is asked."""

    body: Mapping[str, Any]

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The conversation so far, instructions included."""
        return self.body["messages"]

    @property
    def tools(self) -> list[str]:
        """The names of the functions it may call."""
        tools: list[dict[str, Any]] = self.body.get("tools") or []
        return [tool["function"]["name"] for tool in tools]

    @property
    def last_said(self) -> str:
        """What the user said last."""
        said = [m["content"] for m in self.messages if m["role"] == "user"]
        newest: str | list[dict[str, Any]] = said[-1] if said else ""
        if isinstance(newest, str):
            return newest
        return " ".join(part["text"] for part in newest if part["type"] == "text")

    @property
    def pictures(self) -> list[bytes]:
        """The pictures in it, as they came."""
        contents = [m["content"] for m in self.messages if isinstance(m.get("content"), list)]
        parts = [part for content in contents for part in content]
        urls = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
        return [base64.b64decode(url.partition(",")[2]) for url in urls]


Model = Callable[[ChatRequest], Reply]

Embeddings = Callable[[Sequence[str]], Sequence[Sequence[float]]]


class OpenAIVendor:
    """A model that does what it is told to.

    Args:
        key: What a client has to show; without it, it is answered 401. Empty: nothing, as a server
            on one's own machine asks for nothing.

    Attributes:
        models: The names of the models that it lists; it has no others, if it has these.
        owner: Whose they are said to be: `llamacpp` serves one model under any name.
        loading: Whether its model is still being loaded.
        model: Decides each reply.
        embeddings: Gives the vectors of texts, in whatever order and number it likes.
        embedding_status: The HTTP status of embeddings.
        embedding_secs: How long they take.
        log: `request` (headers by their lower-case names, body, peer: the client's end of the
            connection), `embedded` (body), `begun` (the first token left), `answered` (the usage
            told), `abandoned` (the client left, or was dropped) and `listed` (peer: the models were
            asked for).
    """

    def __init__(self, key: str = "") -> None:
        """Create a model that has been asked nothing yet."""
        self.key = key
        self.models: Sequence[str] = ()
        self.owner = "library"
        self.loading = False
        self.model: Model = lambda _: Reply("…")
        self.embeddings: Embeddings = lambda texts: [[1.0] + [0.0] * 1535 for _ in texts]
        self.embedding_status = 200
        self.embedding_secs = 0.0
        self.log = Log()
        self.port = 0
        self._reserved: ReservedPort | None = None
        self._runner: web.AppRunner | None = None
        self._site: web.SockSite | None = None

    @property
    def url(self) -> str:
        """The base URL for a client."""
        return f"http://127.0.0.1:{self.port}/v1"

    @asynccontextmanager
    async def serving(self) -> AsyncGenerator[None]:
        """Serve until the block ends."""
        app = web.Application(client_max_size=20_000_000)
        app.router.add_post("/v1/chat/completions", self._complete)
        app.router.add_get("/v1/models", self._list)
        app.router.add_post("/v1/embeddings", self._embed)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        self._reserved = ReservedPort()
        self.port = self._reserved.number
        try:
            await self.come_back()
            yield
        finally:
            await self._runner.cleanup()
            self._reserved.release()

    async def go_down(self) -> None:
        """Be gone: who asks is refused, also on a connection that is still open."""
        site, self._site = self._site, None
        if site is not None:
            await site.stop()

    async def come_back(self) -> None:
        """Serve again after `go_down`, in the same place; or go on."""
        if self._site is not None:
            return
        assert self._runner is not None
        assert self._reserved is not None
        self._site = web.SockSite(self._runner, self._reserved.listen())
        await self._site.start()

    @property
    def bodies(self) -> list[Mapping[str, Any]]:
        """The bodies of all requests so far."""
        return [entry["body"] for entry in self.log.of("request")]

    async def _list(self, request: web.Request) -> web.Response:
        if self._site is None:
            _abort(request)
        self.log.add("listed", peer=_peer(request))
        if self.loading:
            return _refusal(503, "Loading model", None)
        data = [{"id": name, "object": "model", "owned_by": self.owner} for name in self.models]
        return web.json_response({"object": "list", "data": data})

    async def _embed(self, request: web.Request) -> web.Response:
        if self._site is None:
            _abort(request)
        body = await request.json()
        self.log.add("embedded", body=body)
        await asyncio.sleep(self.embedding_secs)
        if self.embedding_status >= 400:
            return _refusal(self.embedding_status, "No.", None)
        texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
        packed = body.get("encoding_format") == "base64"
        data = [
            {
                "object": "embedding",
                "index": index,
                "embedding": base64.b64encode(array("f", vector).tobytes()).decode()
                if packed
                else list(vector),
            }
            for index, vector in enumerate(self.embeddings(texts))
        ]
        # The order of the answer is not that of the texts.
        used = {"prompt_tokens": len(" ".join(texts).split())}
        used["total_tokens"] = used["prompt_tokens"]
        return web.json_response(
            {"object": "list", "data": data[::-1], "model": body["model"], "usage": used}
        )

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        if self._site is None:
            _abort(request)
        body = await request.json()
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.log.add("request", headers=headers, body=body, peer=_peer(request))
        shown = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if self.loading:
            return _refusal(503, "Loading model", None)
        if self.models and self.owner != "llamacpp" and body["model"] not in self.models:
            return _refusal(404, f"model '{body['model']}' not found", "model_not_found")
        if self.key and shown != self.key:
            masked = f"{shown[:3]}****{shown[-4:]}"
            return _refusal(401, f"Incorrect API key provided: {masked}.", "invalid_api_key")
        reply = self.model(ChatRequest(body))
        await asyncio.sleep(reply.headers_secs)
        if reply.held is not None:
            await reply.held.wait()
        if reply.status >= 400:
            return _refusal(reply.status, reply.refusal, reply.code, reply.headers)
        if not body.get("stream"):
            self.log.add("answered", **_usage(body, reply))
            return web.json_response(_completion(body, reply))
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", **reply.headers}
        )
        try:
            await response.prepare(request)
            await self._stream(request, response, body, reply)
            self.log.add("answered", **_usage(body, reply))
        except ConnectionResetError:
            self.log.add("abandoned")
        return response

    async def _stream(
        self,
        request: web.Request,
        response: web.StreamResponse,
        body: Mapping[str, Any],
        reply: Reply,
    ) -> None:
        async def send(chunk: Mapping[str, Any]) -> None:
            made = ChatCompletionChunk.model_validate({**_envelope(body), **chunk})
            data = f"data: {made.model_dump_json(exclude_unset=True)}\n\n".encode()
            for piece in [bytes([byte]) for byte in data] if reply.drips else [data]:
                await response.write(piece)
                if reply.drips:
                    await asyncio.sleep(DRIP_SECS)

        for chunk in reply.chunks or ():
            data = chunk if isinstance(chunk, str) else json.dumps(chunk)
            await response.write(f"data: {data}\n\n".encode())
            await asyncio.sleep(reply.token_secs)
        if reply.chunks is not None:
            await response.write(b"data: [DONE]\n\n")
            await response.write_eof()
            return
        await send(_delta({"role": "assistant", "content": ""}))
        for number, delta in enumerate(_tokens(reply)):
            if number == reply.drop_after:
                _abort(request)
            if number == reply.stall_after:
                await _left(request)
            if number == reply.garbage_after:
                await response.write(b"data: {\n\n")
            await asyncio.sleep(reply.token_secs if number else reply.first_token_secs)
            await send(_delta(delta))
            if not number:
                self.log.add("begun")
        await send(_delta({}, finish="tool_calls" if reply.calls else "stop"))
        if (body.get("stream_options") or {}).get("include_usage"):
            await send({"choices": [], "usage": _usage(body, reply)})
        await response.write(b"data: [DONE]\n\n")
        await response.write_eof()


def _peer(request: web.Request) -> Any:
    return request.transport and request.transport.get_extra_info("peername")


def _abort(request: web.Request) -> NoReturn:
    """Break the connection off."""
    if request.transport is not None:
        request.transport.abort()
    raise ConnectionResetError


async def _left(request: web.Request) -> NoReturn:
    """Wait until the client has left."""
    while request.transport is not None and not request.transport.is_closing():
        await asyncio.sleep(0.05)
    raise ConnectionResetError


def _envelope(body: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": "chatcmpl-simulated",
        "object": "chat.completion.chunk",
        "created": int(time.time()),
        "model": body["model"],
    }


def _delta(delta: Mapping[str, Any], *, finish: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": dict(delta), "finish_reason": finish}]}


def _tokens(reply: Reply) -> list[dict[str, Any]]:
    """The deltas of an answer: a word each, and arguments in pieces."""
    deltas: list[dict[str, Any]] = [
        {"content": token} for token in re.findall(r"\s*\S+", reply.text)
    ]
    for index, call in enumerate(reply.calls):
        named = {"name": call.name, "arguments": ""}
        head = {"id": f"call_{next(_CALLS)}", "type": "function", "function": named}
        deltas.append({"tool_calls": [{"index": index, **head}]})
        arguments = json.dumps(dict(call.arguments), ensure_ascii=False)
        for piece in re.findall(r".{1,12}", arguments):
            deltas.append({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
    return deltas


def _usage(body: Mapping[str, Any], reply: Reply) -> dict[str, int]:
    """A count of tokens: four characters each, as a rule of thumb says, and one per delta."""
    prompt = len(json.dumps([body["messages"], body.get("tools")], ensure_ascii=False)) // 4
    completion = len(_tokens(reply))
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }


def _completion(body: Mapping[str, Any], reply: Reply) -> dict[str, Any]:
    message = {"role": "assistant", "content": reply.text, "refusal": None}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
    made = ChatCompletion.model_validate(
        {
            **_envelope(body),
            "object": "chat.completion",
            "choices": [choice],
            "usage": _usage(body, reply),
        }
    )
    return made.model_dump(mode="json", exclude_unset=True)


def _refusal(
    status: int, message: str, code: str | None, headers: Mapping[str, str] | None = None
) -> web.Response:
    error = {
        "message": message,
        "type": _ERROR_TYPES.get(status, "server_error"),
        "param": None,
        "code": code,
    }
    return web.json_response({"error": error}, status=status, headers=headers)

"""Does the tools that are HTTP requests.

Redirects are followed to the same host alone, and only where nothing is changed by asking. What is
said in a request or an answer stays out of the log.
"""

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpx
from loguru import logger

from sonora_app.tools.answers import AnswerPart, told
from sonora_app.tools.templates import UnusableArgumentError, filled_address, filled_body
from sonora_app.tools.tool import Outcome, OutcomeStatus, Tool, bounded

MAX_BYTES = 256 * 1024
"""How much of an answer is read."""

READING_METHODS = frozenset({"GET", "HEAD"})
"""The methods that change nothing."""

_CONNECT_SECS = 3.0
_REDIRECTS = 3
_PAUSE_SECS = 0.2
"""How long a request that may be repeated waits before it is."""

_NOT_DONE = frozenset({429, 501, 503})
"""The errors of a server that say that it has not done it."""


@dataclass(frozen=True)
class HttpRequest:
    """The request that a tool is.

    Parameters:
        method: Such as `GET`.
        url: Where to, with placeholders in its path and its query.
        headers: Complete: the secrets are in it.
        body: JSON with placeholders; None for no body.
        answer: What the model is told of the answer.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    body: Any = None
    answer: AnswerPart = field(default_factory=AnswerPart)


@dataclass(frozen=True)
class HttpTool:
    """A tool of `flows/tools.yaml`."""

    tool: Tool
    request: HttpRequest


@dataclass(frozen=True)
class _Sent:
    status: int
    body: bytes
    whole: bool


class _NotSentError(Exception):
    """The request has certainly not been done."""


class HttpTools:
    """Does them, with one client for the process.

    Args:
        tools: The tools.
    """

    def __init__(self, tools: Sequence[HttpTool]) -> None:
        """Make the client, which connects where a tool is called."""
        self._requests = {each.tool.name: each.request for each in tools}
        self._client = httpx.AsyncClient(
            follow_redirects=False,
            trust_env=False,
            # What a service remembers of one caller must not go with the request of another.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            timeout=httpx.Timeout(None, connect=_CONNECT_SECS),
            limits=httpx.Limits(max_connections=100, keepalive_expiry=4.0),
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def run(self, tool: Tool, arguments: Mapping[str, Any], *, key: str) -> Outcome:
        """Send the request. See `ToolRunner.run`."""
        began = time.monotonic()
        try:
            async with asyncio.timeout(tool.time_limit_secs):
                status, text = await self._attempts(tool, arguments, key)
        except TimeoutError:
            limit = f"{tool.time_limit_secs:g}"
            status, text = OutcomeStatus.UNKNOWN, f"No answer came within {limit} seconds."
        took = time.monotonic() - began
        logger.info(f"The tool {tool.name} ended after {took:.2f} s: {status}")
        return Outcome(status, bounded(text, tool.max_chars), took)

    async def _attempts(
        self, tool: Tool, arguments: Mapping[str, Any], key: str
    ) -> tuple[OutcomeStatus, str]:
        request = self._requests[tool.name]
        try:
            made = self._made(request, arguments, key)
        except UnusableArgumentError as error:
            return OutcomeStatus.REFUSED, f"{error}."
        status, text = await self._once(tool, request, made)
        if tool.repeatable and status is OutcomeStatus.UNKNOWN:
            await asyncio.sleep(_PAUSE_SECS)
            status, text = await self._once(tool, request, made)
        return status, text

    def _made(self, request: HttpRequest, arguments: Mapping[str, Any], key: str) -> httpx.Request:
        headers = {"Accept": "application/json", **request.headers, "Idempotency-Key": key}
        url = filled_address(request.url, arguments)
        if request.body is None:
            return self._client.build_request(request.method, url, headers=headers)
        content = json.dumps(filled_body(request.body, arguments), ensure_ascii=False).encode()
        headers.setdefault("Content-Type", "application/json")
        return self._client.build_request(request.method, url, headers=headers, content=content)

    async def _once(
        self, tool: Tool, request: HttpRequest, made: httpx.Request
    ) -> tuple[OutcomeStatus, str]:
        try:
            sent = await self._sent(made)
        except _NotSentError as error:
            return OutcomeStatus.FAILED, str(error)
        except httpx.HTTPError:
            return OutcomeStatus.UNKNOWN, "The connection was lost before an answer came."
        if 300 <= sent.status < 400:
            return OutcomeStatus.FAILED, "The service has moved to another address."
        if sent.status >= 500 and sent.status not in _NOT_DONE:
            # Whatever failed there may have failed after it was done.
            return OutcomeStatus.UNKNOWN, f"The service reports an error ({sent.status})."
        if sent.status >= 400:
            text = told(sent.body, AnswerPart(), max_chars=tool.max_chars) if sent.whole else ""
            return OutcomeStatus.FAILED, f"The service refuses ({sent.status}). {text}".strip()
        if not sent.whole:
            return OutcomeStatus.DONE, "It was done, but its answer is too long to be read."
        text = told(sent.body, request.answer, max_chars=tool.max_chars)
        if text is None:
            return OutcomeStatus.DONE, "It was done, but its answer cannot be read."
        return OutcomeStatus.DONE, text

    async def _sent(self, made: httpx.Request) -> _Sent:
        for _ in range(_REDIRECTS + 1):
            try:
                response = await self._client.send(made, stream=True)
            except (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol):
                raise _NotSentError("The service cannot be reached.") from None
            try:
                following = response.next_request
                same = following is not None and _origin(following.url) == _origin(made.url)
                if following is None or not same or made.method not in READING_METHODS:
                    return await _read(response)
                made = following
            finally:
                await response.aclose()
        raise _NotSentError("The service redirects in a circle.")


async def _read(response: httpx.Response) -> _Sent:
    body = b""
    async for piece in response.aiter_bytes():
        body += piece
        if len(body) > MAX_BYTES:
            return _Sent(response.status_code, b"", whole=False)
    return _Sent(response.status_code, body, whole=True)


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port

"""A service that tools ask: it notes what it did, and can be slow, broken or gone."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from simulators.vendors.faults import DRIP_SECS


@dataclass(frozen=True)
class Answer:
    """What the service does with one request.

    Parameters:
        value: What it answers, as JSON.
        status: The HTTP status.
        headers: More headers.
        after_secs: How long it takes.
        held: It is not answered before this is set.
        raw: What it answers in place of `value`, as it is.
        resets: Break the connection off, after having done it.
        hangs: Never answer.
        drips: Answer a byte at a time.
    """

    value: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict[str, str])
    after_secs: float = 0.0
    held: asyncio.Event | None = None
    raw: bytes | None = None
    resets: bool = False
    hangs: bool = False
    drips: bool = False


@dataclass(frozen=True)
class Done:
    """One thing that was done: a request, as it came."""

    method: str
    path: str
    key: str
    headers: dict[str, str]
    body: Any


class ToolApi:
    """A service on loopback.

    Attributes:
        answer: Decides what is done with each request.
        done: What it has done so far: a request is done as soon as it has come.
    """

    def __init__(self) -> None:
        """Create a service that nobody has asked yet."""
        self.answer: Callable[[Done], Answer] = lambda _: Answer({"ok": True})
        self.done: list[Done] = []
        self.url = ""

    @asynccontextmanager
    async def serving(self) -> AsyncGenerator["ToolApi"]:
        """Serve until the block ends."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._do)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()

    async def _do(self, request: web.Request) -> web.StreamResponse:
        text = await request.text()
        headers = {name.lower(): value for name, value in request.headers.items()}
        done = Done(
            request.method,
            request.raw_path,
            headers.get("idempotency-key", ""),
            headers,
            json.loads(text) if text else None,
        )
        self.done.append(done)
        answer = self.answer(done)
        await asyncio.sleep(answer.after_secs)
        if answer.held is not None:
            await answer.held.wait()
        if answer.hangs:
            await asyncio.sleep(3600)
        if answer.resets and request.transport is not None:
            request.transport.abort()
            raise ConnectionResetError
        body = json.dumps(answer.value).encode() if answer.raw is None else answer.raw
        response = web.StreamResponse(status=answer.status, headers=answer.headers)
        await response.prepare(request)
        if answer.drips:
            for number in range(len(body)):
                await response.write(body[number : number + 1])
                await asyncio.sleep(DRIP_SECS)
        else:
            await response.write(body)
        await response.write_eof()
        return response

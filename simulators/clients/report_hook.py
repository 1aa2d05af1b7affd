"""Somebody who takes reports of calls."""

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Literal

from aiohttp import web

Manner = Literal["plain", "silent", "endless"]
"""How it answers: as it should; never; or with a body that has no end."""

SECRET = "whsec_MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0"


class Hook:
    """A server on loopback that takes what is sent to it.

    Attributes:
        url: Where to send it.
        statuses: What it answers first; then 204.
        manner: How it answers.
        retry_after: What it asks for by this header, where it does not take a report.
        came: What was sent, with its headers.
        came_at: When each came, by `time.monotonic`.
        taken: Set once it answered 204.
    """

    def __init__(self) -> None:
        self.url = ""
        self.statuses: list[int] = []
        self.manner: Manner = "plain"
        self.retry_after = ""
        self.came_at: list[float] = []
        self.came: list[tuple[Mapping[str, str], bytes]] = []
        self.taken = asyncio.Event()

    async def take(self, request: web.Request) -> web.StreamResponse:
        self.came_at.append(time.monotonic())
        self.came.append((request.headers, await request.read()))
        if self.manner == "silent":
            await asyncio.Event().wait()
        if self.manner == "endless":
            return await _endless(request)
        status = self.statuses.pop(0) if self.statuses else 204
        if status == 204:
            self.taken.set()
        headers = {"Location": "/elsewhere"}
        if self.retry_after and status != 204:
            headers["Retry-After"] = self.retry_after
        return web.Response(status=status, headers=headers)


async def _endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    with suppress(ConnectionError):
        while True:
            await response.write(bytes(65_536))
    return response


@asynccontextmanager
async def report_hook() -> AsyncGenerator[Hook]:
    """A hook that is there for a while."""
    hook = Hook()
    site = web.Application()
    site.router.add_post("/{path:.*}", hook.take)
    runner = web.AppRunner(site, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        hook.url = f"http://127.0.0.1:{runner.addresses[0][1]}/reports"
        yield hook
    finally:
        await runner.cleanup()

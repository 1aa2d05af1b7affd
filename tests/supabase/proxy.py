"""What may come between the bot and Supabase: a proxy that misbehaves as it is told to.

It may be told anything while it runs, from the event loop it runs on.
"""

import asyncio
import random
import socket
import struct
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Self
from urllib.parse import urlsplit

from simulators.vendors.port import ReservedPort

_LARGEST = 64 * 1024 * 1024


class How(StrEnum):
    """What is done with a request."""

    PASS = "pass"
    DROP = "drop"
    """The connection is closed without an answer."""
    STALL = "stall"
    """There is never an answer."""
    RESET = "reset"
    """The connection is reset in the middle of the answer."""
    CUT = "cut"
    """The connection is closed in the middle of the answer."""
    TRICKLE = "trickle"
    """The answer comes a byte at a time."""
    ANSWER = "answer"
    """There is an answer that is not the server's."""


@dataclass(frozen=True)
class Fault:
    """What is done with a request.

    Parameters:
        how: What is done.
        latency_secs: After how long.
        forwarded: Whether the server gets the request all the same.
        status: The status of an answer that is not the server's.
        headers: Its headers.
        body: Its body.
    """

    how: How = How.PASS
    latency_secs: float = 0.0
    forwarded: bool = True
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""

    @property
    def name(self) -> str:
        """What a count of faults calls it."""
        what = str(self.status) if self.how is How.ANSWER else self.how.value
        return what if self.forwarded else f"{what}, not forwarded"


HEALTHY = Fault()
STALLED = Fault(How.STALL, forwarded=False)
GARBAGE = Fault(How.ANSWER, body=b"<html>\xff not from Supabase", forwarded=False)


def answering(status: int, *, code: str = "", **headers: str) -> Fault:
    """A server, or something in front of it, that answers with `status` instead.

    Args:
        status: The HTTP status.
        code: The code in the body, as PostgREST gives it; empty is a body of another kind.
        headers: Headers; an underscore stands for a hyphen.
    """
    body = f'{{"code":"{code}","message":"no"}}' if code else "<html>no</html>"
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Fault(How.ANSWER, status=status, headers=named, body=body.encode(), forwarded=False)


def at_random(seed: int, *, rate: float) -> Callable[[], Fault]:
    """Every kind of fault there is, at random.

    Args:
        seed: The same seed gives the same faults.
        rate: How many of the requests fail, from 0 to 1.
    """
    numbers = random.Random(seed)
    kinds: tuple[Callable[[], Fault], ...] = (
        lambda: Fault(numbers.choice((How.DROP, How.STALL)), forwarded=numbers.random() < 0.5),
        lambda: Fault(numbers.choice((How.RESET, How.CUT))),
        lambda: Fault(How.TRICKLE),
        lambda: Fault(latency_secs=numbers.uniform(0.1, 0.4)),
        lambda: answering(numbers.choice((401, 403, 500, 503))),
        lambda: answering(409, code="23505"),
        lambda: answering(429, Retry_After=numbers.choice(("0", "1"))),
        # The server did it, and what came back says otherwise.
        lambda: Fault(How.ANSWER, status=numbers.choice((409, 500, 502)), body=b"{}"),
        lambda: Fault(How.ANSWER, body=GARBAGE.body, forwarded=numbers.random() < 0.5),
    )

    def choose() -> Fault:
        return numbers.choice(kinds)() if numbers.random() < rate else HEALTHY

    return choose


class FaultProxy:
    """A proxy in front of one server. While it is stopped, connections to it are refused.

    Attributes:
        choose: Asked for each request what to do with it.
        seen: How often each thing was done.
    """

    def __init__(self, upstream: str) -> None:
        """Set up in front of `upstream`, a URL; `start` starts it."""
        parts = urlsplit(upstream)
        self._upstream = (parts.hostname or "127.0.0.1", parts.port or 80)
        self._port = ReservedPort()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.choose: Callable[[], Fault] = lambda: HEALTHY
        self.seen: Counter[str] = Counter()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self._port.number}"

    def always(self, fault: Fault) -> None:
        """Do this with every request from now on."""
        self.choose = lambda: fault

    async def start(self) -> None:
        """Listen, at the same place as before if it was stopped."""
        self._server = await asyncio.start_server(
            self._serve, sock=self._port.listen(), limit=_LARGEST
        )

    async def stop(self) -> None:
        """Refuse connections, and end those there are."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
        self._port.release()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while await self._answer_one(reader, writer):
                pass
        except (OSError, EOFError):
            pass
        except asyncio.CancelledError:
            # Cancelled by `stop`; the stream server would report it as an error.
            pass
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _answer_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Do something with one request. Gives whether the connection goes on."""
        request = await _read_request(reader)
        fault = self.choose()
        self.seen[fault.name] += 1
        if fault.latency_secs:
            await asyncio.sleep(fault.latency_secs)
        answer = await self._forward(request) if fault.forwarded else b""
        if fault.how is How.STALL:
            # Until the other side has had enough.
            await reader.read()
            return False
        if fault.how is How.DROP:
            return False
        if fault.how is How.ANSWER:
            answer = _answer(fault)
        elif not answer:
            return False
        if fault.how in (How.RESET, How.CUT):
            writer.write(answer[: len(answer) * 2 // 3])
            await writer.drain()
            if fault.how is How.RESET:
                _reset(writer)
            return False
        if fault.how is How.TRICKLE:
            for byte in answer:
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(0.05)
            return True
        writer.write(answer)
        await writer.drain()
        return True

    async def _forward(self, request: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(*self._upstream, limit=_LARGEST)
        try:
            writer.write(request)
            await writer.drain()
            answer = await reader.read(-1)
        finally:
            writer.close()
        head, _, body = answer.partition(b"\r\n\r\n")
        status, *headers = head.split(b"\r\n")
        kept = [
            line
            for line in headers
            if not line.lower().startswith((b"connection:", b"transfer-", b"content-length:"))
        ]
        if any(line.lower().startswith(b"transfer-encoding: chunked") for line in headers):
            body = _joined(body)
        kept.append(b"content-length: %d" % len(body))
        return b"\r\n".join([status, *kept]) + b"\r\n\r\n" + body


async def _read_request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    first, *headers = head.rstrip(b"\r\n").split(b"\r\n")
    length = 0
    kept: list[bytes] = []
    for line in headers:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
        if name.lower() != b"connection":
            kept.append(line)
    body = await reader.readexactly(length)
    return b"\r\n".join([first, *kept, b"Connection: close"]) + b"\r\n\r\n" + body


def _joined(chunked: bytes) -> bytes:
    parts: list[bytes] = []
    while chunked:
        size, _, rest = chunked.partition(b"\r\n")
        length = int(size.split(b";")[0], 16)
        if not length:
            break
        parts.append(rest[:length])
        chunked = rest[length + 2 :]
    return b"".join(parts)


def _answer(fault: Fault) -> bytes:
    headers = {"Content-Type": "text/html", **fault.headers, "Content-Length": str(len(fault.body))}
    lines = [f"HTTP/1.1 {fault.status} no", *(f"{name}: {headers[name]}" for name in headers)]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + fault.body


def _reset(writer: asyncio.StreamWriter) -> None:
    raw: socket.socket = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()

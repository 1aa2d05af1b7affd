#!/usr/bin/env bash
# websockets drops a healthy connection whose messages are read as slowly as they are played.
#
# The guess that fails: pings and their answers are dealt with in the background, whatever the program
# does between two messages; so a connection ends with "keepalive ping timeout" only where the
# network or the other side is gone, or the event loop is blocked. A reader that is slower than the
# sender makes the sender wait (TCP), and nothing is lost.
#
# What happens: with more than `max_queue` messages waiting (16) the library stops reading the socket,
# and so it does not read the answer to its own ping either, which is behind them. 20 s after the ping
# it takes the other side for dead and closes with 1011. A voice that is sent faster than it is heard,
# and played in the loop that receives it, loses its connection so after 40 s, with both sides alive
# and an idle event loop. What had been sent by then is still heard, which hides the loss; the next
# sentence is not.
#
# websockets 15.0.1, and 17.4 does the same. Output seen, of 75 s of speech in messages of 1 s that are
# sent at once, and one more when they were played:
#   played as it comes: 75 s heard of 76, ended sent 1011 (internal error) keepalive ping timeout;
#     no close frame received
#   played from a queue of its own: 76 s heard of 76, ended well
#
# What to do: receive in a task of its own, into a queue of one's own. `max_queue=None` does as well.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet 'websockets==15.0.1'

cat > "$work/run.py" <<'PYTHON'
import asyncio
import sys
from collections.abc import Awaitable, Callable

from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

SECS, ONE_SEC = 75, bytes(48_000)


async def voice(page: ServerConnection) -> None:
    """Sends all of a speech at once, and another second of it whenever it is asked for more."""
    for _ in range(SECS):
        await page.send(ONE_SEC)
    try:
        async for _ in page:
            await page.send(ONE_SEC)
    except ConnectionClosed:
        pass


class Loudspeaker:
    """Each message takes as long as it sounds."""

    def __init__(self) -> None:
        self.heard = 0

    async def play(self, _sound: bytes) -> None:
        await asyncio.sleep(1)
        self.heard += 1


async def as_it_comes(voice: ClientConnection, loudspeaker: Loudspeaker) -> None:
    for _ in range(SECS):
        await loudspeaker.play(await voice.recv())
    await voice.send("more")
    await loudspeaker.play(await voice.recv())


async def ahead(voice: ClientConnection, loudspeaker: Loudspeaker) -> None:
    waiting: asyncio.Queue[bytes] = asyncio.Queue()

    async def receive() -> None:
        async for sound in voice:
            waiting.put_nowait(sound)

    receiving = asyncio.create_task(receive())
    for _ in range(SECS):
        await loudspeaker.play(await waiting.get())
    await voice.send("more")
    await loudspeaker.play(await waiting.get())
    receiving.cancel()


Hearing = Callable[[ClientConnection, Loudspeaker], Awaitable[None]]


async def call(port: int, hear: Hearing) -> tuple[int, str]:
    """How many seconds were heard, and what the call ended by."""
    loudspeaker = Loudspeaker()
    async with connect(f"ws://127.0.0.1:{port}") as connection:
        try:
            await hear(connection, loudspeaker)
        except ConnectionClosed as error:
            return loudspeaker.heard, str(error)
    return loudspeaker.heard, "well"


async def main() -> None:
    async with serve(voice, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        slow, quick = await asyncio.gather(call(port, as_it_comes), call(port, ahead))
    for how, (heard, end) in (("as it comes", slow), ("from a queue of its own", quick)):
        print(f"played {how}: {heard} s heard of {SECS + 1}, ended {end}")
    sys.exit(not ("keepalive ping timeout" in slow[1] and quick == (SECS + 1, "well")))


asyncio.run(main())
PYTHON
for run in 1 2; do "$work/venv/bin/python" "$work/run.py"; done

"""More callers than a process takes: those beyond hear so at once; one who leaves makes room."""

import asyncio
from collections.abc import Generator
from contextlib import AsyncExitStack
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from simulators.clients.bot_process import BotProcess, running_bot
from simulators.clients.webrtc import Page, page

pytestmark = [pytest.mark.session, pytest.mark.slow]

LIMIT = 2


@pytest.fixture
def bot(tmp_path: Path) -> Generator[BotProcess]:
    """A bot that takes two calls at a time, and holds none."""
    with running_bot(tmp_path, SONORA_WAITING_SECS="60", SONORA_MAX_CALLS=str(LIMIT)) as process:
        yield process


async def refusals(bot: BotProcess, **offer: str) -> list[httpx.Response]:
    """What `/start` and an offer are answered."""
    async with httpx.AsyncClient(base_url=bot.url) as http:
        return [
            await http.post("/start", json={"transport": "webrtc"}),
            await http.post("/api/offer", json={"sdp": "v=0", "type": "offer", **offer}),
        ]


async def test_a_caller_too_many_is_told_that_all_lines_are_busy(bot: BotProcess) -> None:
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(page(bot.url)) for _ in range(LIMIT)]
        for number, client in enumerate(clients):
            await client.ready()
            await client.action("set_conversation_id", user_id=f"user-{number}")
        for answer in await refusals(bot):
            assert answer.status_code == 503
            sentence = "All lines are busy. Try again in a moment."
            assert answer.json() == {
                "code": "at_capacity",
                "message": sentence,
                "detail": sentence,
            }
            assert int(answer.headers["Retry-After"]) > 0
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"{bot.url.replace('http', 'ws')}/ws")
        assert refused.value.response.status_code == 503
        # Nothing of a call was built for them, and those inside go on.
        for client in clients:
            so_far = len(client.messages)
            client.type_text("¿Me oyes?")
            await client.event("message-recorded", after=so_far, timeout_secs=20)

    # An offer would take the place that is looked for.
    await let_in(bot)
    async with page(bot.url) as client:
        await client.ready()
        opened = await client.action("set_conversation_id", user_id="later")
        assert opened["type"] == "server-response"


async def test_who_comes_back_is_let_in_though_all_lines_are_busy(bot: BotProcess) -> None:
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(page(bot.url)) for _ in range(LIMIT)]
        for client in clients:
            await client.ready()
        old, other = [
            (await client.action("set_conversation_id", user_id=user))["data"]["d"]
            for client, user in zip(clients, ("ana", "eva"), strict=True)
        ]
        # As a reload: the bot does not know yet that the page is gone.
        clients[0].vanish()
        back = {"conversation_id": old["conversation_id"], "user_id": "ana"}

        # Somebody else's conversation is no way in. It is found out, and makes room again.
        async with page(bot.url, body=back | {"user_id": "eva"}) as stranger:
            await stranger.ready()
            await stranger.event("notice", code="conversation_refused", timeout_secs=20)
            assert [answer.status_code for answer in await refusals(bot)] == [503, 503]
            await stranger.event("notice", code="at_capacity", timeout_secs=20)
            await stranger.event("conversation-ended", reason="no_conversation")
        for named in (back | {"conversation_id": str(uuid4())}, {"user_id": "ana"}):
            with pytest.raises(KeyError):
                await stack.enter_async_context(page(bot.url, body=named))

        await let_in(bot, **back)
        new = await stack.enter_async_context(page(bot.url, body=back))
        await new.ready()
        opened = await new.event("conversation-opened", timeout_secs=20)
        assert (opened["conversation_id"], opened["put_back"]) == (old["conversation_id"], True)
        # Likewise where the offer says it.
        clients[1].vanish()
        named = {"conversation_id": other["conversation_id"], "user_id": "eva"}
        # The one that was taken over before has its place until it is kept.
        await let_in(bot, **named)
        again = await stack.enter_async_context(page(bot.url, offer={"request_data": named}))
        await again.ready()
        opened = await again.event("conversation-opened", timeout_secs=20)
        assert opened["conversation_id"] == other["conversation_id"]
        assert not new.closed.is_set()

        # And where it is said only by message, while somebody's client is silent.
        assert [answer.status_code for answer in await refusals(bot)] == [503, 503]
        new.vanish()
        await let_in(bot)
        newcomer = await stack.enter_async_context(page(bot.url))
        await newcomer.ready()
        refused = await newcomer.action("set_conversation_id", user_id="zoe")
        assert refused["data"]["code"] == "at_capacity"
        assert [answer.status_code for answer in await refusals(bot)] == [503, 503]
        await newcomer.event("conversation-ended", reason="no_conversation", timeout_secs=20)
        await let_in(bot)
        newest = await stack.enter_async_context(page(bot.url))
        await newest.ready()
        opened = (await newest.action("set_conversation_id", **back))["data"]["d"]
        assert (opened["conversation_id"], opened["put_back"]) == (old["conversation_id"], True)


async def let_in(bot: BotProcess, **body: str) -> None:
    """Wait until a start request that says this is let in."""
    request = {"transport": "webrtc", "body": body}
    async with asyncio.timeout(20), httpx.AsyncClient(base_url=bot.url) as http:
        while (await http.post("/start", json=request)).status_code == 503:
            await asyncio.sleep(0.2)


async def test_a_connection_that_there_is_not_makes_no_room(bot: BotProcess) -> None:
    """An offer that claims to renegotiate passes the door, and is not taken behind it."""
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(page(bot.url)) for _ in range(LIMIT)]
        await asyncio.gather(*(client.ready() for client in clients))
        claiming, offer = Page(), {"pc_id": "SmallWebRTCConnection#none"}
        connecting = asyncio.create_task(claiming.connect(bot.url, offer=offer))
        async with asyncio.timeout(30):
            while "A call is not taken" not in bot.logged():
                await asyncio.sleep(0.1)
        assert not connecting.done()
        connecting.cancel()
        await asyncio.gather(connecting, return_exceptions=True)
        await claiming.hang_up()
        assert not any(client.closed.is_set() for client in clients)


async def test_callers_who_come_at_once_are_counted(bot: BotProcess) -> None:
    everybody_knows, knowing = asyncio.Event(), 0
    callers = LIMIT + 3

    def knows() -> None:
        nonlocal knowing
        knowing += 1
        if knowing == callers:
            everybody_knows.set()

    async def calls(number: int) -> bool:
        try:
            # Who says nothing may be let in while a client is silent for a moment.
            async with page(bot.url, body={"user_id": f"user-{number}"}) as client:
                await client.ready()
                knows()
                # Who left sooner would make room.
                await everybody_knows.wait()
        except (KeyError, httpx.HTTPError, OSError):
            knows()
            return False
        return True

    async with asyncio.timeout(60):
        outcomes = await asyncio.gather(*(calls(number) for number in range(callers)))
    assert sum(outcomes) == LIMIT

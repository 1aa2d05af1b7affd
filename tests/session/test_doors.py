"""A running bot, asked by a site that gave its own name this machine's address."""

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from simulators.clients.bot_process import BotProcess

pytestmark = pytest.mark.session

OFFER = {"sdp": "v=0", "type": "offer"}


@pytest.mark.parametrize("name", ["evil.example", "localhost.evil.example"])
async def test_no_call_by_a_foreign_name(bot: BotProcess, name: str) -> None:
    host = f"{name}:{bot.port}"
    rebound = {"host": host, "origin": f"http://{host}", "sec-fetch-site": "same-origin"}
    async with httpx.AsyncClient(base_url=bot.url) as http:
        session = (await http.post("/start", json={"transport": "webrtc"})).json()["sessionId"]
        answers = [
            await http.request(method, path, json=body, headers=rebound)
            for method, path, body in (
                ("POST", "/start", {"transport": "webrtc"}),
                ("POST", "/api/offer", OFFER),
                ("PATCH", "/api/offer", {"pc_id": "1", "candidates": []}),
                ("POST", f"/sessions/{session}/api/offer", OFFER),
                ("GET", "/", None),
                ("GET", "/sonora/api/conversations", None),
            )
        ]
        own = await http.post("/start", json={"transport": "webrtc"}, headers={"origin": bot.url})

    assert [answer.status_code for answer in answers] == [403] * len(answers)
    assert "SONORA_ALLOWED_HOSTS" in answers[0].json()["message"]
    assert own.status_code == 200
    for headers in ({"Host": host, "Origin": f"http://{host}"}, {"Origin": "https://evil.example"}):
        with pytest.raises(InvalidStatus) as refused:
            await _open(f"ws://127.0.0.1:{bot.port}/ws", headers)
        assert refused.value.response.status_code == 403


async def _open(url: str, headers: dict[str, str]) -> None:
    host = headers.pop("Host", None)
    if host is not None:
        # The client writes `Host` itself, from its URL; it may connect elsewhere.
        port = int(url.split(":")[2].split("/")[0])
        url = f"ws://{host}/ws"
        async with connect(url, host="127.0.0.1", port=port, additional_headers=headers):
            return
    async with connect(url, additional_headers=headers):
        return

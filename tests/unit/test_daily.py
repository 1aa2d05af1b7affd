"""Daily's transport, as Pipecat Cloud asks for it, as far as it goes without an account."""

import asyncio
from collections.abc import Callable
from typing import Any, ClassVar

import pytest
from daily import CallClient
from pipecat.transports.daily import transport as daily
from pipecatcloud.agent import DailySessionArguments

from simulators.vendors.rig import rigged
from sonora_app.call.transports import TRANSPORT_PARAMS, build_transport, transport_name

pytestmark = pytest.mark.unit

ROOM, TOKEN = "https://example.invalid/room", "a-token-for-the-room"


class Joining:
    """Daily's own client, which tells what it is to join with, and is let into no room.

    The client cannot be subclassed, and there is no other place to be told of it.
    """

    joined: ClassVar[list[dict[str, Any]]] = []

    def __init__(self, **arguments: Any) -> None:
        self._client = CallClient(**arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def join(
        self,
        meeting_url: str,
        meeting_token: str,
        *,
        client_settings: Any,
        completion: Callable[[None, str], None],
    ) -> None:
        self.joined.append({"url": meeting_url, "token": meeting_token, **client_settings})
        completion(None, "there is no such room")


async def test_the_room_is_joined_with_sound_both_ways_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(daily, "CallClient", Joining)
    arguments = DailySessionArguments(
        session_id="a-session", room_url=ROOM, token=TOKEN, body={"user_id": "user-1"}
    )
    transport = await build_transport(arguments)
    assert transport_name(transport) == "daily"
    errors: list[str] = []

    async def failed(_: object, error: str) -> None:
        errors.append(error)

    transport.add_event_handler("on_error", failed)
    async with rigged(transport.input(), transport.output()):
        async with asyncio.timeout(30):
            while not errors:
                await asyncio.sleep(0.01)
    (joined,) = Joining.joined
    assert (joined["url"], joined["token"]) == (ROOM, TOKEN)
    for part, on in (("inputs", "isEnabled"), ("publishing", "isPublishing")):
        assert joined[part]["microphone"][on]
        assert not joined[part]["camera"][on]
    assert errors == [f"Error joining {ROOM}: there is no such room"]


def test_daily_hears_and_speaks_and_transcribes_nothing() -> None:
    params = TRANSPORT_PARAMS["daily"]()
    assert isinstance(params, daily.DailyParams)
    assert (params.audio_in_enabled, params.audio_out_enabled) == (True, True)
    assert (params.video_in_enabled, params.video_out_enabled) == (False, False)
    assert not params.transcription_enabled
    assert params.audio_out_end_silence_secs > 0

"""How the audio of a call reaches the bot.

That is Daily in the cloud, SmallWebRTC on a developer's machine, and a WebSocket for `pipecat
eval`.
"""

import math
from collections.abc import Callable
from typing import Any

from pipecat.runner.types import RunnerArguments
from pipecat.runner.utils import (
    create_transport,  # pyright: ignore[reportUnknownVariableType]  # a bare Callable in it
)
from pipecat.transports.base_transport import BaseTransport, TransportParams

_END_SILENCE_SECS = 1
"""Silence sent after the farewell, so that the end of it leaves the client's jitter buffer
before the connection closes."""


def _daily() -> TransportParams:
    from pipecat.transports.daily.transport import DailyParams

    return DailyParams(**_AUDIO_BOTH_WAYS)


def _webrtc() -> TransportParams:
    return TransportParams(**_AUDIO_BOTH_WAYS)


def _eval() -> TransportParams:
    from pipecat.evals.transport import EvalTransportParams

    return EvalTransportParams(**_AUDIO_BOTH_WAYS)


_AUDIO_BOTH_WAYS: dict[str, Any] = {
    "audio_in_enabled": True,
    "audio_out_enabled": True,
    "audio_out_end_silence_secs": _END_SILENCE_SECS,
    # It would count the time in which the process stalls; presence/unsent.py does not.
    "audio_out_write_timeout_secs": math.inf,
}

TRANSPORT_PARAMS: dict[str, Callable[[], TransportParams]] = {
    "daily": _daily,
    "webrtc": _webrtc,
    "eval": _eval,
}
"""The parameters of each transport, built only when it is used."""

_NAMES = {
    "DailyTransport": "daily",
    "SmallWebRTCTransport": "webrtc",
    "EvalFastAPIWebsocketTransport": "eval",
    "EvalTransport": "eval",
}


async def build_transport(runner_args: RunnerArguments) -> BaseTransport:
    """The transport that the runner's arguments ask for.

    Raises:
        ValueError: It is one that Sonora does not run on.
    """
    transport = await create_transport(runner_args, TRANSPORT_PARAMS)
    connection = getattr(runner_args, "webrtc_connection", None)
    if connection is not None:
        from sonora_app.runtime.jitter import shorten_jitter_buffers
        from sonora_app.runtime.offers import keep_id, set_up_each_time
        from sonora_app.runtime.opus import encode_voice

        keep_id(connection)
        # Sound that is decoded in two ways within one call ends Pipecat's reading of it.
        set_up_each_time(connection, shorten_jitter_buffers)

        async def connected(*_: object) -> None:
            # A page that connects anew has another connection each time.
            encode_voice(connection.pc)

        # Pipecat sets its track just before it tells that the client is there.
        transport.add_event_handler("on_client_connected", connected)
    return transport


async def hang_up(runner_args: RunnerArguments) -> None:
    """Close the connection of a call that is not held, where it is one of ours to close."""
    connection = getattr(runner_args, "webrtc_connection", None)
    if connection is not None:
        await connection.disconnect()


def transport_name(transport: BaseTransport) -> str:
    """What a session keeps as its transport: `daily`, `webrtc`, `eval`, or a class name."""
    name = type(transport).__name__
    return _NAMES.get(name, name)

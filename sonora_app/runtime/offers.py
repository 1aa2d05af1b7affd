"""What holds for a connection also when its page connects anew: its id, and how it is set up.

Pipecat's handler of offers keeps connections by their ids. A restart gives a connection another id,
and when it is closed the handler lets go only of the last one. So a call whose page had connected
anew would stay in memory for as long as the process lives.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from loguru import logger

if TYPE_CHECKING:
    from aiortc import RTCPeerConnection
    from pipecat.transports.smallwebrtc.connection import SmallWebRTCConnection


def keep_id(connection: "SmallWebRTCConnection") -> None:
    """Have a connection keep its id when it is made anew. Another Pipecat's is left as it is."""
    if not hasattr(connection, "_initialize") or not hasattr(connection, "_pc_id"):
        logger.warning("The connection is not the one of Pipecat 1.14: its id is left as it is")
        return
    initialize, pc_id = connection._initialize, connection.pc_id  # pyright: ignore[reportPrivateUsage]

    def initialize_again() -> None:
        initialize()
        connection._pc_id = pc_id  # pyright: ignore[reportPrivateUsage]

    connection._initialize = initialize_again  # pyright: ignore[reportPrivateUsage]


def set_up_each_time(
    connection: "SmallWebRTCConnection", set_up: Callable[["RTCPeerConnection"], object]
) -> None:
    """Have something set up now, and whenever the page makes an offer, before its sound arrives.

    Args:
        connection: One whose offer was taken.
        set_up: What is done with what aiortc has of it.
    """
    renegotiate = connection.renegotiate

    async def renegotiate_and_set_up(sdp: str, type: str, restart_pc: bool = False) -> None:
        await renegotiate(sdp, type, restart_pc)
        set_up(connection.pc)

    connection.renegotiate = renegotiate_and_set_up
    set_up(connection.pc)

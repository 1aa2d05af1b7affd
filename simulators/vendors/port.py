"""A port of loopback that stays a server's while nobody listens on it."""

import socket
from typing import Self


class ReservedPort:
    """A free port, kept from others until `release`, or until the end of a block that it begins.

    A socket that is bound but does not listen holds it, so that a client is refused, as by a host
    where nothing runs, whenever `listen`'s socket is closed.

    Args:
        number: Which; 0 is any.
    """

    def __init__(self, number: int = 0) -> None:
        """Take it."""
        self._holder = self._bound(number)
        self.number: int = self._holder.getsockname()[1]

    def listen(self) -> socket.socket:
        """A socket that listens on it."""
        listening = self._bound(self.number)
        listening.listen()
        return listening

    def release(self) -> None:
        """Give it back."""
        self._holder.close()

    def __enter__(self) -> Self:
        """Begin a block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Give it back."""
        self.release()

    @staticmethod
    def _bound(port: int) -> socket.socket:
        bound = socket.socket()
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(("127.0.0.1", port))
        return bound

"""A port of loopback that stays the vendor's while nobody listens on it."""

import socket


class ReservedPort:
    """A free port, kept from others until `release`.

    A socket that is bound but does not listen holds it, so that a client is refused, as by a host
    where nothing runs, whenever `listen`'s socket is closed.
    """

    def __init__(self) -> None:
        """Take a free port."""
        self._holder = self._bound(0)
        self.number: int = self._holder.getsockname()[1]

    def listen(self) -> socket.socket:
        """A socket that listens on it."""
        listening = self._bound(self.number)
        listening.listen()
        return listening

    def release(self) -> None:
        """Give it back."""
        self._holder.close()

    @staticmethod
    def _bound(port: int) -> socket.socket:
        bound = socket.socket()
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(("127.0.0.1", port))
        return bound

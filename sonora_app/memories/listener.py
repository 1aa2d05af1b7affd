"""Who is told what becomes of what is remembered of a person."""

from typing import Protocol

from sonora_app.storage.records import Memory


class Listener(Protocol):
    """Who is told what becomes of what is remembered."""

    def memory_kept(self, memory: Memory, replaced: Memory | None) -> None:
        """Something was kept, in the place of something else perhaps."""
        ...

    def memory_ended(self, memory: Memory, *, forgotten: bool) -> None:
        """Something was forgotten, or holds no more."""
        ...

    def memory_changed(self) -> None:
        """What the model is to be told is another than before."""
        ...


class Silent:
    """A listener that does nothing about it."""

    def memory_kept(self, memory: Memory, replaced: Memory | None) -> None:
        """See `Listener`."""

    def memory_ended(self, memory: Memory, *, forgotten: bool) -> None:
        """See `Listener`."""

    def memory_changed(self) -> None:
        """See `Listener`."""

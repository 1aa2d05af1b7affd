"""What a call may use of what is remembered, and how its page is shown it."""

from dataclasses import replace

from sonora_app.call.beginning.opening import OpeningRequest
from sonora_app.memories.facts import MAX_FACTS
from sonora_app.page.protocol import RememberedFact
from sonora_app.settings import MemoryMode, Settings
from sonora_app.storage.history import shortened
from sonora_app.storage.records import Memory
from sonora_app.storage.store import NOTHING, Found, Known, Recall

MEMORY_FUNCTIONS = frozenset({"remember", "forget", "allow_memory"})
"""The functions of the flow that are not offered where nobody is remembered."""

_SHOWN_CHARS = 4_000


def opening_recall(settings: Settings) -> Recall:
    """What opening a conversation reads of what is remembered."""
    if settings.memory is MemoryMode.OFF:
        return NOTHING
    return Recall(limit=MAX_FACTS, shared=settings.shared_memory)


def withheld_functions(settings: Settings, *, knows: bool) -> frozenset[str]:
    """The functions of the flow that the model is not offered; `knows`: there are documents."""
    memory = MEMORY_FUNCTIONS if settings.memory is MemoryMode.OFF else frozenset[str]()
    unseen = frozenset[str]() if settings.sees_pictures else {"look"}
    unrecorded = frozenset[str]() if settings.recording else {"allow_recording"}
    without = memory | unseen | unrecorded
    return without if knows else without | {"look_up"}


def known_to(request: OpeningRequest, found: Found) -> Found:
    """What of `found` may be used: where nobody has proven who asks, nothing that is known of them
    beside the conversation that they name."""
    return found if request.proven else replace(found, known=Known(), previous=None)


def shown(memory: Memory) -> RememberedFact:
    """A fact as the page is told it."""
    return RememberedFact(
        id=memory.id,
        # An older project's may be of any length.
        content=shortened(memory.content, _SHOWN_CHARS),
        said_at=memory.created_at,
        message_id=memory.source_message_id,
        conversation_id=memory.conversation_id,
        valid_until=memory.valid_until,
        replaced_by=memory.replaced_by,
    )

"""Makes the records of one call, each numbered and timed after the one before."""

from datetime import datetime, timedelta
from typing import Any

from sonora_app.storage.positions import Position
from sonora_app.storage.records import Message, RecordedCall, Transition, uuid7


class RecordMaker:
    """Makes the records of one call, in the order in which they are asked for.

    Args:
        call: The call.
    """

    def __init__(self, call: RecordedCall) -> None:
        """Go on after what is kept of the conversation."""
        self.call = call
        self._message_seq = call.last_message_seq
        self._transition_seq = call.last_transition_seq
        # Order is by time, which a clock that steps back, or another machine's, must not break.
        self._message_at = self._transition_at = call.last_at
        self._position_at = max(
            (record.updated_at for record in call.records if isinstance(record, Position)),
            default=None,
        )

    def message(self, moment: datetime, **fields: Any) -> Message:  # noqa: ANN401  # Message's
        """A message that began at `moment`, or just after the one before."""
        created_at = _after(self._message_at, moment)
        message = Message(
            conversation_id=self.call.conversation_id,
            session_id=self.call.session_id,
            seq=self._message_seq + 1,
            created_at=created_at,
            **fields,
        )
        self._message_seq += 1
        self._message_at = created_at
        return message

    def transition(self, moment: datetime, **fields: Any) -> Transition:  # noqa: ANN401
        """A step of the flow at `moment`, or just after the one before."""
        created_at = _after(self._transition_at, moment)
        transition = Transition(
            id=uuid7(),
            conversation_id=self.call.conversation_id,
            session_id=self.call.session_id,
            seq=self._transition_seq + 1,
            created_at=created_at,
            **fields,
        )
        self._transition_seq += 1
        self._transition_at = created_at
        return transition

    def position(self, moment: datetime, **fields: Any) -> Position:  # noqa: ANN401
        """Where the talk is since `moment`, or since the step that led there."""
        # A later call goes by it, and has to come after that step.
        stepped_at = max(moment, self._transition_at or moment)
        self._position_at = updated_at = _after(self._position_at, stepped_at)
        return Position(
            conversation_id=self.call.conversation_id,
            session_id=self.call.session_id,
            updated_at=updated_at,
            **fields,
        )


def _after(earlier: datetime | None, moment: datetime) -> datetime:
    """`moment`, or the next one after `earlier` where that is later."""
    if earlier is None or moment > earlier:
        return moment
    return earlier + timedelta(microseconds=1)

"""Decides whether a person who comes back is put back where the talk broke off, or greeted.

They are put back when the last call of the conversation did not come to its end, and was there a
short while ago (SONORA_RETURN_SECS), or still now. Whether it was there still now is not asked of
the clock: it may have been on another machine, whose clock differs. Where they are put the flow
says: its `set_conversation_id` has a case `back_in_<node>` for each node that one can come back to.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sonora_app.storage.positions import STATE_CHARS, Standing
from sonora_app.storage.records import EndReason, Role, utc_now
from sonora_app.storage.store import Opening

CASE = "back_in_"
"""How the cases of the flow begin that put a person back; the node follows that they were in."""

_BROKEN_OFF = frozenset(
    {
        *(EndReason.CLIENT_LEFT, EndReason.TAKEN_OVER, EndReason.SHUTDOWN),
        *(EndReason.ERROR, EndReason.CRASHED),
    }
)
"""The ends of a call that are no end of the talk."""

_KNOWN_ANYWAY = frozenset(
    {"language", "user", "history", "knowledge", "acting", "memory", "sight", "recording"}
)
"""The placeholders of the prompts that are filled in anew in each call."""


@dataclass(frozen=True)
class Return:
    """Where the talk broke off.

    Parameters:
        node: The node of the flow.
        state: What the flow's prompts need to go on from there.
        unheard: The fixed line that the bot was about to speak, where nothing of it was heard.
        undescribed: Whether the call had no chance to sum up what was said in it.
    """

    node: str
    state: Mapping[str, str]
    unheard: str | None
    undescribed: bool


def place_of_return(
    opening: Opening, nodes: Collection[str], within_secs: float, *, made_way: bool
) -> Return | None:
    """Where to put a person back in a conversation; None where they are to be greeted.

    Args:
        opening: What is known of the conversation.
        nodes: The nodes that one can come back to.
        within_secs: How long ago the last call may have given a sign of life, in seconds.
        made_way: Whether the last call was just asked to end, since the person is here.
    """
    standing = opening.standing
    if standing is None or standing.position.node not in nodes:
        return None
    if standing.end_reason not in (None, *_BROKEN_OFF):
        return None
    last_sign_at = max(standing.last_sign_at, _last_message_at(opening, standing))
    went_on = made_way and standing.end_reason is not EndReason.CRASHED
    if within_secs <= 0 or not (
        went_on or utc_now() - last_sign_at <= timedelta(seconds=within_secs)
    ):
        return None
    position = standing.position
    heard = _was_heard(opening, standing)
    if position.saying and not heard and standing.end_reason not in (None, EndReason.CRASHED):
        # All that was heard is kept, and it was nothing: say that line now.
        return None
    return Return(
        node=position.node,
        state=position.state,
        unheard=None if heard else position.saying,
        undescribed=position.node != "wrap_up"
        and standing.end_reason in (None, EndReason.TAKEN_OVER, EndReason.CRASHED),
    )


def kept_state(state: Mapping[str, object]) -> dict[str, str]:
    """What of the flow's state has to be kept for the prompts: the texts not known anyway."""
    return {
        name: value[:STATE_CHARS]
        for name, value in state.items()
        if isinstance(value, str) and value and name not in _KNOWN_ANYWAY
    }


def _last_message_at(opening: Opening, standing: Standing) -> datetime:
    return opening.conversation.last_message_at or standing.last_sign_at


def _was_heard(opening: Opening, standing: Standing) -> bool:
    """Whether anything was heard of the bot in the call that the position is of."""
    return any(
        message.session_id == standing.position.session_id and message.role == Role.ASSISTANT
        for message in opening.messages
    )

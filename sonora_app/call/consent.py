"""Whether the person agrees to have the call's sound kept: what they said, and what is kept of it.

They say it in the page, or to the bot when it asks. What they said stays with the talk when it goes
on after a lost connection, and a no counts more than a yes: whoever said no to the bot is not
recorded because the page still says yes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from sonora_app.storage.files.kept_file import SOUND, KeptFile
from sonora_app.storage.records import JsonObject

Asker = Literal["page", "voice"]
"""Who asked the person."""

MAY_RECORD, PARTS = "may_record", "recorded_in"
"""Under which names the flow's state has what they said, and the calls in which it was recorded."""

_MOST_PARTS = 50
"""Lost connections in one talk; what the state keeps of it is cut beyond."""


@dataclass(frozen=True)
class Consent:
    """What a person has said when a call begins.

    Parameters:
        agreed: Whether they agree; None: they have not been asked.
        by: Who asked them.
        parts: The earlier calls of the same talk that were recorded.
    """

    agreed: bool | None = False
    by: Asker = "page"
    parts: tuple[UUID, ...] = ()


def consent_of(page: bool | None, state: Mapping[str, str]) -> Consent:
    """What is known of it from the page, and from the talk that broke off.

    Args:
        page: What the page says; None says nothing.
        state: What the flow's state had of it; empty where the talk is new.
    """
    said = {"yes": True, "no": False}.get(state.get(MAY_RECORD, ""))
    parts = tuple([UUID(each) for each in state.get(PARTS, "").split()])
    if page is False or said is False:
        return Consent(False, "page" if page is False else "voice", parts)
    return Consent(True if page or said else None, "page" if page else "voice", parts)


def state_of(agreed: bool, parts: Sequence[UUID]) -> dict[str, str]:
    """What the flow's state keeps of it."""
    kept = " ".join(str(each) for each in parts[-_MOST_PARTS:])
    return {MAY_RECORD: "yes" if agreed else "no", PARTS: kept}


def sound_of(owner_id: str | None, conversation_id: UUID, session_id: UUID) -> KeptFile:
    """The file of a call's sound."""
    return KeptFile.of(owner_id, conversation_id, session_id, SOUND)


def kept_consent(by: Asker, at: datetime, sound: KeptFile | None) -> JsonObject:
    """What is kept with a call: who asked, when they said it, and the file; None: they said no."""
    if sound is None:
        return {"recording": {"consent": "refused", "by": by, "refused_at": at.isoformat()}}
    agreed = {"consent": by, "agreed_at": at.isoformat(), "file": sound.reference("call.ogg")}
    return {"recording": agreed}

"""Whether the person agrees to have the call's sound kept: what they said, and what is kept of it.

They say it in the page, or to the bot when it asks. What they said stays with the talk when it goes
on after a lost connection, and a no counts more than a yes: whoever said no to the bot is not
recorded because the page still says yes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal
from uuid import UUID

from sonora_app.storage.files.kept_file import SOUND, KeptFile
from sonora_app.storage.records import JsonObject, utc_now

Asker = Literal["page", "voice"]
"""Where the person said it: in the page, or to the bot."""

MAY_RECORD, SAID_BY, SAID_AT = "may_record", "may_record_by", "may_record_at"
"""Under which names the flow's state has what they said, where, and when."""
PARTS = "recorded_in"
"""Under which name it has the calls in which the talk was recorded."""

_MOST_PARTS = 50
"""Lost connections in one talk; what the state keeps of it is cut beyond."""


@dataclass(frozen=True)
class Consent:
    """What a person has said.

    Parameters:
        agreed: Whether they agree; None: they have not been asked.
        by: Where they said it.
        at: When they said it.
        parts: The calls of the same talk that were recorded.
    """

    agreed: bool | None = False
    by: Asker = "page"
    at: datetime = field(default_factory=utc_now)
    parts: tuple[UUID, ...] = ()

    def state(self) -> dict[str, str]:
        """What the flow's state keeps of it."""
        return {
            MAY_RECORD: "yes" if self.agreed else "no",
            SAID_BY: self.by,
            SAID_AT: self.at.isoformat(),
            PARTS: " ".join(str(each) for each in self.parts[-_MOST_PARTS:]),
        }

    def kept(self, sound: KeptFile | None) -> JsonObject:
        """What is kept with the call.

        Args:
            sound: The file that begins now; None: nothing is recorded.
        """
        said = {
            "consent": "agreed" if self.agreed else "refused",
            "by": self.by,
            "at": self.at.isoformat(),
        }
        begun: JsonObject = {}
        if sound is not None:
            file = sound.reference("call.ogg")
            begun = {"file": file, "began_at": utc_now().isoformat()}
        return {"recording": said | begun}


def consent_of(page: bool | None, state: Mapping[str, str]) -> Consent:
    """What is known of it from the page, and from the talk that broke off.

    Args:
        page: What the page says; None says nothing.
        state: What the flow's state had of it; empty where the talk is new.
    """
    parts = tuple([UUID(each) for each in state.get(PARTS, "").split()])
    said = {"yes": True, "no": False}.get(state.get(MAY_RECORD, ""))
    if said is False or (said is True and page is not False):
        by: Asker = "page" if state.get(SAID_BY) == "page" else "voice"
        at = state.get(SAID_AT)
        return Consent(said, by, datetime.fromisoformat(at) if at else utc_now(), parts)
    return Consent(page, parts=parts)


def sound_of(owner_id: str | None, conversation_id: UUID, session_id: UUID) -> KeptFile:
    """The file of a call's sound."""
    return KeptFile.of(owner_id, conversation_id, session_id, SOUND)

"""The questions that nothing was found for: in the memory of the process, and nowhere else."""

import time
from collections import deque
from dataclasses import dataclass

_REMEMBERED = 100


@dataclass(frozen=True)
class Unanswered:
    """A question that nothing was found for.

    Parameters:
        question: What was asked, cleaned.
        user_id: Who asked.
        asked_at: When, in seconds of the epoch.
    """

    question: str
    user_id: str | None
    asked_at: float


class RemembersUnanswered:
    """Remembers the newest 100 of them. They are gone with the process."""

    def __init__(self) -> None:
        """Start with none."""
        self.unanswered: deque[Unanswered] = deque(maxlen=_REMEMBERED)

    def missed(self, question: str, user_id: str | None) -> None:
        """Remember that nothing was found for a question."""
        self.unanswered.append(Unanswered(question, user_id, time.time()))

    def forget(self, user_id: str) -> None:
        """Forget what a user asked."""
        kept = [each for each in self.unanswered if each.user_id != user_id]
        self.unanswered.clear()
        self.unanswered.extend(kept)

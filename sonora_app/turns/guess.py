"""The guess that the user's turn is over, and what becomes of the answer to it."""

from collections.abc import Generator
from contextlib import contextmanager

from pipecat.turns.types import UserTurnSpeculation
from pipecat.turns.user_stop import NormalizedMatch
from pipecat.utils.utils import obj_id

_MATCH = NormalizedMatch()


class Guess:
    """What the model was asked before the turn was over, if it was.

    Attributes:
        is_whole: Whether what it was asked with is all that the user was asked for, by the words.
            Then only other words take it back.
        refused: Whether the model wants a tool, which it gets only in a turn that is over. It is
            asked no more until the user says more.
    """

    def __init__(self) -> None:
        """Nothing was asked yet."""
        self.is_whole = self.refused = False
        # Frames that were made before have lower ids.
        self._asked_at = obj_id()
        self._gist: str | None = None  # of what the model was asked with
        # Whether its answer has begun, whether the turn is being ended with it, and whether the
        # turn that is over was.
        self._begun = self._confirmed = self._kept = False

    @property
    def stands(self) -> bool:
        """Whether the model was asked, and was not let speak yet."""
        return self._gist is not None

    @property
    def is_awaited(self) -> bool:
        """Whether an answer is still to begin."""
        return self.stands and not self._begun

    def is_of(self, gist: str) -> bool:
        """Whether the model was asked with what comes to this, however it is written."""
        return self._gist is not None and _MATCH.matches(self._gist, gist)

    def ask(self, text: str, gist: str, *, whole: bool) -> UserTurnSpeculation:
        """Take `text` for the whole turn, and give what the model is asked with.

        Args:
            text: What was said.
            gist: What it comes to.
            whole: Whether it is all that was asked for.
        """
        self._gist, self.is_whole, self._begun = gist, whole, False
        self._asked_at = obj_id()
        return UserTurnSpeculation(text=text)

    def begins(self, request: int) -> None:
        """The model has begun to answer a request, which may be of a guess that was given up."""
        if request > self._asked_at:
            self._begun = True

    def refuse(self, request: int) -> bool:
        """The model wants a tool.

        Args:
            request: The id of the frame that asked it, which may be of a guess that was given up.

        Returns:
            Whether the turn has ended with this guess meanwhile, so that nobody answers it.
        """
        if request < self._asked_at:
            return False
        kept, self._kept = self._kept, False
        self._gist, self.refused = None, True
        return kept

    def drop(self) -> bool:
        """Give the guess up. Returns whether there was one."""
        stood, self._gist, self.is_whole = self.stands, None, False
        return stood

    @contextmanager
    def confirmed(self) -> Generator[None]:
        """Keep the guess if the turn ends meanwhile. It may not: the user may have gone on."""
        self._confirmed = True
        try:
            yield
        finally:
            self._confirmed = False

    def turn_is_over(self) -> None:
        """Leave the answer to what ended the turn, if it was confirmed."""
        if self._confirmed:
            self._gist, self._kept = None, True

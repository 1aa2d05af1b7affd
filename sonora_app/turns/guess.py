"""The guess that the user's turn is over, and what becomes of the answer to it."""

from collections.abc import Generator
from contextlib import contextmanager

from pipecat.turns.types import UserTurnSpeculation

from sonora_app.turns.so_far import SoFar


class Guess:
    """What the model was asked before the turn was over, if it was.

    Attributes:
        refused: Whether the model wants a tool, which it gets only in a turn that is over. It is
            asked no more until the user says more.
    """

    def __init__(self) -> None:
        """Nothing was asked yet."""
        self.refused = False
        self._asked: UserTurnSpeculation | None = None
        # Whether its answer has begun, whether the turn is being ended with it, and whether the
        # turn that is over was.
        self._begun = self._confirmed = self._kept = False

    @property
    def stands(self) -> bool:
        """Whether the model was asked, and was not let speak yet."""
        return self._asked is not None

    @property
    def is_awaited(self) -> bool:
        """Whether an answer is still to begin."""
        return self.stands and not self._begun

    def is_of(self, so_far: SoFar) -> bool:
        """Whether the model was asked with all that was said."""
        return self._asked is not None and so_far.is_said(self._asked.text)

    def ask(self, text: str) -> UserTurnSpeculation:
        """Take `text` for the whole turn, and give what the model is asked with."""
        self._asked, self._begun = UserTurnSpeculation(text=text), False
        return self._asked

    def begins(self) -> None:
        """The model has begun to answer."""
        self._begun = True

    def refuse(self) -> bool:
        """The model wants a tool.

        Returns:
            Whether the turn has ended with this guess meanwhile, so that nobody answers it.
        """
        kept, self._kept = self._kept, False
        self._asked, self.refused = None, True
        return kept

    def drop(self) -> bool:
        """Give the guess up. Returns whether there was one."""
        stood, self._asked = self.stands, None
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
            self._asked, self._kept = None, True

"""What is known of a turn that is not over."""

import time
from dataclasses import dataclass, field


@dataclass
class SoFar:
    """What is known of the user's turn so far.

    Parameters:
        said: The final transcripts, in order.
        more_coming: Whether more words were announced than came.
        all_transcribed: Whether what was said up to the present pause is transcribed.
        quiet_since: When the present pause began, in monotonic seconds; None: there is none.
        complete: Whether the turn sounds complete.
        spoken_anew: Whether words were announced after all up to the pause was transcribed: then
            somebody speaks, whatever Silero makes of it.
    """

    said: list[str] = field(default_factory=list[str])
    more_coming: bool = False
    all_transcribed: bool = False
    quiet_since: float | None = None
    complete: bool = False
    spoken_anew: bool = False

    @property
    def text(self) -> str:
        """All that was said."""
        return " ".join(self.said)

    def heard(self, text: str, *, finalized: bool) -> None:
        """A final transcript came; `finalized` tells that it holds all up to the pause."""
        self.said.append(text)
        self.more_coming = self.spoken_anew = False
        self.all_transcribed = self.all_transcribed or finalized

    def announced(self, *, speaking: bool) -> None:
        """An interim transcript came: more words are to come.

        Args:
            speaking: Whether Silero has reported that the user speaks.
        """
        self.spoken_anew = self.spoken_anew or self.all_transcribed
        self.more_coming, self.all_transcribed = True, False
        if self.spoken_anew and not speaking:
            self.quiet_since = time.monotonic()

    def goes_on(self) -> None:
        """The user speaks again: the pause was none."""
        self.quiet_since = None
        self.complete = self.all_transcribed = self.spoken_anew = False

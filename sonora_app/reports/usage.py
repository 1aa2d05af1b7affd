"""What the vendors count of a call: tokens, seconds of audio, characters."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

STAND_IN = "stand_in"
"""The provider of what a stand-in of the rehearsal did."""

ON_THIS_MACHINE = "local"
"""The provider of what a model on this machine did."""

UNPAID = frozenset({STAND_IN, ON_THIS_MACHINE})
"""The providers that no vendor is, so that nobody charges for them."""

Part = Literal["stt", "llm", "tts"]
"""Recognition, the language model, the voice."""


class Used(BaseModel):
    """What one model of one provider did in a call.

    A recogniser has seconds of audio, a language model tokens, a voice characters. `answers` is how
    many answers of a language model were counted. `uncounted` is how many more were asked for: a
    vendor tells the tokens at an answer's end, which one that is cut off, or thrown away, does not
    reach.
    """

    model_config = ConfigDict(frozen=True)

    part: Part
    provider: str = Field(description="A vendor; the host of a gateway; `local`, or `stand_in`.")
    model: str | None = None
    audio_secs: float | None = None
    prompt_tokens: int | None = Field(default=None, description="Those from the cache included.")
    cached_tokens: int | None = None
    completion_tokens: int | None = None
    answers: int | None = None
    uncounted: int | None = None
    characters: int | None = None

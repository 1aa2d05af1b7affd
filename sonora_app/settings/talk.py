"""The settings of a call: its language, when a turn is over, and how long everything may take."""

from pathlib import Path

from pydantic import Field

from sonora_app.settings.choices import Language, Seconds
from sonora_app.settings.environment import EnvironmentSettings


class TalkSettings(EnvironmentSettings):
    """Calls."""

    language: Language = Field(
        Language.ES,
        validation_alias="SONORA_LANGUAGE",
        description="What is spoken when the page does not say: `es` or `en`.",
    )
    change_language: bool = Field(
        False,
        validation_alias="SONORA_CHANGE_LANGUAGE",
        description="Whether a person who changes to the other language, Spanish or English, in "
        "mid-call is answered in it, and by its voice. It works with Deepgram's `nova-3`, "
        "`nova-2` and `flux`, and with Whisper. `False` because Deepgram is then asked for its "
        "multilingual recognition, which has a price of its own, and Whisper takes 0.1 s more of "
        "the processor for each stretch of speech ([turns.md](turns.md)).",
    )
    answer_early: bool = Field(
        True,
        validation_alias="SONORA_ANSWER_EARLY",
        description="Whether the model is asked as soon as a turn sounds complete, and its answer "
        "held back until the turn is over. `False` saves the requests that are thrown away when "
        "the user goes on.",
    )
    prompt_chars: int = Field(
        8_000,
        validation_alias="SONORA_PROMPT_CHARS",
        ge=1_000,
        description="How many characters of a call the model is sent before what is old in it is "
        "summed up. That is done beside the call.",
    )
    unfinished_secs: Seconds = Field(
        1.4,
        validation_alias="SONORA_UNFINISHED_SECS",
        description="The silence that ends a turn which sounds incomplete, or whose last word "
        "leaves the sentence open. It counts from where Silero tells of the pause, 0.16 s after "
        "the last word.",
    )
    waiting_secs: Seconds | None = Field(
        None,
        validation_alias="SONORA_WAITING_SECS",
        description="How long a call waits for its conversation id. Empty: 5 on your own machine "
        "(then a fresh conversation opens), 60 elsewhere and with `verified` identity (then the "
        "call ends).",
    )
    return_secs: float = Field(
        600.0,
        validation_alias="SONORA_RETURN_SECS",
        ge=0,
        description="How long after a call broke off the user is put back where the talk was, and "
        "not greeted again. With 0 everybody is greeted.",
    )
    idle_secs: float = Field(
        12.0,
        validation_alias="SONORA_IDLE_SECS",
        ge=0,
        description="The silence of the user after which Sonora asks whether they are there. With "
        "0 it never asks.",
    )
    idle_nudges: int = Field(
        2,
        validation_alias="SONORA_IDLE_NUDGES",
        ge=0,
        description="How often Sonora asks before it winds the call up.",
    )
    max_call_secs: Seconds = Field(
        1800.0,
        validation_alias="SONORA_MAX_CALL_SECS",
        description="The longest that a call may last. Then it is wound up. Keep "
        "`max_session_duration` in `pcc-deploy.toml` above it.",
    )
    call_warning_secs: float = Field(
        60.0,
        validation_alias="SONORA_CALL_WARNING_SECS",
        ge=0,
        description="How long before that limit the caller is told of it. With 0 nothing is told.",
    )
    closing_secs: Seconds = Field(
        30.0,
        validation_alias="SONORA_CLOSING_SECS",
        description="How long winding up may take before the farewell, and the farewell before "
        "the call is cut.",
    )
    summary_secs: Seconds = Field(
        8.0,
        validation_alias="SONORA_SUMMARY_SECS",
        description="How long the summary after a call may take.",
    )
    knowledge_secs: Seconds = Field(
        0.25,
        validation_alias="SONORA_KNOWLEDGE_SECS",
        description="How long an answer waits for what the documents say. After that it is given "
        "without them.",
    )
    tools_file: Path | None = Field(
        None,
        validation_alias="SONORA_TOOLS_FILE",
        description="The file that declares what the bot can do besides talking (docs/tools.md). "
        "Empty: `flows/tools.yaml`.",
    )
    drain_secs: Seconds = Field(
        5.0,
        validation_alias="SONORA_DRAIN_SECS",
        description="How long the end of a call waits for its last records to be written.",
    )

    @property
    def longest_call_secs(self) -> float:
        """The longest that a call can take until it is kept, in seconds."""
        return self.max_call_secs + 2 * self.closing_secs + self.summary_secs + 2 * self.drain_secs

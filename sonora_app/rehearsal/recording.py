"""What the scripted interlocutor does about recording: asks once, and does what the person says."""

from collections.abc import Sequence

from sonora_app.flow.lines import Lines
from sonora_app.rehearsal.recall import read_object
from sonora_app.rehearsal.turns import CallTool, Kind, Say, Turn
from sonora_app.rehearsal.wording import rest_after

ALLOW = "allow_recording"
"""The function of the flow by which the person's answer is told."""

_ASK = "rehearsal.recording.ask"


def recording_move(
    turns: Sequence[Turn], message: int, text: str, lines: Lines
) -> Say | CallTool | None:
    """What to do about recording; None where nothing is said about it.

    Args:
        turns: The conversation so far.
        message: Which of them the person said last.
        text: The words of it.
        lines: In the language of the call.
    """
    since = turns[message:]
    if any(turn.kind is Kind.TOOL_CALL and turn.text == ALLOW for turn in since):
        result = next((t.text for t in reversed(since) if t.kind is Kind.RESULT), "")
        return Say(lines.text(f"rehearsal.recording.{_outcome(result)}"))
    before = next((t.text for t in reversed(turns[:message]) if t.kind is Kind.ASSISTANT), "")
    asked = before.endswith(lines.text(_ASK))
    # What one does not want is looked for first: it may hold the words of a yes.
    for allowed, key, plain in ((False, "off_words", "no_words"), (True, "on_words", "yes_words")):
        if _has(text, key, lines) or (asked and _has(text, plain, lines)):
            return CallTool(ALLOW, {"allowed": allowed})
    return None


def is_about_recording(text: str, lines: Lines) -> bool:
    """Whether the person talks of recording, which is no topic of the talk."""
    return any(_has(text, key, lines) for key in ("off_words", "on_words"))


def with_question(turns: Sequence[Turn], reply: str, lines: Lines) -> str:
    """A reply, and the question whether the call may be recorded, where it is to be asked now."""
    ask, told = lines.text(_ASK), lines.text("prompt.recording.ask").split()
    wanted = any(t.kind is Kind.TASK and _holds(t.text.split(), told) for t in turns)
    asked = any(t.kind is Kind.ASSISTANT and ask in t.text for t in turns)
    return f"{reply} {ask}" if wanted and not asked else reply


def _holds(words: list[str], wanted: list[str]) -> bool:
    return " ".join(wanted) in " ".join(words)


def _outcome(result: str) -> str:
    outcomes = {"recording": "on", "erased": "erased", "not_recorded": "off"}
    status = str(read_object(result).get("status"))
    return outcomes.get(status, "failed")


def _has(text: str, key: str, lines: Lines) -> bool:
    return rest_after(text, f"rehearsal.recording.{key}", lines) is not None

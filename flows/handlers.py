"""The functions and actions that `sonora.yaml` names.

A function does its work and returns `(result, TRANSITION_IN_YAML)`: where it leads is written
in the YAML alone. Its docstring is what the language model reads as the tool's description; one
that ends in `(event)` is not shown to the model. Pipecat reads the signatures, so the
annotations here are evaluated ones.
"""

from collections.abc import Mapping
from typing import Any, Literal

from pipecat.flows import TRANSITION_IN_YAML, FlowManager

from sonora_app.call.call import STATE_KEY, Call
from sonora_app.flow.driver import ANSWER_ON_ARRIVAL

Result = tuple[dict[str, Any], Any]


def _call(flow_manager: FlowManager) -> Call:
    call: Call = flow_manager.state[STATE_KEY]
    return call


# --- Functions


async def set_conversation_id(
    flow_manager: FlowManager,
    conversation_id: str,
    user_id: str,
    language: str,
) -> Result:
    """Go on with the conversation that was opened for the page, or wait on without one. (event)

    Args:
        conversation_id: Which conversation was asked for; empty for a new one.
        user_id: Whose it is.
        language: What to speak; empty for the conversation's own.
    """
    call = _call(flow_manager)
    if call.opened is None:
        return {"status": "rejected"}, TRANSITION_IN_YAML
    flow_manager.state.update(call.prompt_facts())
    return {"status": "ready"}, TRANSITION_IN_YAML


async def wrap_up(
    flow_manager: FlowManager,
    title: str,
    summary: str,
    topics: list[str],
    outcome: Literal["resolved", "unresolved", "informational", "interrupted"],
) -> Result:
    """Bring the conversation to an end. Call it when the person is done or says goodbye.

    Args:
        title: What it was about, in at most six words.
        summary: Two or three sentences: what the person wanted, what was settled, what stays
            open, and any fact about the person worth remembering next time.
        topics: One to five topics, each in one to four words, the latest first.
        outcome: What came of it.
    """
    call = _call(flow_manager)
    call.describe(title=title, summary=summary, topics=topics, outcome=outcome)
    flow_manager.state["wrap_up_reason"] = call.wrap_up_reason()
    return {"status": "wrapping_up"}, TRANSITION_IN_YAML


async def look_up(flow_manager: FlowManager, question: str) -> Result:
    """Look something up in the documents, when the passages that came with what the person said
    do not hold it. Say in a few words that you are looking before you call it.

    Args:
        question: What to look for, as one whole question that needs no other to be understood.
    """
    call = _call(flow_manager)
    found = await call.grounding.look_up(question) if call.grounding else ""
    result = {"status": "found" if found else "nothing_found", "passages": found}
    return result, None


async def resume_conversation(flow_manager: FlowManager) -> Result:
    """The person wants to go on talking, or brought up anything at all."""
    flow_manager.state[ANSWER_ON_ARRIVAL] = True
    return {"status": "resumed"}, TRANSITION_IN_YAML


# --- Actions


async def mute_user(action: Mapping[str, Any], flow_manager: FlowManager) -> None:
    """Stop listening to the user, and stop sending their voice to the recogniser."""
    await _call(flow_manager).mute_user(True)


async def unmute_user(action: Mapping[str, Any], flow_manager: FlowManager) -> None:
    """Listen to the user again."""
    await _call(flow_manager).mute_user(False)


async def speak(action: Mapping[str, Any], flow_manager: FlowManager) -> None:
    """Say the fixed line that the action's `line` names, and remember it as said.

    Pipecat's own `tts_say` is not used before entering a node: it waits until the line was
    spoken, and forever when the user cuts in.
    """
    await _call(flow_manager).speak(action["line"])


async def end_call(action: Mapping[str, Any], flow_manager: FlowManager) -> None:
    """Tell the page that the call is over, while it can still be told, and end it.

    Pipecat's own `end_conversation` warns, in 1.14, that its own handler is deprecated.
    """
    await _call(flow_manager).hang_up()

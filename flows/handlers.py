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
    """Go on with the conversation that was opened for the page: from its beginning, or from where
    it broke off; or wait on without one. (event)

    Args:
        conversation_id: Which conversation was asked for; empty for a new one.
        user_id: Whose it is.
        language: What to speak; empty for the conversation's own.
    """
    call = _call(flow_manager)
    if call.opened is None:
        return {"status": "rejected"}, TRANSITION_IN_YAML
    flow_manager.state.update(call.prompt_facts())
    if (back := call.opened.back) is None:
        return {"status": "ready"}, TRANSITION_IN_YAML
    flow_manager.state.update(back.state)
    # The bot says that it is still here, and listens from the first moment on.
    flow_manager.state[ANSWER_ON_ARRIVAL] = False
    await call.mute_user(False)
    return {"status": f"back_in_{back.node}"}, TRANSITION_IN_YAML


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
            open.
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
    return result, TRANSITION_IN_YAML


async def look(flow_manager: FlowManager) -> Result:
    """Look through the person's camera, when they want you to see something they show you there.
    Say in a few words that you are looking before you call it. If the camera is off, or gave no
    picture, tell them so: only they can switch it on, in their page.
    """
    return await _call(flow_manager).camera.look(), TRANSITION_IN_YAML


async def remember(
    flow_manager: FlowManager, fact: str, until: str = "", replaces: int = 0, name: str = ""
) -> Result:
    """Remember something lasting that the person told about themselves, for later conversations.

    Call it when the person tells such a thing or asks you to remember something; never for what
    only you said. Then go on with the conversation.

    Args:
        fact: One sentence about the person, in the language they speak.
        until: The last day on which it holds, as YYYY-MM-DD; empty where no end was said.
        replaces: The number of the remembered fact that it takes the place of; 0 for none.
        name: What the person is called, if that is what the fact says; otherwise empty.
    """
    told = _call(flow_manager).memory.remember(
        str(fact), until=str(until or ""), replaces=_number(replaces), name=str(name or "")
    )
    return told, TRANSITION_IN_YAML


async def forget(
    flow_manager: FlowManager,
    about: str,
    numbers: list[int] | None = None,
    everything: bool = False,
) -> Result:
    """Forget what is remembered about the person, because they ask for it.

    If several facts are found, none is forgotten yet: say them, ask which, and call it again with
    their numbers. Afterwards say in a few words what was forgotten, and never use it again.

    Args:
        about: What it is about, in the person's words.
        numbers: The numbers of the remembered facts to forget, once it is clear which.
        everything: Whether they want all forgotten that was ever remembered of them. Ask first
            whether they are sure.
    """
    chosen = [_number(number) for number in numbers] if isinstance(numbers, list) else []
    memory = _call(flow_manager).memory
    told = await memory.forget(str(about), chosen, everything=everything is True)
    return told, TRANSITION_IN_YAML


async def allow_memory(flow_manager: FlowManager, allowed: bool) -> Result:
    """Note whether the person wants to be remembered, when they were asked or say so.

    Args:
        allowed: Whether they want it.
    """
    return _call(flow_manager).memory.allow(allowed is True), TRANSITION_IN_YAML


async def allow_recording(flow_manager: FlowManager, allowed: bool) -> Result:
    """Note whether the person agrees that this call is recorded, when they were asked or say so.

    Call it too when they want the recording stopped or taken back, whenever they say it: what was
    recorded of this call is then erased. Afterwards say in a few words what was done.

    Args:
        allowed: Whether they agree. Only a clear yes is one.
    """
    return await _call(flow_manager).sound.allow(allowed is True), TRANSITION_IN_YAML


async def resume_conversation(flow_manager: FlowManager) -> Result:
    """The person wants to go on talking, or brought up anything at all."""
    flow_manager.state[ANSWER_ON_ARRIVAL] = True
    return {"status": "resumed"}, TRANSITION_IN_YAML


def _number(value: object) -> int:
    """A number as a model gives it; 0 where it is none."""
    try:
        return int(str(value))
    except ValueError:
        return 0


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

"""Changes the language of a call once the person speaks, or types, the other one.

The answer to the very turn in which they change is in the new language, and by its voice.
"""

from pipecat.frames.frames import Frame, LLMUpdateSettingsFrame
from pipecat.services.settings import LLMSettings

from sonora_app.call.call import Call
from sonora_app.call.going_on import GoingOn
from sonora_app.flow.ahead import instruction_at
from sonora_app.page.protocol import LanguageChanged
from sonora_app.page.rtvi import Entry
from sonora_app.settings import Language


def follow_language(call: Call, going_on: GoingOn) -> None:
    """Have the call go on in the language that the person speaks or types, where the settings allow
    it.

    Args:
        call: The call.
        going_on: Knows which turns go on with the one before.
    """
    listener = call.services.language_listener
    if listener is None:
        return

    async def entered(entry: Entry) -> None:
        for frame in listener.typed(entry.text):
            await call.page.push_frame(frame)

    listener.goes_on = lambda: going_on.goes_on
    listener.change = lambda language: change_language(call, language)
    call.page.entered.add(entered)


def change_language(call: Call, language: Language) -> list[Frame]:
    """Have a call go on in another language.

    Args:
        call: The call.
        language: What is spoken from here on.

    Returns:
        What tells the services of it, in order.
    """
    frames = call.services.speak_in(language)
    call.page.language = language.value
    call.page.tell_soon(LanguageChanged(language=language))
    # Why the conversation is being wound up stays as it was told.
    facts = {key: each for key, each in call.prompt_facts().items() if key != "wrap_up_reason"}
    call.driver.state.update(facts)
    if instruction := instruction_at(call.driver, call.driver.node):
        delta = LLMSettings(system_instruction=instruction)
        frames.append(LLMUpdateSettingsFrame(delta=delta))
    if call.recorder is not None:
        call.recorder.describe(language=language.value)
    return frames

"""Has a model on this machine read the prompt while the greeting is spoken.

Such a model takes seconds to read the prompt of a call, and keeps what it has read. So it is asked
for one token as soon as the conversation is open, with what the first request will begin with. That
request then has nothing more to read than what the person said.
"""

from typing import Any, cast

from pipecat.pipeline.service_switcher import ServiceSwitcher

from sonora_app.call.beginning.opening import OpenedConversation
from sonora_app.call.call import Call
from sonora_app.call.context import fitting_lines
from sonora_app.flow.ahead import next_node, request_at, tasks_of
from sonora_app.flow.driver import Move
from sonora_app.settings import Vendor

_BEGINS = "waiting"
_GREETS = "greeting"


def read_ahead(call: Call) -> None:
    """Have the call's model read ahead, where it is one on this machine."""
    if Vendor.LLM not in call.services.local:
        return
    from sonora_app.vendors.openai.local_model import LocalLLMService

    llm = call.services.llm
    models = llm.services if isinstance(llm, ServiceSwitcher) else [llm]
    local = [model for model in models if isinstance(model, LocalLLMService)]

    async def moved(move: Move) -> None:
        if move.from_node != _BEGINS or call.opened is None:
            return
        node, messages = _first_request(call, call.opened, move.to_node)
        if node is not None:
            for model in local:
                model.read_ahead(*request_at(call.driver, node, messages))

    call.driver.moved.add(moved)


def _first_request(
    call: Call, opened: OpenedConversation, entered: str
) -> tuple[str | None, list[Any]]:
    """At which node the model is asked first, and with what."""
    state = call.driver.state
    known = (call.memory.told_now, call.sound.told_now)
    back = fitting_lines.told_on_return(call.lines, opened, known=known)
    told = [*opened.history, *back]
    messages: list[Any] = [*told, *tasks_of(call.driver, entered, state)]
    if entered != _GREETS:
        return entered, messages
    node = next_node(call.driver, _GREETS, "greeting_finished")
    greeting = fitting_lines.greeting(call.lines, opened)
    greeted = {"role": "assistant", "content": greeting}
    tasks = tasks_of(call.driver, node, state) if node is not None else []
    return node, cast(list[Any], [*messages, greeted, *tasks])

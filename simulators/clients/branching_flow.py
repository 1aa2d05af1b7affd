"""A flow with branches, loops, ways back, global functions and odd names."""

from pipecat.flows import TRANSITION_IN_YAML, Flow, FlowConfig, FlowManager


async def taken_by_event(flow_manager: FlowManager, size: str) -> tuple[dict[str, str], str]:
    """Something happened. (event)

    Args:
        size: How large it was.
    """
    return {"size": size}, TRANSITION_IN_YAML


async def taken_by_model(flow_manager: FlowManager) -> tuple[dict[str, str], str]:
    """An (event) is only spoken of, so the model may call this."""
    return {}, TRANSITION_IN_YAML


BRANCHING = {
    "initial_node": "start",
    "global_functions": [
        {"name": "look_up"},
        {
            "name": "hang_up",
            "transition_only": True,
            "description": "The line is dead. (event) ",
            "transition_to": "end",
        },
    ],
    "nodes": {
        "start": {
            "task_messages": [],
            "functions": [
                {
                    "name": "measure",
                    "transition_to": {
                        "field": "size",
                        "cases": {"small": "left", "large": "right"},
                        "default": "start",
                    },
                }
            ],
        },
        "left": {"task_messages": [], "functions": [{"name": "join", "transition_to": "below"}]},
        "right": {"task_messages": [], "functions": [{"name": "join", "transition_to": "below"}]},
        "below": {
            "task_messages": [],
            "functions": [
                {"name": "again", "transition_to": "start"},
                {"name": "go_right", "transition_to": "right"},
                {"name": "join", "transition_to": 'a <strange> "name": #1'},
            ],
        },
        'a <strange> "name": #1': {"task_messages": [], "functions": []},
        "end": {"task_messages": [], "pre_actions": [{"type": "tts_say", "text": "Bye."}]},
    },
}


def branching_flow() -> Flow:
    """The flow, joined to its handlers."""
    handlers = {
        "measure": taken_by_event,
        "look_up": taken_by_model,
        "join": taken_by_model,
        "again": taken_by_model,
        "go_right": taken_by_event,
    }
    return Flow(FlowConfig.model_validate(BRANCHING), handlers=handlers)

"""Why a call ended, by the way on which its flow came to the farewell."""

from sonora_app.flow.driver import Move
from sonora_app.storage.records import EndReason


def reason_of(move: Move, wound_up_by: str) -> EndReason:
    """Why the call ends that takes this step to the farewell.

    Args:
        move: The step.
        wound_up_by: What took the last step to the wrap-up: `model`, or the name of an event.
    """
    cause = move.cause
    if cause == EndReason.USER_IDLE and move.from_node == "wrap_up":
        # Whoever asked to end, and then says no more, has not gone silent.
        cause = wound_up_by
    return EndReason.GOODBYE if cause == "model" else EndReason(cause)

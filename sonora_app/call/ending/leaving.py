"""The way out of a call that an event takes, from whatever node of the flow the call is in."""

from sonora_app.call.call import Call
from sonora_app.storage.records import EndReason


async def leave(call: Call, cause: EndReason) -> None:
    """Go to the farewell: at once, or by way of the wrap-up.

    Where the flow shows no way there from the present node, nothing is said and the call is hung
    up, so that no node keeps a call that is to end.

    Args:
        call: The call.
        cause: Why it ends, which is kept with the steps.
    """
    driver = call.driver
    if driver.node == "farewell" or await driver.fire_if_possible("say_goodbye", cause=cause):
        return
    await call.wind_up(cause)
    if not await driver.fire_if_possible("say_goodbye", cause=cause):
        await call.hang_up(cause)


async def fail(call: Call) -> None:
    """End a conversation that cannot go on: by the step of the flow that is for it, if it has one.

    Args:
        call: The call.
    """
    driver = call.driver
    taken = await driver.fire_if_possible("service_failed", cause=EndReason.ERROR)
    if not taken and driver.talking:
        await leave(call, EndReason.ERROR)

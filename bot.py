"""Sonora's entry point.

- On a developer's machine: `uv run python bot.py --local`, which is Pipecat's development runner
  on SmallWebRTC. The runner's own flags work too.
- On Pipecat Cloud the base image imports this module and calls `bot`; it asks `readyz` whether
  this instance can take a call.

`sonora_app` is imported inside functions only, so that importing this module is quick. A thread
imports and builds the rest: from the start of the process where this module is imported, and
behind the open port where it is run. Nobody is called before it is done.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipecat.runner.types import RunnerArguments
    from pipecat.transports.base_transport import BaseTransport

    from sonora_app.settings import Settings

_warm_up: WarmUp

# Before numpy is imported. Its second thread waits for the next piece of a computation without
# sleeping, and the only computation that is large enough for two is a millisecond of smart-turn's.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


class WarmUp(threading.Thread):
    """Imports and builds, off the main thread, what the first call needs.

    Attributes:
        settings: The settings, once they were read.
        error: Why this process can hold no call, or None.
    """

    def __init__(self) -> None:
        """Create the thread; it does not keep the process alive."""
        super().__init__(name="sonora-warm-up", daemon=True)
        self.settings: Settings | None = None
        self.error: Exception | None = None

    def run(self) -> None:
        """Check the settings, then import and build."""
        from sonora_app.runtime.memory import begin_warm_up, end_warm_up

        begin_warm_up()
        try:
            self._prepare()
        finally:
            end_warm_up()

    def _prepare(self) -> None:
        from loguru import logger

        from sonora_app.errors import SonoraError, without_paths
        from sonora_app.identity.callers import warn_of_claims
        from sonora_app.runtime.logging import redact_logs
        from sonora_app.settings import load_settings
        from sonora_app.settings.unknown import warn_of_unknown_names
        from sonora_app.tools.declared import tools_path

        redact_logs()
        try:
            self.settings = load_settings()
            self.settings.check_deployable()
            warn_of_claims(self.settings)
            warn_of_unknown_names(tools_path(self.settings))

            from sonora_app.process.warm_up import warm_up

            warm_up(self.settings)

            from sonora_app.local.hearing import hearing
            from sonora_app.local.speaking import speaking

            hearing.prepare(self.settings)
            speaking.prepare(self.settings)

            from sonora_app.doctor.supabase_checks import report_schema_aside

            report_schema_aside(self.settings)
        except SonoraError as error:
            from sonora_app.process.calls import calls

            self.error = error
            calls.misconfigured = without_paths(str(error))
            logger.error(f"Sonora cannot take calls. {error}")


async def bot(runner_args: RunnerArguments) -> None:
    """Hold one call. Called by Pipecat's runner, or by Pipecat Cloud, for each.

    Args:
        runner_args: Which transport, and the body of the `/start` request.

    Raises:
        sonora_app.errors.SettingsError: A key is missing, or a setting cannot be used.
    """
    import asyncio

    await asyncio.to_thread(_warm_up.join)
    if _warm_up.error is not None:
        raise _warm_up.error

    from sonora_app.call.transports import build_transport

    await run_bot(await build_transport(runner_args), runner_args)


async def run_bot(transport: BaseTransport, runner_args: RunnerArguments) -> None:
    """Hold one call on `transport`.

    Args:
        transport: What the call comes in by.
        runner_args: What the runner knows of it.
    """
    from loguru import logger

    from flows import handlers
    from sonora_app.actions.conversation_handler import ConversationHandler
    from sonora_app.call.building import build_session
    from sonora_app.call.transports import hang_up
    from sonora_app.files.keeper import StoreKeeper
    from sonora_app.process.calls import calls
    from sonora_app.process.knowledge import process_search
    from sonora_app.process.metrics import count_call
    from sonora_app.process.reports import reports
    from sonora_app.process.stopping import end_calls_when_stopped
    from sonora_app.process.store import process_store
    from sonora_app.process.tools import process_toolbox
    from sonora_app.settings import load_settings

    settings = _warm_up.settings or load_settings()
    # Here, since nothing else of ours runs in the loop of Pipecat Cloud's server.
    calls.limit = settings.call_limit
    end_calls_when_stopped(settings)
    store = await process_store(settings)
    with calls.expecting() as refusal:
        if refusal is not None:
            logger.warning(f"A call is not taken. {refusal.message}")
            await hang_up(runner_args)
            return
        session = await build_session(
            transport,
            runner_args,
            settings=settings,
            store=store,
            handlers=handlers,
            actions=ConversationHandler,
            search=await process_search(settings),
            keeper=StoreKeeper(store.files),
            others=calls,
            toolbox=await process_toolbox(settings),
        )
        if calls.stopping:
            logger.warning("The process was stopped before a call had begun")
            await hang_up(runner_args)
            return
        async with calls.holding(session):
            await session.run()
    count_call(session.kept)
    await reports.call_ended(session.id, within_secs=settings.drain_secs)


def readyz() -> dict[str, Any]:
    """Whether this instance can take a call now. Asked by Pipecat Cloud's base image."""
    if _warm_up.is_alive():
        return {"ready": False, "reason": "warming up"}
    if _warm_up.error is not None:
        return {"ready": False, "reason": str(_warm_up.error)}

    from sonora_app.process.calls import calls

    if calls.stopping:
        return {"ready": False, "reason": "stopping"}
    return {"ready": True}


def main() -> None:
    """Run the development runner."""
    from sonora_app.runtime.memory import begin_warm_up

    # Here already: the runner itself is much to import.
    begin_warm_up()

    from sonora_app.process.dev_runner import run_dev_runner

    run_dev_runner(_warm_up)


if __name__ == "__main__":
    # Before the settings are read: a bot started by hand is on somebody's own machine.
    os.environ.setdefault("ENV", "local")

_warm_up = WarmUp()

if __name__ == "__main__":
    main()
else:
    _warm_up.start()

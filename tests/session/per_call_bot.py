"""`bot.py` with settings for each call: the `/start` request may hold `settings`, by the names of
their environment variables. Its disk may be filled. Run as a program by tests that have many
vendors and one process.
"""

import asyncio
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pipecat.runner.run import app

import bot as sonora
from tests.full_disk import set_disk


@app.post("/disk")
async def disk(full: bool) -> None:
    await set_disk(full=full)


async def bot(runner_args: Any) -> None:
    await asyncio.to_thread(sonora._warm_up.join)

    from flows import handlers
    from sonora_app.actions.conversation_handler import ConversationHandler
    from sonora_app.call.building import build_session
    from sonora_app.call.transports import build_transport
    from sonora_app.process.calls import calls
    from sonora_app.process.store import process_store
    from sonora_app.settings import Settings

    settings = Settings(**runner_args.body["settings"])
    session = await build_session(
        await build_transport(runner_args),
        runner_args,
        settings=settings,
        store=await process_store(settings),
        handlers=handlers,
        actions=ConversationHandler,
    )
    async with calls.holding(session):
        await session.run()


if __name__ == "__main__":
    sonora.main()

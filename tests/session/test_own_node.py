"""A flow with a node of one's own, in which the bot talks as in any other."""

import asyncio
import shutil
from pathlib import Path
from uuid import uuid4

import pytest

from simulators.clients.webrtc import page
from simulators.vendors.openai import ChatRequest, Reply
from sonora_app.flow.lines import FLOWS_DIR, Lines
from sonora_app.settings import Language
from tests.session.conftest import transcript_of
from tests.session.talking import DONE, bot_with_keys, guide, serving_vendors

pytestmark = [pytest.mark.session, pytest.mark.slow]

HOW_WAS_IT = "¿Qué nota le pones, del uno al cinco?"
RATING = """
  rating:
    task_messages:
      - role: developer
        content: Ask how helpful the talk was.
    functions:
      - name: rate
        transition_only: true
        description: The person gave a number.
        transition_to: farewell

  # One closing line."""


def with_rating(folder: Path) -> Path:
    """A copy of the flow in which a node stands between the wrap-up and the farewell."""
    flows = Path(shutil.copytree(FLOWS_DIR, folder / "flows"))
    file = flows / "sonora.yaml"
    before, found, after = file.read_text("utf-8").partition("      - name: say_goodbye\n")
    assert found
    after = after.replace("transition_to: farewell", "transition_to: rating", 1)
    after = after.replace("\n  # One closing line.", RATING, 1)
    file.write_text(before + found + after, "utf-8")
    return flows


async def test_silence_in_it_is_nudged_and_then_ends_the_call(tmp_path: Path) -> None:
    def model(request: ChatRequest) -> Reply:
        return Reply(HOW_WAS_IT) if "rate" in request.tools else guide(request)

    async with serving_vendors() as vendors:
        vendors.openai.model = model
        with bot_with_keys(
            tmp_path,
            vendors,
            program="tests/session/own_flow_bot.py",
            FLOWS=str(with_rating(tmp_path)),
            SONORA_IDLE_SECS="2",
            SONORA_IDLE_NUDGES="1",
        ) as bot:
            async with page(bot.url) as client:
                await client.ready()
                opened = await client.action("set_conversation_id", user_id=f"u{uuid4()}")
                await client.event("node-changed", node="conversation")
                client.type_text(DONE, audio_response=False)
                await client.event("node-changed", node="wrap_up")
                await client.event("message-recorded", seq=3)
                client.type_text("No, nada", audio_response=False)
                ended = await client.event("conversation-ended", timeout_secs=30)
                assert ended["reason"] == "user_idle"
                await asyncio.wait_for(client.closed.wait(), 30)
            transcript = await transcript_of(bot, opened["data"]["d"]["conversation_id"])
    said = [message.content for message in transcript.messages]
    assert said[-2:] == [HOW_WAS_IT, Lines(Language.ES).all("nudge")[0]]
    assert transcript.transitions[-1].to_node == "rating"

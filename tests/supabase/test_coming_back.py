"""People who go on with a conversation on another machine, and when Supabase is away."""

from pathlib import Path

import pytest

from simulators.clients.bot_process import running_bot
from simulators.clients.webrtc import page
from sonora_app.storage.records import EndReason, Role
from tests.session.coming_back import (
    check_one_talk,
    ended,
    open_conversation,
    put_back,
    talking,
    told_of_taking_over,
)
from tests.supabase.lite import running_lite
from tests.supabase.stored import stored

pytestmark = [pytest.mark.supabase, pytest.mark.slow]


async def test_another_machine_takes_over_and_goes_on_when_supabase_is_away(
    tmp_path: Path,
) -> None:
    with running_lite() as server:
        environment = {
            "SUPABASE_URL": server.url,
            "SUPABASE_SECRET_KEY": server.secret_key,
            "SONORA_WAITING_SECS": "60",
            "SONORA_IDLE_SECS": "6",
            "SONORA_DRAIN_SECS": "2",
        }
        with (
            running_bot(tmp_path / "first", **environment) as one,
            running_bot(tmp_path / "second", **environment) as other,
        ):
            # Connected before: nobody is to be silent meanwhile for so long that they are asked.
            async with page(one.url) as old, page(other.url) as new, page(other.url) as newest:
                first = await open_conversation(old)
                await talking(old, first)
                back = await put_back(other, new, first.id)
                await told_of_taking_over(old, one, other, within_secs=5)
                await talking(new, back)
                last = new.events("message-recorded")[-1]["id"]
                await new.event("message-stored", id=last)
                there = await stored(server, str(first.id))
                assert there is not None
                check_one_talk(there)
                assert [session.end_reason for session in there.sessions] == [
                    EndReason.TAKEN_OVER,
                    None,
                ]
                assert there.conversation.status == "active"
                assert [m.content for m in there.messages if m.role == Role.USER] == [
                    "Cuéntame algo."
                ] * 2

                server.stop()
                await put_back(other, newest, first.id)
                await told_of_taking_over(new, other, within_secs=2)
            here = await ended(other, first.id, 2)
            check_one_talk(here)

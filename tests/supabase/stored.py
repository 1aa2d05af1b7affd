"""What a project of Supabase's has of a conversation, read by its API."""

from typing import Any
from uuid import UUID

import httpx

from sonora_app.settings import Settings
from sonora_app.storage.store import Transcript
from sonora_app.storage.supabase.api import SupabaseApi
from tests.supabase.lite import Lite


async def stored(server: Lite, conversation_id: str) -> Transcript | None:
    """The conversation as it is kept there; None when there is none."""
    api = await SupabaseApi.connect(
        Settings.model_validate(
            {"SUPABASE_URL": server.url, "SUPABASE_SECRET_KEY": server.secret_key}
        )
    )
    try:
        return await api.transcript(UUID(conversation_id))
    finally:
        await api.aclose()


def in_supabase(server: Lite, user: str) -> list[dict[str, Any]]:
    """A user's conversations there, with their messages."""
    answer = httpx.get(
        f"{server.url}/rest/v1/conversations",
        params={"user_id": f"eq.{user}", "select": "id,messages(content)"},
        headers={"apikey": server.secret_key},
    )
    return answer.raise_for_status().json()

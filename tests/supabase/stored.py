"""What a project of Supabase's has of a conversation, read by its API."""

from uuid import UUID

from sonora_app.conversation.store import Transcript
from sonora_app.conversation.supabase import SupabaseApi
from sonora_app.settings import Settings
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

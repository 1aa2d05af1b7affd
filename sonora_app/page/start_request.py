"""What the `/start` request says of the conversation."""

from typing import Any

from loguru import logger
from pydantic import ValidationError

from sonora_app.page.protocol import SetConversationId


def parse_start_request(body: Any) -> SetConversationId | None:  # noqa: ANN401  # JSON from outside
    """What the body of the `/start` request names, or None when it says nothing of use."""
    if not isinstance(body, dict):
        return None
    named: dict[str, Any] = {
        key: value
        for key, value in body.items()  # pyright: ignore[reportUnknownVariableType]
        if key in SetConversationId.model_fields and value is not None
    }
    if not named.keys() & {"conversation_id", "user_id", "access_token"}:
        return None
    try:
        return SetConversationId.model_validate(named)
    except ValidationError:
        logger.warning("The start request names a conversation that cannot be used; waiting")
        return None

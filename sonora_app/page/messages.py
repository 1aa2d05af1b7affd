"""What all messages to and from the page have in common."""

from typing import Literal

from pydantic import BaseModel, ConfigDict


class Inbound(BaseModel):
    """Base of what the page sends. A field we do not know is an error, not a silence."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Outbound(BaseModel):
    """Base of what the page gets."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Event(Outbound):
    """Base of the server-messages."""

    type: Literal["sonora"] = "sonora"

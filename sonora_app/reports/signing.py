"""Signs what a webhook is sent, by the Standard Webhooks specification (standardwebhooks.com).

The signature is over the call's id, the time and the body, so that nobody can send another body,
nor the same one again much later. docs/operations.md shows how it is checked; libraries for many
languages do it too.
"""

import base64
import hashlib
import hmac
from uuid import UUID


def signed_headers(key: bytes, session_id: UUID, at: int, body: bytes) -> dict[str, str]:
    """The headers that say who sent a body, and when.

    Args:
        key: What it is signed with.
        session_id: The call that the body is the report of.
        at: The time, in seconds since 1970.
        body: What is sent.
    """
    signed = f"{session_id}.{at}.".encode() + body
    signature = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return {
        "webhook-id": str(session_id),
        "webhook-timestamp": str(at),
        "webhook-signature": f"v1,{signature}",
        "idempotency-key": str(session_id),
    }

"""Decides who may open which conversation.

With `claimed` identity, the page's word counts. An existing conversation opens only for the user
that it belongs to. A conversation without an owner opens for anybody who has its id, and stays
without one. An id that does not exist yet is created for the caller.

With `verified` identity, the access token tells who the user is; `access_tokens.py` checks it. A
conversation without an owner opens for nobody.

A refusal does not tell whether the conversation exists. `docs/security.md` says what `claimed`
cannot protect against.
"""

from functools import cache
from typing import Literal

from loguru import logger

from sonora_app.errors import (
    ConversationRefusedError,
    ErrorCode,
    IdentityUnavailableError,
    MessageError,
    SettingsError,
)
from sonora_app.identity.access_tokens import TokenVerifier
from sonora_app.identity.signing_keys import SigningKeys, key_fetcher
from sonora_app.page.protocol import SetConversationId
from sonora_app.settings import Identity, Settings
from sonora_app.storage.records import Conversation
from sonora_app.wording.translation import worded

Finding = tuple[Literal["ok", "note", "problem"], str, str]
"""How something is, what was found, and what to do about it."""


def token_verifier(settings: Settings) -> TokenVerifier | None:
    """What checks access tokens, one for all calls; None where none are asked for.

    Raises:
        SettingsError: They are, but there is no project whose tokens they could be.
    """
    if settings.identity is not Identity.VERIFIED:
        return None
    return _verifier(settings.auth_url, settings.supabase_jwt_audience)


async def establish_user(
    claim: SetConversationId, verifier: TokenVerifier | None, *, expired_ok: bool = False
) -> str:
    """Whose conversation `claim` asks for, as far as the mode has it proven.

    Looks at no conversation, so that its refusals cannot tell of one.

    Args:
        claim: What the page says.
        verifier: Checks access tokens; None takes the page at its word.
        expired_ok: Take a token that was good once, too.

    Raises:
        MessageError: The claim lacks what would say it.
        TokenRefusedError: Its token is not good.
        ConversationRefusedError: It names another user than its token.
        IdentityUnavailableError: Its token cannot be checked now.
    """
    if verifier is None:
        if claim.user_id is None:
            raise MessageError(
                ErrorCode.USER_REQUIRED,
                worded("The message names no user."),
                hint=worded("Send user_id with set_conversation_id."),
            )
        return claim.user_id
    if claim.access_token is None:
        raise MessageError(
            ErrorCode.TOKEN_REQUIRED,
            worded("The message proves no user."),
            hint=worded("Send access_token with set_conversation_id."),
        )
    user_id = await verifier.user_of(claim.access_token, expired_ok=expired_ok)
    if claim.user_id not in (None, user_id):
        raise _refusal()
    return user_id


def check_may_open(conversation: Conversation, user_id: str, identity: Identity) -> None:
    """Let `user_id` into a conversation that exists, or not.

    Raises:
        ConversationRefusedError: It belongs to somebody else, or to nobody where identity is
            verified.
    """
    ownerless = conversation.user_id is None and identity is Identity.CLAIMED
    if conversation.user_id != user_id and not ownerless:
        raise _refusal()


def warn_of_claims(settings: Settings) -> None:
    """Log a warning where strangers call and are taken at their word."""
    if settings.identity is Identity.CLAIMED and not settings.is_local:
        logger.warning(
            "SONORA_IDENTITY is claimed: whoever knows a user's id is taken for that user. Set it "
            "to verified, and SUPABASE_URL, to have callers prove who they are. See "
            "docs/security.md"
        )


async def examine_identity(settings: Settings) -> Finding:
    """How callers' identity is checked, for `sonora doctor`. Fetches the project's keys."""
    if settings.identity is Identity.CLAIMED:
        if settings.is_local:
            return "ok", worded("claimed: callers are taken at their word"), ""
        advice = worded("Set SONORA_IDENTITY=verified and SUPABASE_URL. See docs/security.md.")
        return "note", worded("claimed: whoever knows a user's id is taken for that user"), advice
    try:
        keys = SigningKeys(key_fetcher(settings.auth_url))
        algorithms = await keys.algorithms()
    except SettingsError as error:
        return "problem", error.message, error.hint
    except IdentityUnavailableError:
        found = worded("verified, but the project's signing keys cannot be fetched")
        advice = worded(
            "Check SUPABASE_URL and that its project is running; no caller gets in till then."
        )
        return "problem", found, advice
    if not algorithms:
        return (
            "problem",
            worded("verified, but the project has no signing keys: it signs with a shared secret"),
            worded("Create JWT signing keys (Project Settings, JWT Keys) and rotate to them."),
        )
    found = worded("verified, by the project's keys ({keys})", keys=", ".join(algorithms))
    return "ok", found, ""


@cache
def _verifier(auth_url: str, audience: str) -> TokenVerifier:
    return TokenVerifier(SigningKeys(key_fetcher(auth_url)), issuer=auth_url, audience=audience)


def _refusal() -> ConversationRefusedError:
    return ConversationRefusedError(
        worded("This conversation cannot be opened."),
        hint=worded("Check its id, or leave it out to start a new one."),
    )

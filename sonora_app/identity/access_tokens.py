"""Checks Supabase access tokens with the public keys of the project.

A token must have a signature by one of those keys, an expiry in the future, Sonora's audience, the
project as its issuer, and a user's id as its subject.

Nothing that this module logs or raises contains a token or a part of one.
"""

import contextlib
from uuid import UUID

import jwt
from loguru import logger
from pydantic import SecretStr

from sonora_app.errors import IdentityUnavailableError, TokenRefusedError
from sonora_app.identity.signing_keys import ALGORITHMS, SigningKeys
from sonora_app.wording.translation import worded

_LEEWAY_SECS = 10.0
"""How far the clocks of the auth server and of this machine may differ."""

_UNREADABLE = (jwt.PyJWTError, ValueError, TypeError, RecursionError)


class TokenVerifier:
    """Tells whose access token it is.

    Args:
        keys: The keys that sign.
        issuer: Who must have issued it.
        audience: For whom it must be.
    """

    def __init__(self, keys: SigningKeys, *, issuer: str, audience: str) -> None:
        """Create a verifier."""
        self._keys = keys
        self._issuer = issuer
        self._audience = audience

    async def prepare(self) -> None:
        """Fetch the keys, so that the first token need not wait for them."""
        with contextlib.suppress(IdentityUnavailableError):
            await self._keys.algorithms()

    async def user_of(self, token: SecretStr, *, expired_ok: bool = False) -> str:
        """The id of the user whose token it is.

        Args:
            token: The access token.
            expired_ok: Take one that was good once, too.

        Raises:
            TokenRefusedError: It is not good.
            IdentityUnavailableError: It cannot be checked now.
        """
        encoded = token.get_secret_value()
        key = await self._keys.find(_key_id(encoded))
        if key is None:
            raise _refused("the project has no such key")
        try:
            claims = jwt.decode(
                encoded,
                key,
                # The key's own, never what the token asks for.
                algorithms=[key.algorithm_name],
                audience=self._audience,
                issuer=self._issuer,
                leeway=_LEEWAY_SECS,
                options={
                    "require": ["exp", "sub", "aud", "iss"],
                    "verify_exp": not expired_ok,
                    "enforce_minimum_key_length": True,
                },
            )
            return str(UUID(claims["sub"]))
        except jwt.ExpiredSignatureError:
            raise TokenRefusedError(
                worded("The access token has expired."),
                hint=worded("Get a fresh one and send it again."),
            ) from None
        except _UNREADABLE as error:
            # The name alone: the words of some of these errors quote the token.
            raise _refused(type(error).__name__) from None


def _key_id(encoded: str) -> str:
    """Which key a token says it is signed with."""
    try:
        header = jwt.get_unverified_header(encoded)
    except _UNREADABLE as error:
        raise _refused(type(error).__name__) from None
    algorithm, key_id = header.get("alg"), header.get("kid")
    if isinstance(algorithm, str) and algorithm.startswith("HS"):
        logger.warning(
            "An access token signed with a shared secret was refused. If the Supabase project "
            "still signs so, move it to JWT signing keys: see docs/security.md"
        )
        raise TokenRefusedError(
            worded("The access token is signed with a shared secret, which is not taken."),
            hint=worded(
                "Move the Supabase project to JWT signing keys (Project Settings, JWT Keys), "
                "and sign in again."
            ),
        )
    if algorithm not in ALGORITHMS or not isinstance(key_id, str):
        raise _refused("it names no key pair")
    return key_id


def _refused(why: str) -> TokenRefusedError:
    logger.info(f"An access token was refused: {why}")
    return TokenRefusedError(
        worded("The access token is not accepted."),
        hint=worded("Get a fresh one and send it again."),
    )

"""The public keys with which a Supabase project signs its access tokens.

They are fetched from the project's auth server when they are needed, and kept for a while. However
many tokens come, the keys are not fetched more often than a limit allows.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import aiohttp
import jwt
from loguru import logger

from sonora_app.errors import IdentityUnavailableError
from sonora_app.wording.translation import worded

ALGORITHMS = ("ES256", "RS256", "EdDSA")
"""How a token may be signed: by key pairs only. With a shared secret, whoever can check a token can
also make one."""

_FRESH_SECS = 600.0
"""How long fetched keys are used without asking again: as long as Supabase's own caches."""

_USABLE_SECS = 3600.0
"""How old keys may become while no newer ones can be fetched."""

_REFETCH_SECS = 30.0
"""How long after a fetch, come off or not, a token with an unknown key may cause another. Without
that, made-up tokens would have us hammer the auth server."""

_RETRY_SECS = 1.0
"""The same, while there are no keys at all."""

_FETCH_SECS = 3.0
_MAX_BYTES = 65_536

FetchKeys = Callable[[], Awaitable[object]]
"""Gets the key set (RFC 7517), parsed. Raises `IdentityUnavailableError` when it cannot."""


def key_fetcher(auth_url: str) -> FetchKeys:
    """What gets the keys of the auth server at `auth_url`, within a deadline."""
    url = f"{auth_url}/.well-known/jwks.json"

    async def fetch() -> object:
        body = bytearray()
        try:
            async with (
                asyncio.timeout(_FETCH_SECS),
                aiohttp.ClientSession(trust_env=True) as http,
                # Whoever could redirect this would choose the keys.
                http.get(url, allow_redirects=False) as response,
            ):
                if response.status != 200:
                    raise IdentityUnavailableError(f"The keys came with status {response.status}.")
                async for chunk in response.content.iter_chunked(8192):
                    body += chunk
                    if len(body) > _MAX_BYTES:
                        raise IdentityUnavailableError("The key set is too large.")
            return json.loads(body)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError, RecursionError) as error:
            raise IdentityUnavailableError(
                f"The keys could not be fetched ({type(error).__name__})."
            ) from None

    return fetch


@dataclass(frozen=True)
class _KeySet:
    keys: Mapping[str, jwt.PyJWK]
    fetched_at: float


class SigningKeys:
    """The public keys of a project, fetched when they are needed and kept for a while.

    Args:
        fetch: Gets the key set.
        clock: The time in seconds, from any start.
    """

    def __init__(self, fetch: FetchKeys, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Fetch nothing yet."""
        self._fetch = fetch
        self._clock = clock
        self._set: _KeySet | None = None
        self._tried_at: float | None = None
        self._fetching: asyncio.Task[None] | None = None

    async def algorithms(self) -> tuple[str, ...]:
        """How the project signs, by its keys; fetches them if need be.

        Raises:
            IdentityUnavailableError: The keys cannot be fetched.
        """
        keys = await self._current(None)
        return tuple(sorted({key.algorithm_name for key in keys.values()}))

    async def find(self, key_id: str) -> jwt.PyJWK | None:
        """The key that is called `key_id`, or None when the project has no such key.

        Raises:
            IdentityUnavailableError: The keys cannot be fetched.
        """
        return (await self._current(key_id)).get(key_id)

    async def _current(self, key_id: str | None) -> Mapping[str, jwt.PyJWK]:
        if self._is_due(key_id):
            if self._fetching is None:
                self._fetching = asyncio.create_task(self._refresh(), name="sonora-signing-keys")
            # Shielded: others may wait for the same keys.
            await asyncio.shield(self._fetching)
        known = self._set
        if known is None or self._age(known.fetched_at) > _USABLE_SECS:
            raise _unavailable()
        if key_id is not None and key_id not in known.keys and self._last_try_failed(known):
            # It may well be a new key.
            raise _unavailable()
        return known.keys

    def _is_due(self, key_id: str | None) -> bool:
        known, tried = self._set, self._tried_at
        fresh = known if known and self._age(known.fetched_at) <= _FRESH_SECS else None
        if fresh is not None and (key_id is None or key_id in fresh.keys):
            return False
        if self._fetching is not None or tried is None:
            return True
        return self._age(tried) > (_RETRY_SECS if known is None else _REFETCH_SECS)

    def _last_try_failed(self, known: _KeySet) -> bool:
        return self._tried_at is not None and self._tried_at > known.fetched_at

    async def _refresh(self) -> None:
        self._tried_at = now = self._clock()
        try:
            self._set = _KeySet(_usable_keys(await self._fetch()), now)
        except IdentityUnavailableError as error:
            logger.warning(f"Callers' identity cannot be checked against newer keys. {error}")
        finally:
            self._fetching = None

    def _age(self, moment: float) -> float:
        return self._clock() - moment


def _usable_keys(document: object) -> dict[str, jwt.PyJWK]:
    """The keys of a key set that may sign a token, by id; the others are passed over."""
    listed: object = cast(dict[str, object], document).get("keys") if _is_object(document) else None
    if not isinstance(listed, list):
        raise IdentityUnavailableError("What was fetched is no key set.")
    keys: dict[str, jwt.PyJWK] = {}
    for entry in cast(list[object], listed):
        if not _is_object(entry):
            continue
        values = cast(dict[str, Any], entry)
        key_id = values.get("kid")
        if not isinstance(key_id, str) or values.get("use", "sig") != "sig":
            continue
        try:
            key = jwt.PyJWK.from_dict(values)
        except (jwt.PyJWTError, ValueError, TypeError):
            continue
        if key.algorithm_name in ALGORITHMS:
            keys[key_id] = key
    return keys


def _is_object(value: object) -> bool:
    return isinstance(value, dict)


def _unavailable() -> IdentityUnavailableError:
    return IdentityUnavailableError(
        worded("Who you are cannot be checked at the moment."),
        hint=worded("Try again in a few seconds."),
    )

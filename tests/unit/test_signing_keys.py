"""A project's public keys: which count, and how often they are fetched."""

import asyncio
import base64
from uuid import uuid4

import jwt
import pytest
from pydantic import SecretStr

from simulators.clients.auth_server import Clock, Fetch, Issuer
from sonora_app.errors import IdentityUnavailableError, TokenRefusedError
from sonora_app.identity import signing_keys
from sonora_app.identity.access_tokens import TokenVerifier
from sonora_app.identity.signing_keys import SigningKeys

pytestmark = pytest.mark.unit

ANA = str(uuid4())


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    return Issuer()


async def test_keys_that_may_not_sign_are_passed_over() -> None:
    issuer = Issuer()
    good = issuer.key_id
    issuer.rotate("RS256", rsa_bits=1024)
    weak = issuer.token(ANA)
    shared = base64.urlsafe_b64encode(b"s" * 40).decode()
    issuer.published += [
        {"kty": "oct", "k": shared, "kid": "shared", "alg": "HS256"},
        {"kty": "oct", "k": shared, "kid": "posing", "alg": "ES256"},
        {**issuer.published[0], "kid": "sealing", "use": "enc"},
        {**issuer.published[0], "kid": "unfit", "alg": "ES512"},
        {**issuer.published[0], "kid": "broken", "x": "AA"},
        {**issuer.published[0], "kid": 7},
        {"kid": "nothing"},
        "no key",  # type: ignore[list-item]
    ]
    keys = SigningKeys(Fetch(issuer))
    assert await keys.find(good) is not None
    assert await keys.algorithms() == ("ES256", "RS256")
    for other in ("shared", "posing", "sealing", "unfit", "broken", "nothing", "7"):
        assert await keys.find(other) is None, other
    verifier = TokenVerifier(keys, issuer=issuer.auth_url, audience="authenticated")
    with pytest.raises(TokenRefusedError):
        await verifier.user_of(SecretStr(weak))
    head = {"alg": "HS256", "kid": "shared"}
    by_secret = jwt.encode(issuer.claims(ANA), "s" * 40, algorithm="HS256", headers=head)
    with pytest.raises(TokenRefusedError):
        await verifier.user_of(SecretStr(by_secret))


@pytest.mark.parametrize("document", [[], {}, {"keys": None}, {"keys": {}}, "keys", 7])
async def test_what_is_no_key_set_is_no_answer(issuer: Issuer, document: object) -> None:
    fetch = Fetch(issuer)
    fetch.answer = document or {"keys": "none"}
    with pytest.raises(IdentityUnavailableError):
        await SigningKeys(fetch).find(issuer.key_id)


async def test_keys_are_fetched_once_and_again_when_they_are_old(issuer: Issuer) -> None:
    fetch, clock = Fetch(issuer), Clock()
    keys = SigningKeys(fetch, clock=clock)
    for _ in range(5):
        assert await keys.find(issuer.key_id) is not None
    clock.now += signing_keys._FRESH_SECS
    assert await keys.find(issuer.key_id) is not None
    assert fetch.calls == 1
    clock.now += 1
    assert await keys.find(issuer.key_id) is not None
    assert fetch.calls == 2


async def test_a_withdrawn_key_counts_no_longer() -> None:
    issuer = Issuer()
    fetch, clock = Fetch(issuer), Clock()
    keys = SigningKeys(fetch, clock=clock)
    withdrawn = issuer.key_id
    assert await keys.find(withdrawn) is not None
    issuer.published.clear()
    issuer.rotate("ES256")
    clock.now += signing_keys._FRESH_SECS + 1
    assert await keys.find(withdrawn) is None
    assert await keys.find(issuer.key_id) is not None


async def test_an_unknown_key_has_them_fetched_again_but_not_as_often_as_it_comes() -> None:
    issuer = Issuer()
    fetch, clock = Fetch(issuer), Clock()
    keys = SigningKeys(fetch, clock=clock)
    await keys.find(issuer.key_id)
    clock.now += signing_keys._REFETCH_SECS + 1
    new = issuer.rotate("RS256")
    assert await keys.find(new) is not None
    assert fetch.calls == 2
    for _ in range(50):
        assert await keys.find(str(uuid4())) is None
        clock.now += 0.5
    assert fetch.calls == 2
    clock.now += signing_keys._REFETCH_SECS
    assert await keys.find(str(uuid4())) is None
    assert fetch.calls == 3


async def test_without_keys_nobody_is_refused_and_nobody_let_in(issuer: Issuer) -> None:
    fetch, clock = Fetch(issuer), Clock()
    fetch.failing = True
    keys = SigningKeys(fetch, clock=clock)
    verifier = TokenVerifier(keys, issuer=issuer.auth_url, audience="authenticated")
    token = SecretStr(issuer.token(ANA))
    for _ in range(20):
        with pytest.raises(IdentityUnavailableError, match="Try again"):
            await verifier.user_of(token)
    assert fetch.calls == 1, "a dead server is not hammered"
    clock.now += signing_keys._RETRY_SECS + 0.1
    fetch.failing = False
    assert await verifier.user_of(token) == ANA


async def test_older_keys_do_while_there_are_no_newer_ones_but_not_for_ever(
    issuer: Issuer,
) -> None:
    fetch, clock = Fetch(issuer), Clock()
    keys = SigningKeys(fetch, clock=clock)
    await keys.find(issuer.key_id)
    fetch.failing = True
    clock.now += signing_keys._FRESH_SECS + 1
    for _ in range(20):
        assert await keys.find(issuer.key_id) is not None
    assert fetch.calls == 2
    with pytest.raises(IdentityUnavailableError):
        await keys.find(str(uuid4()))  # it may be a new one
    clock.now += signing_keys._USABLE_SECS
    with pytest.raises(IdentityUnavailableError):
        await keys.find(issuer.key_id)


async def test_those_who_come_at_once_share_a_fetch_and_one_who_leaves_spoils_it_for_none(
    issuer: Issuer,
) -> None:
    fetch = Fetch(issuer)
    fetch.pause.clear()
    keys = SigningKeys(fetch)
    waiting = [asyncio.create_task(keys.find(issuer.key_id)) for _ in range(10)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.sleep(0)
    fetch.pause.set()
    found = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(found[0], asyncio.CancelledError)
    assert all(key is not None and not isinstance(key, BaseException) for key in found[1:])
    assert fetch.calls == 1


async def test_a_known_key_waits_for_no_fetch_that_an_unknown_one_began(issuer: Issuer) -> None:
    fetch, clock = Fetch(issuer), Clock()
    keys = SigningKeys(fetch, clock=clock)
    await keys.find(issuer.key_id)
    clock.now += signing_keys._REFETCH_SECS + 1
    fetch.pause.clear()
    unknown = asyncio.create_task(keys.find(str(uuid4())))
    await asyncio.sleep(0)
    assert await asyncio.wait_for(keys.find(issuer.key_id), 30) is not None
    fetch.pause.set()
    assert await unknown is None

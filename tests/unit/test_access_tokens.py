"""Whose access token it is, or that it is nobody's."""

import asyncio
import base64
import hmac
import json
import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from simulators.clients.auth_server import Issuer, make_key, verifier_of
from simulators.clients.logged import logged
from sonora_app.errors import TokenRefusedError

pytestmark = pytest.mark.unit

ANA, BERTA = str(uuid4()), str(uuid4())


@pytest.fixture(scope="module", params=["ES256", "RS256", "EdDSA"])
def any_issuer(request: pytest.FixtureRequest) -> Issuer:
    return Issuer(algorithm=request.param)


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    return Issuer()


async def test_a_good_token_is_its_subjects(any_issuer: Issuer) -> None:
    verifier = verifier_of(any_issuer)
    assert await verifier.user_of(SecretStr(any_issuer.token(ANA))) == ANA
    several = any_issuer.token(ANA, aud=["other", "authenticated"])
    assert await verifier.user_of(SecretStr(several)) == ANA


async def test_the_audience_is_a_setting(issuer: Issuer) -> None:
    verifier = verifier_of(issuer, audience="sonora")
    assert await verifier.user_of(SecretStr(issuer.token(ANA, aud="sonora"))) == ANA
    with pytest.raises(TokenRefusedError):
        await verifier.user_of(SecretStr(issuer.token(ANA)))


def part(data: object) -> str:
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def with_part(token: str, index: int, value: str) -> str:
    parts = token.split(".")
    parts[index] = value
    return ".".join(parts)


def by_shared_secret(issuer: Issuer, form: str) -> str:
    """Signed by HMAC with the public key for a secret, the classical confusion."""
    public = issuer.key.public_key()
    secret = {
        "pem": public.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ),
        "der": public.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        ),
        "jwk": json.dumps(issuer.published[-1]).encode(),
    }[form]
    head = part({"alg": "HS256", "typ": "JWT", "kid": issuer.key_id})
    body = part(issuer.claims(ANA))
    signature = hmac.digest(secret, f"{head}.{body}".encode(), "sha256")
    return f"{head}.{body}.{part(signature)}"


NOT_GOOD: dict[str, Callable[[Issuer], str]] = {
    "expired": lambda i: i.token(ANA, lifetime_secs=-11),
    "not valid yet": lambda i: i.token(ANA, nbf=int(time.time()) + 60),
    "issued in the future": lambda i: i.token(ANA, iat=int(time.time()) + 60),
    "for another audience": lambda i: i.token(ANA, aud="anon"),
    "for no audience": lambda i: i.token(ANA, aud=None),
    "by another issuer": lambda i: i.token(ANA, iss="https://other.example/auth/v1"),
    "by an issuer that begins like ours": lambda i: i.token(ANA, iss=f"{i.auth_url}/x"),
    "by no issuer": lambda i: i.token(ANA, iss=None),
    "without expiry": lambda i: i.token(ANA, exp=None),
    "with an expiry that is no number": lambda i: i.token(ANA, exp="soon"),
    "without subject": lambda i: i.token(ANA, sub=None),
    "with a subject that is no user": lambda i: i.token("ana"),
    "with an empty subject": lambda i: i.token(""),
    "signed by somebody else": lambda i: i.token(ANA, key=make_key(i.algorithm)),
    "by an unknown key": lambda i: i.token(ANA, headers={"kid": str(uuid4())}),
    "by no key": lambda i: jwt.encode(i.claims(ANA), i.key, algorithm=i.algorithm),
    "by a key that is no string": lambda i: with_part(
        i.token(ANA), 0, part({"alg": i.algorithm, "kid": [i.key_id]})
    ),
    "unsigned": lambda i: jwt.encode(
        i.claims(ANA), None, algorithm="none", headers={"kid": i.key_id}
    ),
    "unsigned, in capitals": lambda i: (
        f"{part({'alg': 'NONE', 'kid': i.key_id})}.{part(i.claims(ANA))}."
    ),
    "signed with the public key as PEM": lambda i: by_shared_secret(i, "pem"),
    "signed with the public key as DER": lambda i: by_shared_secret(i, "der"),
    "signed with the public key as JWK": lambda i: by_shared_secret(i, "jwk"),
    "with another algorithm in the header": lambda i: with_part(
        i.token(ANA),
        0,
        part({"alg": "RS256" if i.algorithm != "RS256" else "ES256", "kid": i.key_id}),
    ),
    "with another payload": lambda i: with_part(i.token(ANA), 1, part(i.claims(BERTA))),
    "with another's signature": lambda i: with_part(i.token(ANA), 2, i.token(BERTA).split(".")[2]),
    "without signature": lambda i: with_part(i.token(ANA), 2, ""),
    "with a critical header": lambda i: i.token(ANA, headers={"crit": ["x"], "x": 1}),
    "with a key of its own": lambda i: i.token(
        ANA,
        key=(own := Issuer(algorithm=i.algorithm)).key,
        headers={"jwk": own.published[0], "jku": "https://thief.example/jwks.json"},
    ),
    "with a deep header": lambda i: f"{part(b'[' * 4000)}.{part({})}.{part(b'x')}",
    "with a deep payload": lambda i: with_part(i.token(ANA), 1, part(b"[" * 4000)),
    "with a payload that is no object": lambda i: with_part(i.token(ANA), 1, part([1])),
    "two parts": lambda i: i.token(ANA).rpartition(".")[0],
    "four parts": lambda i: i.token(ANA) + ".x",
    "of five parts": lambda i: i.token(ANA) + ".x.y",
    "prefixed": lambda i: f"Bearer {i.token(ANA)}",
    "with white space": lambda i: f"{i.token(ANA)} ",
    "text": lambda i: "not a token",
    "half a character": lambda i: "\ud800.\ud800.\ud800",
    "empty": lambda i: "",
}


@pytest.mark.parametrize("make", NOT_GOOD.values(), ids=NOT_GOOD)
async def test_no_other_token_is_good_and_no_part_of_it_is_told(
    any_issuer: Issuer, make: Callable[[Issuer], str]
) -> None:
    token = make(any_issuer)
    with logged() as log, pytest.raises(TokenRefusedError) as refused:
        await verifier_of(any_issuer).user_of(SecretStr(token))
    told = f"{refused.value!r} {refused.value} {refused.value.__cause__!r} {''.join(log)}"
    assert refused.value.__suppress_context__ or refused.value.__context__ is None
    for secret in token.split("."):
        assert len(secret) < 12 or secret not in told


@settings(
    max_examples=100,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(data=st.data())
def test_made_up_tokens_are_refused_and_nothing_else_happens(issuer: Issuer, data: Any) -> None:
    good = issuer.token(ANA)
    position = st.integers(0, len(good) - 1)
    json_like = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
        max_leaves=5,
    )
    names = st.sampled_from(["alg", "kid", "crit", "b64", "typ", "exp", "sub", "aud", "iss"])
    objects = st.dictionaries(names | st.text(max_size=6), json_like, max_size=6)
    token = data.draw(
        st.text(max_size=200)
        | st.builds(lambda at: good[:at], position)
        | st.builds(lambda at, c: good[:at] + c + good[at + 1 :], position, st.characters()).filter(
            lambda made: made != good
        )
        | st.builds(lambda h, p, s: f"{part(h)}.{part(p)}.{part(s)}", objects, objects, st.binary())
    )
    verifier = verifier_of(issuer)
    with pytest.raises(TokenRefusedError):
        asyncio.run(verifier.user_of(SecretStr(token)))


async def test_a_clock_that_is_a_little_off_matters_to_nobody(issuer: Issuer) -> None:
    verifier = verifier_of(issuer)
    now = int(time.time())
    for times in ({"lifetime_secs": -5}, {"iat": now + 5}, {"nbf": now + 5}):
        assert await verifier.user_of(SecretStr(issuer.token(ANA, **times))) == ANA


async def test_a_token_that_was_good_once_tells_whose_it_was(issuer: Issuer) -> None:
    verifier = verifier_of(issuer)
    old = SecretStr(issuer.token(ANA, lifetime_secs=-9000, iat=None))
    with pytest.raises(TokenRefusedError, match="expired"):
        await verifier.user_of(old)
    assert await verifier.user_of(old, expired_ok=True) == ANA
    forged = SecretStr(issuer.token(ANA, lifetime_secs=-9000, key=make_key("ES256")))
    with pytest.raises(TokenRefusedError):
        await verifier.user_of(forged, expired_ok=True)


async def test_a_shared_secret_is_refused_in_words_that_help(issuer: Issuer) -> None:
    token = jwt.encode(issuer.claims(ANA), "s" * 40, algorithm="HS256")
    with pytest.raises(TokenRefusedError, match="JWT signing keys"):
        await verifier_of(issuer).user_of(SecretStr(token))

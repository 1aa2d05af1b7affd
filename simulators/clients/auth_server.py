"""A project's auth server, as far as access tokens go: its keys, its tokens, and its faults.

Keys are made anew in each run; nothing here is worth stealing.
"""

import asyncio
import json
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from sonora_app.errors import IdentityUnavailableError
from sonora_app.identity.access_tokens import TokenVerifier
from sonora_app.identity.signing_keys import SigningKeys

PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey
_TO_JWK = {
    "ES256": ECAlgorithm.to_jwk,
    "RS256": RSAAlgorithm.to_jwk,
    "EdDSA": OKPAlgorithm.to_jwk,
}


def make_key(algorithm: str, *, rsa_bits: int = 2048) -> PrivateKey:
    """A new key pair for `algorithm`."""
    if algorithm == "ES256":
        return ec.generate_private_key(ec.SECP256R1())
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(public_exponent=65537, key_size=rsa_bits)


class Issuer:
    """Signs access tokens and publishes the keys, as a Supabase project does.

    Args:
        url: The project's URL.
        algorithm: How it signs at first.
    """

    def __init__(self, url: str = "https://project.example", *, algorithm: str = "ES256") -> None:
        self.url = url
        self.published: list[dict[str, Any]] = []
        self.rotate(algorithm)

    @property
    def auth_url(self) -> str:
        return f"{self.url}/auth/v1"

    def rotate(self, algorithm: str, **key: Any) -> str:
        """Sign with a new key from here on, published beside the others; returns its id."""
        self.algorithm, self.key_id = algorithm, str(uuid4())
        self.key = make_key(algorithm, **key)
        public = _TO_JWK[algorithm](self.key.public_key(), as_dict=True)  # type: ignore[arg-type]
        self.published.append({**public, "kid": self.key_id, "alg": algorithm, "use": "sig"})
        return self.key_id

    def key_set(self) -> dict[str, Any]:
        return {"keys": self.published}

    def claims(self, user: str, *, lifetime_secs: float = 3600, **more: Any) -> dict[str, Any]:
        """What a token says. A claim that is given as None is left out."""
        now = int(time.time())
        every = {
            "iss": self.auth_url,
            "sub": user,
            "aud": "authenticated",
            "exp": now + int(lifetime_secs),
            "iat": now - 5,
            "role": "authenticated",
            "session_id": str(uuid4()),
            "email": f"{uuid4().hex}@mail.example",
            **more,
        }
        return {name: value for name, value in every.items() if value is not None}

    def token(
        self, user: str, *, headers: dict[str, Any] | None = None, key: Any = None, **claims: Any
    ) -> str:
        """An access token of `user`."""
        return jwt.encode(
            self.claims(user, **claims),
            key or self.key,
            algorithm=self.algorithm,
            headers={"kid": self.key_id, **(headers or {})},
        )


class AuthServer(Issuer):
    """An issuer that serves its keys on a free port of this machine.

    Attributes:
        behaviour: `serve`, or a fault: `stall`, `drip`, `garbage`, `huge`, `redirect`, or a status.
        requests: The paths that were asked for.
    """

    def __init__(self) -> None:
        server = self
        self.behaviour: str | int = "serve"
        self.requests: list[str] = []
        self.stopping = threading.Event()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.requests.append(self.path)
                server.answer(self)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        super().__init__(f"http://127.0.0.1:{self._http.server_address[1]}")
        self._thread = threading.Thread(target=self._http.serve_forever, daemon=True)
        self._thread.start()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        body = json.dumps(self.key_set()).encode()
        status = 200
        match self.behaviour:
            case "stall":
                self.stopping.wait()
                return
            case "garbage":
                body = b"<html>" + b"[" * 20_000
            case "huge":
                body = b'{"keys": [' + b" " * 1_000_000 + b"]}"
            case "redirect" if "elsewhere" not in request.path:
                status = 302
                request.send_response(status)
                request.send_header("Location", f"{self.url}/elsewhere")
                request.send_header("Content-Length", "0")
                request.end_headers()
                return
            case int() as fault:
                status = fault
        if "jwks.json" not in request.path and self.behaviour != "redirect":
            status, body = 404, b"{}"
        request.send_response(status)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        if self.behaviour == "drip":
            for byte in body:
                if self.stopping.wait(0.2):
                    return
                request.wfile.write(bytes([byte]))
                request.wfile.flush()
        else:
            request.wfile.write(body)

    def stop(self) -> None:
        self.stopping.set()
        self._http.shutdown()
        self._http.server_close()


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Fetch:
    """Hands out an issuer's keys without a server, or fails, and counts."""

    def __init__(self, issuer: Issuer) -> None:
        self.issuer = issuer
        self.calls = 0
        self.failing = False
        self.answer: object = None
        self.pause = asyncio.Event()
        self.pause.set()

    async def __call__(self) -> object:
        self.calls += 1
        await self.pause.wait()
        if self.failing:
            raise IdentityUnavailableError("The keys could not be fetched.")
        return self.answer or self.issuer.key_set()


def verifier_of(issuer: Issuer, *, audience: str = "authenticated") -> TokenVerifier:
    """What checks an issuer's tokens."""
    return TokenVerifier(SigningKeys(Fetch(issuer)), issuer=issuer.auth_url, audience=audience)


@contextmanager
def auth_server() -> Generator[AuthServer]:
    """A running auth server."""
    server = AuthServer()
    try:
        yield server
    finally:
        server.stop()

"""The example's route that starts a session: its own code in Node, against a Pipecat Cloud of ours.

Next.js itself is not there: the request's cookies come from the test.
"""

import base64
import json
import os
import threading
import time
from collections.abc import Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from simulators.clients import npm
from simulators.clients.auth_server import AuthServer, Issuer, auth_server
from sonora_app.page.protocol import SetConversationId
from tests.frontend.conftest import bundled

pytestmark = pytest.mark.browser

KEY = "pk_of_this_test"
ROOM = {"dailyRoom": "https://x.daily.co/room", "dailyToken": "room-token", "sessionId": "s"}


class PipecatCloud:
    """Answers `POST /v1/public/{agent}/start` as its OpenAPI document says, and keeps the requests.

    https://docs.pipecat.ai/api-reference/pipecat-cloud/rest-reference/endpoint/start
    """

    def __init__(self) -> None:
        cloud = self
        self.answer: tuple[int, Any] = (200, ROOM)
        self.requests: list[tuple[str, str | None, Any]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                cloud.requests.append((self.path, self.headers["Authorization"], body))
                status, answer = cloud.answer
                content = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}/v1/public"
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture
def cloud() -> Generator[PipecatCloud]:
    simulator = PipecatCloud()
    try:
        yield simulator
    finally:
        simulator.stop()


@pytest.fixture(scope="module")
def auth() -> Generator[AuthServer]:
    with auth_server() as server:
        yield server


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    options = ("--platform=node", "--alias:next/headers=./cookies.ts")
    return bundled("start.ts", tmp_path_factory.mktemp("bundle"), *options)


class Route:
    """Posts to the example's route, as a user's browser does."""

    def __init__(self, script: Path, cloud: PipecatCloud, auth: AuthServer) -> None:
        self._script, self._cloud, self._auth = script, cloud, auth

    def post(self, body: object, *, token: str | None) -> tuple[int, dict[str, Any]]:
        environment = os.environ | {
            "NEXT_PUBLIC_SUPABASE_URL": self._auth.url,
            "NEXT_PUBLIC_SUPABASE_PUBLISHABLE_KEY": "sb_publishable_of_this_test",
            "PIPECAT_CLOUD_API_KEY": KEY,
            "PIPECAT_CLOUD_AGENT": "sonora-voice",
            "TEST_BODY": json.dumps(body),
            "TEST_CLOUD": self._cloud.url.removesuffix("/v1/public"),
            "TEST_COOKIES": json.dumps(session_cookies(token) if token else {}),
        }
        # Supabase's client wants the WebSocket that Node has without asking from 22 on.
        command = [npm.program("node"), "--experimental-websocket", str(self._script)]
        printed = npm.run(command, self._script.parent, env=environment)
        answer = json.loads(printed.splitlines()[-1])
        return answer["status"], answer["body"]


@pytest.fixture
def route(script: Path, cloud: PipecatCloud, auth: AuthServer) -> Route:
    return Route(script, cloud, auth)


def session_cookies(token: str) -> dict[str, str]:
    """The cookies in which @supabase/ssr keeps a session."""
    session = {
        "access_token": token,
        "refresh_token": "refresh",
        "token_type": "bearer",
        "expires_in": 3600,
        "expires_at": int(time.time()) + 3600,
    }
    encoded = base64.urlsafe_b64encode(json.dumps(session).encode()).decode().rstrip("=")
    return {"sb-127-auth-token": f"base64-{encoded}"}


def test_a_user_is_given_a_room(route: Route, cloud: PipecatCloud, auth: AuthServer) -> None:
    user, conversation = str(uuid4()), str(uuid4())
    token = auth.token(user)

    wish = {"conversation_id": conversation, "language": "en", "recording": True}
    answer = route.post(wish, token=token)

    assert answer == (200, {"url": ROOM["dailyRoom"], "token": ROOM["dailyToken"]})
    ((path, authorization, body),) = cloud.requests
    assert path == "/v1/public/sonora-voice/start"
    assert authorization == f"Bearer {KEY}"
    assert body["createDailyRoom"] is True
    expected = {
        "conversation_id": conversation,
        "language": "en",
        "recording": True,
        "user_id": user,
        "access_token": token,
    }
    assert body["body"] == expected
    assert SetConversationId.model_validate(body["body"]).user_id == user


def test_who_is_not_signed_in_starts_nothing(
    route: Route, cloud: PipecatCloud, auth: AuthServer
) -> None:
    forged = Issuer(auth.url).token(str(uuid4()), headers={"kid": auth.key_id})

    assert route.post({}, token=None)[0] == 401
    status, problem = route.post({"user_id": "somebody"}, token=forged)
    assert (status, problem["code"]) == (401, "signed_out")
    assert cloud.requests == []


@pytest.mark.parametrize(
    "body", [{"conversation_id": "1"}, {"language": "fr"}, {"language": 1}, {"recording": "yes"}]
)
def test_what_cannot_be_meant_is_refused(
    route: Route, cloud: PipecatCloud, auth: AuthServer, body: object
) -> None:
    status, problem = route.post(body, token=auth.token(str(uuid4())))

    assert (status, problem["code"]) == (400, "invalid_message")
    assert cloud.requests == []


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ((429, {"status": 429, "code": "429", "message": "Rate limit"}), (503, "at_capacity")),
        ((401, {"error": "No such key", "code": "PCC-1002"}), (502, "start_failed")),
        ((200, {"sessionId": "a session without a room"}), (502, "start_failed")),
    ],
)
def test_a_session_that_does_not_start_is_told_by_code(
    route: Route,
    cloud: PipecatCloud,
    auth: AuthServer,
    answer: tuple[int, Any],
    expected: tuple[int, str],
) -> None:
    cloud.answer = answer
    status, problem = route.post({}, token=auth.token(str(uuid4())))

    assert (status, problem["code"]) == expected
    assert KEY not in json.dumps(problem)

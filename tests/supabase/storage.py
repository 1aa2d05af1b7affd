"""Supabase's Storage as a project has it, in front of `@supabase/lite`, whose own differs.

lite lists whole paths at once, calls a link by another name, writes times that the client does not
read, and on Node 20 sends nothing of a file. Here a folder is listed level by level, links and
times are Supabase's, and a file is sent as lite has it on the disk. Everything else is lite's own
answer, what the policies allow among it.
"""

import json
import re
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx

from tests.supabase.lite import Lite

_STORAGE = "/storage/v1"
_TIME = re.compile(rb"(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d[\d.]*\+\d\d)(?=\")")


class Project:
    """A project with Storage, at an address of its own.

    Args:
        lite: What it is in front of.
        port: Where it listens.
    """

    def __init__(self, lite: Lite, port: int) -> None:
        self.lite = lite
        self.url = f"http://127.0.0.1:{port}"
        self.files_down = False
        """Whether Storage answers nothing but 503."""
        self.too_large: int | None = None
        """From how many bytes on it refuses a file."""
        self.upload_came, self.uploads_pass = threading.Event(), threading.Event()
        """Set when an upload comes; uploads wait until the other is."""
        self.uploads_pass.set()

    def stored(self) -> dict[str, bytes]:
        """What is in it, by bucket and path."""
        return {
            path.relative_to(self.lite.stored_files).as_posix(): path.read_bytes()
            for path in self.lite.stored_files.rglob("*")
            if path.is_file() and not path.name.endswith(".json")
        }


@contextmanager
def with_storage(lite: Lite) -> Generator[Project]:
    """Serve `lite`, which has Storage, as a project."""
    client = httpx.Client(base_url=lite.url, timeout=60)

    class Handler(BaseHTTPRequestHandler):
        # A body goes after its headers, which would wait for their receipt, 40 ms, otherwise.
        disable_nagle_algorithm = True
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            pass

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            status, kind, answer = _answer(project, client, self, body)
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _serve

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    project = Project(lite, server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield project
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        client.close()


def _answer(
    project: Project, client: httpx.Client, request: BaseHTTPRequestHandler, body: bytes
) -> tuple[int, str, bytes]:
    path = urlsplit(request.path).path
    if path.startswith(_STORAGE) and project.files_down:
        return 503, "application/json", b"{}"
    is_upload = request.command == "POST" and path.startswith(f"{_STORAGE}/object/sonora-")
    if is_upload:
        project.upload_came.set()
        project.uploads_pass.wait(30)
    if is_upload and project.too_large is not None and len(body) > project.too_large:
        refused = {"statusCode": "413", "error": "Payload too large", "message": "Too large"}
        return 400, "application/json", json.dumps(refused).encode()
    if path.startswith(f"{_STORAGE}/object/list/"):
        return _listed(client, request, body)
    left_out = ("host", "content-length", "connection", "accept-encoding")
    headers = {k: v for k, v in request.headers.items() if k.lower() not in left_out}
    if request.command == "GET" and path.startswith(f"{_STORAGE}/object/"):
        return _file(project, client, request, headers)
    got = client.request(request.command, request.path, headers=headers, content=body)
    content = got.content
    if path.startswith(f"{_STORAGE}/object/sign/") and got.is_success:
        link = got.json()["signedUrl"].removeprefix(_STORAGE)
        content = json.dumps({"signedURL": link}).encode()
    elif path.startswith(f"{_STORAGE}/bucket/") and got.is_success:
        content = _TIME.sub(rb"\1T\2:00", content)
    return got.status_code, got.headers.get("content-type", "application/json"), content


def _listed(
    client: httpx.Client, request: BaseHTTPRequestHandler, body: bytes
) -> tuple[int, str, bytes]:
    asked: dict[str, Any] = json.loads(body)
    headers = {k: request.headers[k] for k in ("apikey", "authorization") if request.headers[k]}
    everything = {**asked, "limit": 100_000, "offset": 0}
    got = client.post(request.path, headers=headers, json=everything)
    if not got.is_success:
        return got.status_code, "application/json", got.content
    prefix = f"{asked['prefix'].strip('/')}/" if asked["prefix"] else ""
    level: dict[str, dict[str, Any]] = {}
    for row in got.json():
        if not row["name"].startswith(prefix):
            continue
        name, _, deeper = row["name"].removeprefix(prefix).partition("/")
        level[name] = {"name": name, "id": None} if deeper else {**row, "name": name}
    first = asked.get("offset", 0)
    page = [level[name] for name in sorted(level)][first : first + asked.get("limit", 100)]
    return 200, "application/json", json.dumps(page).encode()


def _file(
    project: Project, client: httpx.Client, request: BaseHTTPRequestHandler, headers: dict[str, str]
) -> tuple[int, str, bytes]:
    # lite says whether it may be read, and then sends nothing of it.
    with client.stream("GET", request.path, headers=headers) as got:
        kind = got.headers.get("content-type", "")
        if not got.is_success:
            return got.status_code, kind, got.read()
    path = unquote(urlsplit(request.path).path).removeprefix(f"{_STORAGE}/object/")
    path = path.removeprefix("sign/").removeprefix("authenticated/")
    return 200, kind, (Path(project.lite.stored_files) / path).read_bytes()

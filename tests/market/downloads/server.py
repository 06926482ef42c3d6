"""A local server that hands out bars as exchanges do, and misbehaves as it is told to."""

import json
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

Query = dict[str, str]


@dataclass
class Server:
    """What answers, and what was asked."""

    answer: Callable[[str, Query], Any]  # path, query -> JSON value
    faults: list[Any] = field(default_factory=list)  # of the next answers: a status, or "cut"
    asked: list[tuple[str, Query]] = field(default_factory=list)
    url: str = ""


@contextmanager
def serving(answer: Callable[[str, Query], Any]) -> Generator[Server]:
    state = Server(answer)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            state.asked.append((parts.path, query))
            fault = state.faults.pop(0) if state.faults else None
            if isinstance(fault, int):
                body = json.dumps({"code": -1, "msg": "not now"}).encode()
                self.send_response(fault)
            else:
                body = json.dumps(state.answer(parts.path, query)).encode()
                self.send_response(200)
            if fault == "cut":
                body = body[: len(body) // 2]
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as it is there
            """Say nothing of each request, unlike the class above."""

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{httpd.server_address[1]}"
    thread = threading.Thread(target=httpd.serve_forever, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        httpd.shutdown()
        httpd.server_close()

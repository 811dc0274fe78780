"""A teacher for tests: a real HTTP server on loopback that speaks chat completions, and misbehaves as it is told.

It believes what it is told outside the mail's marks: whoever lets a mail speak there is obeyed.
"""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

from training.teacher.prompt import SYSTEM

Play = Callable[["Desk"], None]
GOOD = {"label": "spam", "confidence": 0.93, "reason": "unknown shop sells pills"}
_COMMAND = re.compile(r"(?:label|classify|mark|rate|answer|output|ignore|system|json)", re.IGNORECASE)


def completion(content: Any) -> bytes:
    return json.dumps({"choices": [{"message": {"role": "assistant", "content": content}}]}).encode()


class Desk(BaseHTTPRequestHandler):
    """One request; `play` of the server says what to do with it."""

    server: "TeacherServer"

    def do_POST(self) -> None:
        self.octets = self.rfile.read(int(self.headers["Content-Length"]))
        self.asked = json.loads(self.octets)
        self.server.requests.append(self.octets)
        self.server.headers.append(dict(self.headers))
        plays = self.server.plays
        (plays.pop(0) if len(plays) > 1 else plays[0])(self)

    def reply(self, body: bytes, status: int = 200, kind: str = "application/json", **fields: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        for name, value in fields.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


class TeacherServer(ThreadingHTTPServer):
    """`plays` are done one after the other, the last again and again."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, *plays: Play) -> None:
        super().__init__(("127.0.0.1", 0), Desk)
        self.plays = list(plays)
        self.requests: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.let_go = Event()

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # the client hung up, which is what some tests are about

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


@contextmanager
def teacher(*plays: Play) -> Iterator[TeacherServer]:
    server = TeacherServer(*(plays or (says(GOOD),)))
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.let_go.set()
        server.shutdown()
        server.server_close()
        thread.join()


def says(content: Any) -> Play:
    """Answer with this text, or this object as JSON."""
    return lambda desk: desk.reply(completion(content if isinstance(content, str) else json.dumps(content)))


def fails(status: int, message: str = "no", **fields: str) -> Play:
    body = json.dumps({"error": {"message": message}}).encode()
    return lambda desk: desk.reply(body, status, **fields)


def silent(desk: Desk) -> None:
    """Say nothing until the test is over."""
    desk.server.let_go.wait(30)


def drips(desk: Desk) -> None:
    """Send a header, one octet at a time, for ever."""
    try:
        for octet in b"HTTP/1.1 200 OK\r\nX: " + b"x" * 3000:
            desk.wfile.write(bytes([octet]))
            if desk.server.let_go.wait(0.02):
                return
    except OSError:
        pass


def hangs_up(desk: Desk) -> None:
    desk.send_response(200)
    desk.send_header("Content-Type", "application/json")
    desk.send_header("Content-Length", "5000")
    desk.end_headers()
    desk.wfile.write(b'{"choices": [')


def floods(desk: Desk) -> None:
    """Send many megabytes without saying how many."""
    desk.send_response(200)
    desk.send_header("Content-Type", "application/json")
    desk.end_headers()
    try:
        for _ in range(64):
            desk.wfile.write(b" " * (1 << 20))
    except OSError:
        pass


def streams(desk: Desk) -> None:
    event = {"choices": [{"delta": {"content": json.dumps(GOOD)}}]}
    desk.reply(f"data: {json.dumps(event)}\n\ndata: [DONE]\n\n".encode(), kind="text/event-stream")


def text_only(desk: Desk) -> None:
    """Refuse structured output, as older servers do."""
    if "response_format" in desk.asked:
        fails(400, "response_format is not supported")(desk)
    else:
        says(GOOD)(desk)


def gullible(desk: Desk) -> None:
    """Obey any command that stands outside the marked mail; otherwise look for the word wire in the mail."""
    outside, mail = apart(desk.asked)
    if _COMMAND.search(outside):
        says({"label": "ham", "confidence": 1.0, "reason": "as I was told"})(desk)
        return
    label = "fraud" if "wire" in mail else "ham"
    says({"label": label, "confidence": 0.9, "reason": "what the mail asks for"})(desk)


def apart(asked: dict[str, Any]) -> tuple[str, str]:
    """Return everything of a request that is neither the fixed prompt nor between the marks, and the mail."""
    outside = []
    mail = ""
    for message in asked["messages"]:
        if message["role"] == "system":
            outside.append(message["content"].replace(SYSTEM, ""))
            continue
        data = json.loads(message["content"])
        mark = data.pop("delimiter")
        before, mail, after = data.pop("mail").split(mark)
        outside += [mark, before, after, json.dumps(data) if data else ""]
    return "\n".join(outside), mail



"""Counters over several workers, and the small HTTP server that shows them."""

import asyncio
import json
import socket

import pytest

from milter.endpoint import Endpoint
from milter.health import HealthServer
from milter.metrics import Totals, WorkerMetrics
from milter.record import MessageRecord, RecipientRecord
from model.labels import Label
from model.mail import Direction
from model.verdict import Route


def record(**changes):
    values = {
        "listener": "in", "direction": Direction.INBOUND, "mode": "before-queue", "trace": "t",
        "sender": "a@b.example",
        "recipients": (
            RecipientRecord("x@corp.example", Route.DELIVER), RecipientRecord("y@corp.example", Route.QUARANTINE),
        ),
        "reply": "250 2.0.0 Ok", "size": 1000, "label": Label.SPAM, "ms": {"score": 7.0},
    }  # fmt: skip
    return MessageRecord(**(values | changes))


def lines(totals: Totals) -> set[str]:
    return {line for line in totals.render().decode().splitlines() if not line.startswith("#")}


def over_the_line(metrics: WorkerMetrics):
    """What the supervisor sees of a worker: JSON, nothing else."""
    return json.loads(json.dumps(metrics.take()))


class TestTotals:
    def test_workers_add_up(self):
        one, two, totals = WorkerMetrics(), WorkerMetrics(), Totals()
        one.message(record())
        two.message(record(reply="451 4.3.0 later", label=None))
        two.fault("deadline")
        two.next_hop_failure("in")

        totals.add(1, over_the_line(one))
        totals.add(2, over_the_line(two))

        assert lines(totals) >= {
            'gatepost_messages_total{listener="in",reply="2xx"} 1.0',
            'gatepost_messages_total{listener="in",reply="4xx"} 1.0',
            'gatepost_message_bytes_total{listener="in"} 2000.0',
            'gatepost_recipients_total{label="spam",listener="in",route="quarantine"} 1.0',
            'gatepost_recipients_total{label="none",listener="in",route="deliver"} 1.0',
            'gatepost_faults_total{kind="deadline"} 1.0',
            'gatepost_next_hop_failures_total{listener="in"} 1.0',
            'gatepost_stage_seconds_count{stage="score"} 2.0',
            'gatepost_stage_seconds_bucket{le="0.005",stage="score"} 0.0',
            'gatepost_stage_seconds_bucket{le="0.01",stage="score"} 2.0',
        }

    def test_nothing_is_counted_twice(self):
        worker, totals = WorkerMetrics(), Totals()
        worker.message(record())
        totals.add(1, over_the_line(worker))
        totals.add(1, over_the_line(worker))

        assert 'gatepost_messages_total{listener="in",reply="2xx"} 1.0' in lines(totals)

    def test_open_sessions_go_with_their_worker_and_totals_stay(self):
        one, two, totals = WorkerMetrics(), WorkerMetrics(), Totals()
        for metrics in (one, one, two):
            metrics.session_opened("in")
        totals.add(1, over_the_line(one))
        totals.add(2, over_the_line(two))
        assert 'gatepost_sessions{listener="in"} 3.0' in lines(totals)

        totals.forget(1)

        assert lines(totals) >= {
            'gatepost_sessions{listener="in"} 1.0',
            'gatepost_sessions_opened_total{listener="in"} 3.0',
        }

    def test_a_worker_speaks_only_when_something_changed(self):
        worker = WorkerMetrics()
        assert not worker.changed
        worker.session_opened("in")
        assert worker.changed
        worker.take()
        assert not worker.changed
        worker.session_closed("in")
        assert worker.changed

    @pytest.mark.parametrize("nonsense", [{}, {"counts": [["unknown", [], 1]], "observed": [], "sessions": {}}])
    def test_nonsense_is_refused(self, nonsense):
        with pytest.raises(KeyError):
            Totals().add(1, nonsense)

    def test_one_model_serves(self):
        totals = Totals()
        totals.show_model("m1")
        totals.show_model("m2")

        assert [line for line in lines(totals) if "model_info" in line] == ['gatepost_model_info{version="m2"} 1.0']


def ask(request: bytes, ok: bool = True) -> bytes:
    """Send one request to a fresh server and return everything that comes back."""

    async def talk() -> bytes:
        server = HealthServer(lambda: b"metrics\n", lambda: {"ok": ok})
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            place = Endpoint("127.0.0.1", probe.getsockname()[1])
        await server.start(place)
        reader, writer = await asyncio.open_connection(place.host, place.port)
        writer.write(request)
        writer.write_eof()
        answer = await reader.read()
        writer.close()
        server.close()
        return answer

    return asyncio.run(talk())


class TestHealthServer:
    @pytest.mark.parametrize(
        ("request_", "status", "body"),
        [
            (b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", b"200 OK", b"metrics\n"),
            (b"GET /metrics?x=1 HTTP/1.0\r\n\r\n", b"200 OK", b"metrics\n"),
            (b"HEAD /metrics HTTP/1.1\r\n\r\n", b"200 OK", b""),
            (b"GET / HTTP/1.1\r\n\r\n", b"404 Not Found", b'{"error":"/metrics or /healthz"}\n'),
            (b"POST /healthz HTTP/1.1\r\n\r\n", b"405 Method Not Allowed", b'{"error":"GET or HEAD"}\n'),
        ],
    )
    def test_answers(self, request_, status, body):
        head, _, rest = ask(request_).partition(b"\r\n\r\n")

        assert head.startswith(b"HTTP/1.1 " + status + b"\r\n")
        assert rest == body

    def test_health_is_a_status(self):
        assert ask(b"GET /healthz HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 200 ")
        assert ask(b"GET /healthz HTTP/1.1\r\n\r\n", ok=False).startswith(b"HTTP/1.1 503 ")

    @pytest.mark.parametrize(
        "nonsense", [b"", b"\r\n\r\n", b"GET\r\n\r\n", b"\xff" * 20_000, b"x" * 9000 + b"\r\n\r\n"]
    )
    def test_nonsense_gets_no_answer_and_no_traceback(self, nonsense):
        assert ask(nonsense) == b""

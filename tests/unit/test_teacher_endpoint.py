"""A teacher that misbehaves, over a real connection: each way has its outcome, and none gives a draft it did not."""

import json
import socket
import ssl
import time
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from effort import ENDLESS
from pydantic import ValidationError
from teacher_server import (
    GOOD,
    completion,
    drips,
    fails,
    floods,
    hangs_up,
    says,
    silent,
    streams,
    teacher,
    text_only,
)  # fmt: skip

from training.teacher.asking import TRIES, Asker, Became, Surroundings
from training.teacher.endpoint import endpoint, near
from training.teacher.errors import TeacherBusy, TeacherError
from training.teacher.ledger import LOG, Ledger, lines
from training.teacher.settings import TeacherSettings
from training.teacher.view import View

VIEW = View({"subject": "Offer", "text": "Pills, cheap."}, {})
DIGEST = "ab" * 32
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Times:
    """A clock that only sleeping moves."""

    def __init__(self):
        self.at = 0.0
        self.slept = []

    def __call__(self):
        return self.at

    def sleep(self, seconds):
        self.slept.append(round(seconds, 3))
        self.at += seconds


@pytest.fixture
def times():
    return Times()


@pytest.fixture
def ask(tmp_path, times):
    """Ask the server for drafts of VIEW; the ledger is the same for every call of a test."""

    def draft(server, *, view=VIEW, retry=False, mails=1, **more):
        settings = TeacherSettings(**{"url": server.url, "model": "m", "timeout": 5, **more})
        numbers = count()
        around = Surroundings(lambda: NOON, times, times.sleep, lambda: f"mark{next(numbers):028d}")
        with Ledger(tmp_path) as ledger:
            asker = Asker(endpoint(settings), "m", settings.requests_per_minute, ledger, around, retry=retry)
            done = [asker.draft(DIGEST, view if mails == 1 else View({"text": str(n)}, {})) for n in range(mails)]
        return done[0] if mails == 1 else done

    return draft


class TestAGoodAnswer:
    def test_is_a_draft_and_is_remembered(self, ask):
        with teacher() as server:
            first, again = ask(server), ask(server)

        assert (first.became, again.became, len(server.requests)) == (Became.DRAFTED, Became.CACHED, 1)
        assert first.answer == again.answer
        assert first.answer.model_dump(mode="json") == GOOD

    def test_another_model_or_mail_is_asked_anew(self, ask):
        with teacher() as server:
            ask(server)
            ask(server, view=View({"text": "another"}, {}))

        assert len(server.requests) == 2

    def test_every_octet_that_was_sent_is_in_the_log_and_the_key_is_not(self, ask, tmp_path):
        key = tmp_path / "key"
        key.touch(0o600)
        key.write_text("s3cret-key\n")
        with teacher() as server:
            ask(server, key_file=str(key))

        (line,) = lines(tmp_path)
        assert line["request"].encode() == server.requests[0]
        assert (line["digest"], line["url"]) == (DIGEST, f"{server.url}/chat/completions")
        assert server.headers[0]["Authorization"] == "Bearer s3cret-key"
        assert "s3cret" not in (tmp_path / LOG).read_text()
        assert (tmp_path / LOG).stat().st_mode & 0o777 == 0o600

    def test_what_cannot_be_logged_is_not_sent(self, ask, tmp_path):
        (tmp_path / LOG).mkdir()
        with teacher() as server:
            with pytest.raises(OSError):
                ask(server)

            assert server.requests == []

    def test_a_server_without_structured_output_is_asked_in_words_from_then_on(self, ask):
        with teacher(text_only) as server:
            done = ask(server, mails=3)

        assert [one.became for one in done] == [Became.DRAFTED] * 3
        assert ["response_format" in json.loads(r) for r in server.requests] == [True, False, False, False]

    def test_a_fence_around_the_whole_is_forgiven(self, ask):
        with teacher(says(f"```json\n{json.dumps(GOOD)}\n```")) as server:
            assert ask(server).became is Became.DRAFTED


BABBLE = {
    "prose": "I think that this is spam, because it sells pills.",
    "prose around the object": f"Here you are: {json.dumps(GOOD)}",
    "another label": {**GOOD, "label": "junk"},
    "extra keys": {**GOOD, "action": "release"},
    "a key twice": '{"label": "spam", "label": "ham", "confidence": 1, "reason": "x"}',
    "a key missing": {"label": "spam", "confidence": 0.5},
    "confidence in percent": {**GOOD, "confidence": 93},
    "confidence as text": {**GOOD, "confidence": "0.9"},
    "confidence as a truth": {**GOOD, "confidence": True},
    "no number": '{"label": "spam", "confidence": NaN, "reason": "x"}',
    "a reason too long": {**GOOD, "reason": "x" * 201},
    "no reason": {**GOOD, "reason": ""},
    "a list": [GOOD],
    "cut short": json.dumps(GOOD)[:-9],
    "nothing": "",
    "too deep": "[" * 100_000,
}


@pytest.mark.parametrize("babble", BABBLE.values(), ids=BABBLE.keys())
class TestBabble:
    def test_is_repaired_once(self, ask, babble):
        with teacher(says(babble), says(GOOD)) as server:
            done = ask(server)

        assert done.became is Became.REPAIRED
        repair = json.loads(server.requests[1])["messages"]
        assert [one["role"] for one in repair] == ["system", "user", "assistant", "user"]
        assert repair[:2] == json.loads(server.requests[0])["messages"]
        assert repair[3]["content"].startswith("That answer cannot be used: ")

    def test_twice_is_no_draft_and_is_not_paid_for_again(self, ask, babble):
        with teacher(says(babble)) as server:
            first, again = ask(server), ask(server)
            assert (first.became, first.answer, again.became) == (Became.DROPPED, None, Became.DROPPED)
            assert len(server.requests) == 2
            ask(server, retry=True)
            assert len(server.requests) == 4


BROKEN = {
    "another content type": lambda desk: desk.reply(b"<html>Welcome</html>", kind="text/html"),
    "a stream": streams,
    "a flood": floods,
    "truncated JSON": lambda desk: desk.reply(completion("x")[:-5]),
    "another object": lambda desk: desk.reply(b'{"ok": true}'),
    "no choices": lambda desk: desk.reply(b'{"choices": []}'),
    "content is null": lambda desk: desk.reply(completion(None)),
    "not UTF-8": lambda desk: desk.reply(b'{"choices": "\xff\xfe"}'),
    "nested too deeply": lambda desk: desk.reply(b"[" * 100_000),
}


@pytest.mark.parametrize("play", BROKEN.values(), ids=BROKEN.keys())
def test_what_is_no_completion_gives_no_draft_and_is_asked_again_next_time(ask, play):
    with teacher(play) as server:
        done = ask(server)
        assert (done.became, done.answer) == (Became.FAILED, None)
        assert server.url in done.why
        server.plays[:] = [says(GOOD)]
        assert ask(server).became is Became.DRAFTED


class TestABusyServer:
    def test_is_given_the_time_that_it_asks_for(self, ask, times):
        with teacher(fails(429, Retry_After="7"), says(GOOD)) as server:
            assert ask(server, requests_per_minute=60_000).became is Became.DRAFTED

        assert 7.0 in times.slept

    def test_may_ask_by_a_date_that_is_over(self, ask, times):
        with teacher(fails(503, Retry_After="Wed, 21 Oct 2015 07:28:00 GMT"), says(GOOD)) as server:
            assert ask(server, requests_per_minute=60_000).became is Became.DRAFTED

        assert 0.0 in times.slept

    def test_that_wants_an_hour_ends_the_run(self, ask, times):
        with teacher(fails(429, Retry_After="3600")) as server, pytest.raises(TeacherError, match="3600 s of rest"):
            ask(server)

        assert times.slept == []

    @pytest.mark.parametrize("play", [fails(500), fails(502), hangs_up, lambda desk: None], ids=[
        "500", "502", "hang-up mid body", "hang-up at once"])  # fmt: skip
    def test_is_tried_again_with_growing_patience(self, ask, times, play):
        with teacher(play) as server:
            with pytest.raises(TeacherBusy):
                ask(server, requests_per_minute=60_000)

            assert len(server.requests) == TRIES
            assert times.slept[0] == 1.0
            assert sum(times.slept) == pytest.approx(7.0, abs=0.1)

            server.plays[:] = [play, says(GOOD)]
            assert ask(server, requests_per_minute=60_000).became is Became.DRAFTED

    @pytest.mark.parametrize("play", [silent, drips])
    def test_has_so_much_time_and_no_more(self, ask, play):
        started = time.monotonic()
        with teacher(play, says(GOOD)) as server:
            assert ask(server, timeout=0.3).became is Became.DRAFTED

            assert len(server.requests) == 2
        assert time.monotonic() - started < ENDLESS

    def test_that_does_not_listen_is_busy(self, ask):
        with teacher() as server:
            pass
        with pytest.raises(TeacherBusy, match="cannot connect to 127"):
            ask(server)


class TestAServerThatRefuses:
    @pytest.mark.parametrize(("play", "said"), [
        (fails(404, "model 'm' not found"), "404: no such path or model: see url and model. model 'm' not found"),
        (fails(401, "bad key"), "401: the key is not accepted: see key_file. bad key"),
        (fails(307, Location="http://elsewhere.example/v1"), "sends us on to 'http://elsewhere.example/v1'"),
        (fails(418), "418 no"),
    ])  # fmt: skip
    def test_ends_the_run(self, ask, play, said):
        with teacher(play) as server:
            with pytest.raises(TeacherError) as error:
                ask(server)

            assert said in str(error.value)
            assert not isinstance(error.value, TeacherBusy)
            assert len(server.requests) == 1

    def test_one_mail_loses_that_mail(self, ask):
        full = fails(400, "context length exceeded")
        with teacher(full, full, says(GOOD)) as server:
            done = ask(server, mails=2)

        assert [one.became for one in done] == [Became.DECLINED, Became.DRAFTED]
        assert "context length exceeded" in done[0].why
        assert "response_format" in json.loads(server.requests[-1])  # the schema was not to blame


def test_requests_keep_their_distance(ask, times):
    with teacher() as server:
        ask(server, mails=4, requests_per_minute=30)

    assert times.slept == [2.0, 2.0, 2.0]


class TestWhereMailMayGo:
    @pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1", "10.1.2.3", "172.31.0.1", "192.168.7.7",
                                         "fd12::1", "::ffff:10.0.0.1"])  # fmt: skip
    def test_near(self, address):
        assert near(address)

    @pytest.mark.parametrize("address", ["192.0.2.1", "172.32.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",  # noqa: S104
                                         "2001:db8::1", "fe80::1%eth0", "::ffff:192.0.2.1", "224.0.0.1"])  # fmt: skip
    def test_far(self, address):
        assert not near(address)

    def test_not_out_of_the_house_unless_that_is_said(self):
        with pytest.raises(TeacherError, match=r"mail would leave your house.*set allow_remote = true"):
            endpoint(TeacherSettings(url="https://192.0.2.1/v1", model="m"))
        assert endpoint(TeacherSettings(url="https://192.0.2.1/v1", model="m", allow_remote=True)).remote

    def test_never_out_of_the_house_in_clear(self):
        with pytest.raises(TeacherError, match="would get mail in clear: use https"):
            endpoint(TeacherSettings(url="http://192.0.2.1/v1", model="m", allow_remote=True))

    def test_one_far_address_of_a_name_is_enough_to_refuse_it(self, monkeypatch):
        both = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, 443)) for a in ("10.0.0.1", "192.0.2.1")]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: both)
        with pytest.raises(TeacherError, match=r"llm\.example \(192\.0\.2\.1\)"):
            endpoint(TeacherSettings(url="https://llm.example/v1", model="m"))

    @pytest.mark.parametrize(("url", "path"), [
        ("http://127.0.0.1", "/v1/chat/completions"), ("http://127.0.0.1:1/v1/", "/v1/chat/completions"),
        ("http://[::1]:1/openai/v1/chat/completions", "/openai/v1/chat/completions"),
    ])  # fmt: skip
    def test_the_path_is_completed(self, url, path):
        assert endpoint(TeacherSettings(url=url, model="m")).path == path

    def test_a_server_that_speaks_no_tls_ends_the_run(self, ask, monkeypatch):
        with teacher() as server:
            secure = server.url.replace("http:", "https:")
            with pytest.raises(TeacherError, match="no encrypted connection") as error:
                ask(server, url=secure)
        assert not isinstance(error.value, TeacherBusy)


class TestEncryption:
    @pytest.fixture
    def https(self, tmp_path):
        """Return a server with a certificate of its own for localhost, and the path of that certificate."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
        names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
        today = datetime.now(UTC)
        made = (
            x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
            .serial_number(1).not_valid_before(today - timedelta(1)).not_valid_after(today + timedelta(1))
            .add_extension(names, critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )  # fmt: skip
        path = tmp_path / "server.pem"
        path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))  # fmt: skip
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        with teacher() as server:
            server.socket = context.wrap_socket(server.socket, server_side=True)
            yield server, path

    def test_to_a_known_certificate_of_that_name(self, ask, https, monkeypatch):
        server, path = https
        monkeypatch.setenv("SSL_CERT_FILE", str(path))
        done = ask(server, url=f"https://localhost:{server.server_port}")
        assert done.became is Became.DRAFTED
        with pytest.raises(TeacherError, match=r"no encrypted connection.*127\.0\.0\.1") as error:
            ask(server, url=f"https://127.0.0.1:{server.server_port}", view=View({"text": "other"}, {}))
        assert not isinstance(error.value, TeacherBusy)

    def test_to_nobody_else(self, ask, https):
        server, _ = https
        with pytest.raises(TeacherError, match=r"no encrypted connection: .*certificate") as error:
            ask(server, url=f"https://localhost:{server.server_port}")
        assert not isinstance(error.value, TeacherBusy)
        assert server.requests == []


class TestTheKey:
    def test_that_others_may_read_is_refused(self, tmp_path):
        key = tmp_path / "key"
        key.write_text("abc")
        key.chmod(0o640)
        with pytest.raises(TeacherError, match=r"others may read it \(0640\): chmod 0600"):
            endpoint(TeacherSettings(url="http://127.0.0.1", model="m", key_file=str(key)))

    @pytest.mark.parametrize("text", ["", "two\nlines", "with blank", "schlüssel"])
    def test_that_is_none_is_refused(self, tmp_path, text):
        key = tmp_path / "key"
        key.touch(0o600)
        key.write_text(text)
        with pytest.raises(TeacherError, match="expected a key in one line"):
            endpoint(TeacherSettings(url="http://127.0.0.1", model="m", key_file=str(key)))

    def test_that_is_not_there_is_named(self, tmp_path):
        with pytest.raises(TeacherError, match="No such file"):
            endpoint(TeacherSettings(url="http://127.0.0.1", model="m", key_file=str(tmp_path / "none")))

    def test_is_in_no_representation(self, tmp_path):
        key = tmp_path / "key"
        key.touch(0o600)
        key.write_text("s3cret")
        assert "s3cret" not in repr(endpoint(TeacherSettings(url="http://127.0.0.1", model="m", key_file=str(key))))


@pytest.mark.parametrize("values", [
    {"url": "127.0.0.1:8080"}, {"url": "ftp://127.0.0.1"}, {"url": "http://"}, {"url": "http://me:word@127.0.0.1"},
    {"url": "http://127.0.0.1/?a=b"}, {"url": "http://127.0.0.1:99999"}, {"url": "http://127.0.0.1/\r\nX: y"},
    {"url": "http://127.0.0.1", "model": ""}, {"key_file": "key"}, {"timeout": 0}, {"requests_per_minute": 0},
    {"max_characters": 1}, {"price_in": -1}, {"allow_remote": "yes"}, {"urls": ""}, {"model": "a\nb"},
], ids=str)  # fmt: skip
def test_settings_that_make_no_sense(values):
    with pytest.raises(ValidationError):
        TeacherSettings(**{"model": "m", **values})


def test_without_a_url_there_is_no_teacher():
    with pytest.raises(TeacherError, match=r"there is no teacher: set url and model in the \[teacher\] table"):
        endpoint(TeacherSettings())

r"""Every `transcripts/*.smtp` is played against the real gateway and a real next hop.

# what it shows; a line that starts with # is a comment
set listener.stage reject        a setting of [[listener]], [gateway] or [policy.p]
set sink.features 8BITMIME;DSN   what the next hop announces
sink RCPT TO:<x@y> = 550 no      what the next hop answers to commands that start so ("hangup": it hangs up)
screen 0.99 | fault NAME         the score of every message, or the fault that leaves it without one
route b@corp.example reject      what policy wants for a recipient; `*` is everybody
c -> EHLO me                     the client sends a line
c => \x00abc\r\n                 the client sends octets, with Python's escapes
c <~ 250                         the reply (all lines, code and text) matches this expression from its start
c <! STARTTLS                    the reply before does not hold this
c closed                         the server hangs up
next CODE...                     a new connection
delivered 1                      messages at the next hop so far, and `to` whom the last one went
to b@corp.example
heard MAIL FROM:<a@b> RET=HDRS   the next hop has been sent exactly this command
kept b@corp.example held         what is in the store, all of it, as recipient and state
last fault next-hop-down         the fault in the last log record, or `last reply 451`
"""

import codecs
import re
from pathlib import Path
from typing import Any

import pytest
from byte_sink import EHLO, ByteSink
from gateway_rig import Client, Rig, rig, score

from milter.lane import Patience
from model.screen import Screening
from model.verdict import Route

TRANSCRIPTS = sorted((Path(__file__).parent / "transcripts").glob("*.smtp"))


class Play:
    """One transcript: its settings, then its steps."""

    def __init__(self, text: str) -> None:
        lines = [line.rstrip("\n") for line in text.splitlines() if line.strip() and not line.startswith("#")]
        self.tables: dict[str, dict[str, Any]] = {"listener": {}, "gateway": {}, "policy": {}, "patience": {}}
        self.features = EHLO
        self.hop = ""
        self.answers: list[tuple[str, str]] = []
        self.steps = [line for line in lines if not self._setting(line)]

    def _setting(self, line: str) -> bool:
        word, _, rest = line.partition(" ")
        if word == "set":
            key, _, value = rest.partition(" ")
            table, _, name = key.partition(".")
            if key == "sink.features":
                self.features = tuple(filter(None, value.strip().split(";")))
            elif key == "sink.address":
                self.hop = value.strip()
            else:
                self.tables[table][name] = _value(value.strip())
        elif word == "sink":
            command, _, answer = rest.partition(" = ")
            self.answers.append((command, "" if answer == "hangup" else answer))
        return word in ("set", "sink")

    def answer(self, command: str) -> str | None:
        return next((answer for start, answer in self.answers if command.startswith(start)), None)


class Player:
    """Carries out the steps."""

    def __init__(self, it: Rig) -> None:
        self.it = it
        self.client: Client | None = None
        self.heard = ""

    def step(self, line: str) -> None:
        word, _, rest = line.partition(" ")
        getattr(self, f"do_{word}")(rest)

    def do_next(self, rest: str) -> None:
        self.client = self.it.client(ehlo=False)

    def do_c(self, rest: str) -> None:
        if self.client is None:
            self.do_next("")
        mark, _, text = rest.partition(" ")
        if mark == "->":
            self.client.send(text.encode("utf-8", "surrogateescape") + b"\r\n")
        elif mark == "=>":
            self.client.send(codecs.decode(text, "unicode_escape").encode("latin-1"))
        elif mark == "<~":
            code, reply = self.client.reply()
            self.heard = f"{code} {reply}"
            assert re.match(text, self.heard), f"expected {text!r}, heard {self.heard!r}"
        elif mark == "<!":
            assert text not in self.heard
        else:
            assert mark == "closed"
            assert self.client.at_end()

    def do_screen(self, rest: str) -> None:
        word, _, value = rest.partition(" ")
        found = Screening(fault=value) if word == "fault" else Screening(score=score(float(word)))
        self.it.screener.answer = lambda mail: found

    def do_route(self, rest: str) -> None:
        recipient, _, route = rest.partition(" ")
        if recipient == "*":
            self.it.verdicts.default = Route(route)
        else:
            self.it.verdicts.routes[recipient] = Route(route)

    def do_delivered(self, rest: str) -> None:
        assert len(self.it.sink.received) == int(rest)

    def do_to(self, rest: str) -> None:
        assert [r.split(">")[0] + ">" for r in self.it.sink.received[-1].rcpts] == [f"<{r}>" for r in rest.split()]

    def do_heard(self, rest: str) -> None:
        assert rest in self.it.sink.commands, self.it.sink.commands

    def do_header(self, rest: str) -> None:
        head = self.it.sink.received[-1].data.split(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
        assert rest in head, head

    def do_noheader(self, rest: str) -> None:
        head = self.it.sink.received[-1].data.split(b"\r\n\r\n")[0].decode("latin-1")
        assert rest.lower() not in head.lower()

    def do_kept(self, rest: str) -> None:
        words = rest.split()
        assert self.it.kept() == sorted(zip(words[::2], words[1::2], strict=True))

    def do_last(self, rest: str) -> None:
        what, _, value = rest.partition(" ")
        found = str(getattr(self.it.events.records[-1], what))
        assert found.startswith(value) and bool(found) == bool(value), self.it.events.records[-1]

    def do_because(self, rest: str) -> None:
        for copy in self.it.events.records[-1].recipients:
            assert copy.reasons[0] == rest, copy

    def do_down(self, rest: str) -> None:
        assert len(self.it.events.down) == self.it.metrics.hop_failures == int(rest)


def _value(text: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    if text.startswith("["):
        return text[1:-1].split()
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
def test_transcript(path, tmp_path):
    play = Play(path.read_text())
    patience = Patience(**{"command": 20.0, "data": 20.0, **play.tables["patience"]})
    with rig(
        tmp_path,
        sink=ByteSink(play.features, play.answer),
        hop=play.hop,
        gateway=play.tables["gateway"],
        policy=play.tables["policy"],
        patience=patience,
        **play.tables["listener"],
    ) as it:
        player = Player(it)
        for number, line in enumerate(play.steps, 1):
            try:
                player.step(line)
            except AssertionError as error:
                raise AssertionError(f"{path.name}, step {number}: {line}\n{error}") from error
        assert it.events.faults == []
        assert b"\r" not in it.sink.raw.replace(b"\r\n", b"") and b"\n" not in it.sink.raw.replace(b"\r\n", b"")


def test_there_are_transcripts():
    assert len(TRANSCRIPTS) > 20

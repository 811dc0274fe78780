"""Shadow mode: what crosses the line, what a candidate would do with it, and what is written of that."""

import asyncio
import json
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from click.testing import CliRunner
from kept_mail import Clock, keep, mail, new_store, screening, write_config

from gatepost.cli import main
from milter import shadow_keeper
from milter.aftermath import Settled
from milter.metrics import Totals
from milter.settings import Settings
from milter.settle import Plan
from milter.shadow import BATCH, FLUSH, Shadow
from milter.shadow_feed import Feed, pack, unpack
from milter.shadow_keeper import pair
from model.bundle import DEFAULT, Bundle
from model.facts import Facts
from model.labels import Label
from model.mail import Direction
from model.normalise import Document
from model.verdict import Reason, Route, Score, Verdict
from quarantine import shadows
from quarantine.shadows import Shadowed

D, H, Q, R = Route.DELIVER, Route.HOLD, Route.QUARANTINE, Route.REJECT
DOCUMENT = Document("lunch", ("reply",), "At noon?", ("shop.example",))
FACTS = Facts(is_reply=True, hidden_text=False)
SETTINGS = Settings.model_validate({
    "listener": [{"name": "in", "listen": "127.0.0.1:1", "mode": "before-queue", "direction": "inbound",
                  "next_hop": "127.0.0.1:2"}],
    "policy": {"default": {"quarantine_at": 0.9, "hold_at": 0.7, "block": [{"domain": "sender.example"}]}},
})  # fmt: skip


def settled(*wanted: tuple[Route, str], sender: str = "ida@sender.example", to: str = "r{}@here.example") -> Settled:
    one = mail(b"Subject: x\r\n\r\n", *(to.format(at) for at in range(len(wanted))), sender=sender)
    seen = replace(screening(p_bad=0.93), document=DOCUMENT, facts=FACTS)
    verdicts = tuple(Verdict(route, (Reason(code),)) for route, code in wanted)
    return Settled(one, Plan(verdicts), verdicts, seen, "trace", "in", delivered=True)


def score(p_bad: float) -> Score:
    return Score({Label.HAM: 1 - p_bad, Label.SPAM: p_bad, Label.PHISHING: 0.0, Label.FRAUD: 0.0}, "next-1")


class Candidate:
    """Stands in for a scorer whose scores a test sets."""

    bundle = Bundle.open(DEFAULT)

    def __init__(self, p_bad: float = 0.1) -> None:
        self.p_bad = p_bad
        self.seen: list[Document] = []

    def score(self, document: Document, facts: Facts) -> Score:
        self.seen.append(document)
        if self.p_bad < 0:
            raise RuntimeError("a candidate that fails")
        return score(self.p_bad)


class TestLine:
    def test_what_is_packed_is_what_comes_out(self):
        seen = unpack(pack(settled((Q, "score-quarantine"), (D, "allow-rule")), "m1"))

        assert (seen.document, seen.facts) == (DOCUMENT, FACTS)
        assert (seen.model, seen.p_bad, seen.direction) == ("2026.1", pytest.approx(0.93), Direction.INBOUND)
        assert [(copy.route, copy.by_score) for copy in seen.copies] == [(Q, True), (D, False)]
        assert (seen.route, seen.message, seen.listener, seen.sender) == (Q, "m1", "in", "ida@sender.example")

    def test_mail_that_was_not_scored_is_not_sent(self):
        one = settled((D, "clean"))

        assert pack(replace(one, screening=replace(one.screening, score=None)), "") is None

    def test_octets_that_are_no_text_survive(self):
        assert unpack(pack(settled((D, "clean"), sender="b\udce4d@x.example"), "")).sender == "b\udce4d@x.example"

    def test_a_full_line_leaves_out_and_never_waits(self):
        sending, receiving = pair()
        feed = Feed(sending)
        sent = 0
        while feed.send(settled((D, "clean")), ""):
            sent += 1
            assert sent < 100_000

        assert sent > 0
        receiving.recv(1 << 20)
        receiving.close()
        assert not feed.send(settled((D, "clean")), "")  # nobody is there any more
        sending.close()

    def test_messages_keep_their_bounds(self):
        sending, receiving = pair()
        feed = Feed(sending)
        assert feed.send(settled((D, "clean")), "one") and feed.send(settled((D, "clean")), "two")
        receiving.settimeout(5)

        assert [unpack(receiving.recv(1 << 20)).message for _ in range(2)] == ["one", "two"]
        sending.close()
        assert receiving.recv(10) == b""
        receiving.close()


class TestDeciding:
    @pytest.mark.parametrize(
        ("wanted", "p_bad", "route", "would"),
        [
            ([(Q, "score-quarantine")], 0.1, Q, D),
            ([(Q, "score-quarantine")], 0.8, Q, H),
            ([(D, "clean")], 0.95, D, Q),
            ([(D, "clean"), (Q, "block-rule")], 0.8, Q, Q),  # the worst recipient speaks, and a rule stays a rule
            ([(D, "allow-rule")], 0.99, D, D),
            ([(H, "leak")], 0.1, H, H),
            ([(H, "defect")], 0.1, H, H),
        ],
    )
    def test_a_score_changes_what_a_score_decided(self, wanted, p_bad, route, would):
        row = _shadow(Candidate()).shadowed(unpack(pack(settled(*wanted), "m")), score(p_bad))

        assert (row.route, row.shadow_route, row.changes) == (route, would, route is not would)
        assert (row.candidate, row.model, row.shadow_p_bad) == ("next-1", "2026.1", pytest.approx(p_bad))

    def test_exemptions_count_for_the_candidate_too(self):
        to_postmaster = unpack(pack(settled((D, "exempt-recipient"), to="postmaster@here.example"), ""))
        from_nobody = unpack(pack(settled((D, "null-sender"), sender=""), ""))

        for one in (to_postmaster, from_nobody):
            assert _shadow(Candidate()).shadowed(one, score(0.99)).shadow_route is D


def _shadow(candidate: Candidate, settings: Settings = SETTINGS, told: list | None = None,
            ticks: Callable[[], float] = time.monotonic) -> Shadow:  # fmt: skip
    def tell(kind: str, **data: object) -> None:
        if told is not None:
            told.append((kind, data))

    return Shadow(settings, candidate, tell, clock=Clock(), ticks=ticks)


class TestWriting:
    def test_messages_are_written_and_counted_and_a_failing_candidate_is_only_counted(self, tmp_path):
        with new_store(tmp_path) as store:
            settings = SETTINGS.model_copy(update={"quarantine": store.settings})
            told: list = []
            candidate = Candidate(0.1)
            it = _shadow(candidate, settings, told)
            for p_bad in (0.1, -1.0, 0.95):
                candidate.p_bad = p_bad
                it.take(pack(settled((Q, "score-quarantine")), ""))
            it.take(b"nonsense")
            it.turn(last=True)
            it.close()

            [found] = shadows.agreements(store)
        assert told == [("counts", {"counts": {"changes": 1, "failed": 2, "agrees": 1}})]
        assert found.moves == {(Q, D): 1, (Q, Q): 1}

    def test_a_store_that_cannot_be_written_loses_nothing_for_a_while(self, tmp_path):
        with new_store(tmp_path) as store:
            hidden = store.settings.key_file.rename(tmp_path / "elsewhere")
            told: list = []
            it = _shadow(Candidate(), SETTINGS.model_copy(update={"quarantine": store.settings}), told)
            it.take(pack(settled((D, "clean")), ""))
            it.turn(last=True)
            assert [kind for kind, _ in told] == ["counts", "trouble"]

            hidden.rename(store.settings.key_file)
            it.turn(last=True)
            it.close()
            assert len(shadows.agreements(store)) == 1

    def test_while_it_cannot_be_written_the_log_is_told_once_and_messages_do_not_wait_for_it(self, tmp_path):
        with new_store(tmp_path) as store:
            hidden = store.settings.key_file.rename(tmp_path / "elsewhere")
            told: list = []
            ticks = [0.0]
            it = _shadow(Candidate(), SETTINGS.model_copy(update={"quarantine": store.settings}), told,
                         lambda: ticks[0])  # fmt: skip
            data = pack(settled((D, "clean")), "")
            for _ in range(2 * BATCH):
                it.take(data)
                it.turn()
            ticks[0] += FLUSH
            it.turn()
            assert [kind for kind, _ in told].count("trouble") == 1
            assert sum(counts["counts"].get("unwritten", 0) for kind, counts in told if kind == "counts") == 1

            hidden.rename(store.settings.key_file)
            ticks[0] += FLUSH
            it.turn()
            it.close()
            [found] = shadows.agreements(store)
        assert sum(found.moves.values()) == 2 * BATCH

    def test_old_rows_go_and_so_do_the_oldest_above_the_limit(self, tmp_path):
        clock = Clock()
        with new_store(tmp_path, clock) as store:
            start = clock.now
            shadows.add(store, [row(start - timedelta(days=day)) for day in range(10)])
            assert shadows.expire(store, start - timedelta(days=6), 100) == 3
            assert shadows.expire(store, start - timedelta(days=6), 4) == 3
            [left] = shadows.agreements(store)
        assert sum(left.moves.values()) == 4


def row(at, old: Route = D, new: Route = D, message: str = "", candidate: str = "next-1") -> Shadowed:
    return Shadowed(at, candidate, "2026.1", Direction.INBOUND, "in", old, new, 0.1, 0.93, message)


def test_a_candidate_that_prints_what_nobody_understands_is_started_again(tmp_path, monkeypatch):
    monkeypatch.setattr(shadow_keeper, "PROCESS", (sys.executable, "-c", "print(5)"))
    monkeypatch.setattr(shadow_keeper, "FIRST_WAIT", 0.0)
    died: list[str] = []
    twice = asyncio.Event()

    def note(level: str, name: str, /, **values: object) -> None:
        died.append(str(values.get("how")))
        if len(died) == 2:
            twice.set()

    async def keep_it() -> None:
        keeper = shadow_keeper.ShadowKeeper(note, Totals())
        model = SETTINGS.model.model_copy(update={"shadow": f"{tmp_path}/"})
        keeper.serve(SETTINGS.model_copy(update={"model": model}), "another")
        try:
            async with asyncio.timeout(60):
                await twice.wait()
        finally:
            await keeper.stop()

    asyncio.run(keep_it())
    assert died[:2] == ["talked nonsense"] * 2


class TestCommand:
    def run(self, folder, *words: str) -> tuple[int, str]:
        done = CliRunner().invoke(main, ["model", "shadow", *words, "--config", str(folder / "config.toml")])
        assert not done.exception or isinstance(done.exception, SystemExit), done.exception
        return done.exit_code, done.output

    @pytest.fixture
    def folder(self, tmp_path):
        write_config(tmp_path)
        clock = Clock()
        with new_store(tmp_path, clock) as store:
            keep(store)
            with store.reading() as connection:
                [(message,)] = connection.exec_driver_sql("SELECT id FROM messages").all()
            shadows.add(store, [row(clock.now - timedelta(days=9), candidate="old-1")])
            shadows.add(store, [row(clock.now, Q, D, message), row(clock.now, D, Q), *[row(clock.now)] * 5])
        return tmp_path

    def test_people_see_a_table_of_routes_and_what_would_change(self, folder):
        code, out = self.run(folder)

        assert code == 0
        assert "2 of 7 inbound messages would go another way with next-1 than with 2026.1" in out
        lines = [line.split() for line in out.splitlines()]
        assert ["deliver", "5", "1"] in lines
        assert ["quarantine", "1", "0"] in lines
        assert "The of" in out
        assert "(not" in out

    def test_programs_get_rows_and_then_the_summary(self, folder):
        rows = [json.loads(line) for line in self.run(folder, "--json")[1].splitlines()]

        assert [(r["old_route"], r["new_route"], bool(r["id"])) for r in rows[:-1]] == [
            ("quarantine", "deliver", True), ("deliver", "quarantine", False)]  # fmt: skip
        summary = rows[-1]["summary"]
        assert (summary["messages"], summary["changed"], summary["candidate"]) == (7, 2, "next-1")
        assert {"from": "deliver", "to": "deliver", "messages": 5} in summary["moves"]

    def test_an_older_candidate_can_be_named(self, folder):
        assert "0 of 1 inbound messages" in self.run(folder, "old-1")[1]

    def test_without_a_candidate_it_says_how_to_set_one(self, tmp_path):
        write_config(tmp_path)
        new_store(tmp_path).close()

        assert self.run(tmp_path) == (0, "Nothing is recorded: no candidate is set as model.shadow.\n")


def test_the_line_is_no_socket_that_others_could_reach():
    sending, receiving = pair()

    assert sending.family == socket.AF_UNIX and sending.getsockname() == ""
    sending.close()
    receiving.close()

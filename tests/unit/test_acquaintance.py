"""Learning who writes to whom from delivered mail: what counts, and that its failures cost nothing."""

import time
from dataclasses import replace

import pytest
from kept_mail import RAW, Clock, mail, new_store, screening, store_settings

from milter.acquaintance import MAILING, Learner, meetings
from milter.settle import Plan
from model.domains import DomainLists
from model.extracted import Address, Extracted
from model.facts import Facts, Site, facts
from model.mail import Envelope
from model.verdict import Route, Verdict
from quarantine.correspondents import Bond, Meeting, forget, remember

DELIVER, KEEP = Verdict(Route.DELIVER, ()), Verdict(Route.QUARANTINE, ())


def wait_for(what, seconds=20.0):
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until
        time.sleep(0.01)


def delivered(mail_, *verdicts, headers=None, facts=None, authors=None):
    verdicts = verdicts or (DELIVER,) * len(mail_.envelope.recipients)
    seen = screening()
    extracted = replace(seen.extracted, headers=headers or {}, from_=authors or seen.extracted.from_)
    plan = Plan(tuple(verdicts), deliver=tuple(range(len(verdicts))))
    return meetings(mail_, plan, replace(seen, extracted=extracted, facts=facts or Facts()))


def out(*recipients, sender="ben@here.example"):
    return mail(RAW, *(recipients or ("ida@sender.example",)), sender=sender, direction="outbound")


def test_whom_somebody_here_writes_to():
    assert delivered(out("ida@sender.example", "cy@here.example", "otto@far.example")) == (
        Meeting("ben@here.example", "ida@sender.example", Bond.WROTE),
        Meeting("ben@here.example", "otto@far.example", Bond.WROTE),
    )


@pytest.mark.parametrize(("name", "value"), [("auto-submitted", "auto-replied"), ("precedence", "Junk")])
def test_an_automatic_reply_makes_nobody_known(name, value):
    assert delivered(out(), headers={name: value}) == ()
    assert delivered(out(), headers={"auto-submitted": "no"})


def test_a_bounce_a_mailing_and_what_was_kept_make_nobody_known():
    assert delivered(out(sender="")) == ()
    assert delivered(out(*(f"a{n}@x.example" for n in range(MAILING + 1)))) == ()
    assert delivered(out(), KEEP) == ()
    assert meetings(out(), Plan((DELIVER,), deliver=(0,)), replace(screening(), extracted=None)) == ()


def test_who_wrote_here_before():
    one = mail(RAW, "a@here.example", "b@here.example")

    assert delivered(one) == (Meeting("a@here.example", "ida@sender.example", Bond.SEEN),)
    assert delivered(one, KEEP, DELIVER) == (Meeting("b@here.example", "ida@sender.example", Bond.SEEN),)
    assert delivered(one, facts=Facts(authenticated=False)) == ()
    assert delivered(one, authors=(Address("", "a@x.example"), Address("", "b@x.example"))) == ()


def learner(folder, failures, **more):
    return Learner(store_settings(folder), Clock(), failures.append, flush=0.02, refresh=0.05, **more)


def test_what_is_learnt_answers_the_facts(tmp_path):
    failures = []
    new_store(tmp_path).close()
    it = learner(tmp_path, failures)
    it.start()
    it.note([Meeting("ben@here.example", "ida@sender.example", Bond.WROTE)])
    wait_for(lambda: "ida@sender.example" in it.known)

    seen = Extracted(
        from_=(Address("Ida", "ida@sender.example"),), headers={"date": "Sun, 01 Mar 2026 12:00:00 +0000"},
        authentication_results=("mx.here.example; dmarc=pass header.from=sender.example",),
    )  # fmt: skip
    site = Site(frozenset({"mx.here.example"}), frozenset(), it.known, it.seen)
    found = facts(seen, Envelope("ida@sender.example", ()), site, DomainLists.load())
    forged = facts(replace(seen, authentication_results=()), Envelope("", ()), site, DomainLists.load())
    it.stop(20)

    assert (found.authenticated, found.known_correspondent, found.first_contact) == (True, True, None)
    assert forged.known_correspondent is not True
    assert found.lookalike_domain is None
    assert failures == []


def test_what_others_learn_and_forget_comes_over(tmp_path):
    with new_store(tmp_path) as store:
        it = learner(tmp_path, [])
        it.start()
        remember(store, [Meeting("ben@here.example", "ida@sender.example", Bond.RELEASED)], store.clock())
        wait_for(lambda: "sender.example" in it.known)
        forget(store, "sender.example")
        wait_for(lambda: "sender.example" not in it.known)
        it.stop(20)


def test_what_waits_is_stored_at_the_end(tmp_path):
    with new_store(tmp_path) as store:
        it = Learner(store_settings(tmp_path), Clock(), lambda _: None, flush=600.0)
        it.start()
        wait_for(lambda: it._loaded)
        it.note([Meeting("ben@here.example", "ida@sender.example", Bond.WROTE)])
        it.stop(20)

        again = learner(tmp_path, [])
        again.start()
        wait_for(lambda: "ida@sender.example" in again.known)
        again.stop(20)
        store.close()


def test_without_its_store_everybody_is_unknown_until_it_comes_back(tmp_path):
    failures = []
    it = learner(tmp_path, failures)
    it.start()
    it.note([Meeting("ben@here.example", "ida@sender.example", Bond.WROTE)])
    wait_for(lambda: failures)
    assert set(failures) == {"correspondents-failed"}
    assert "ida@sender.example" not in it.known
    assert not it.known

    new_store(tmp_path).close()
    it.note([Meeting("ben@here.example", "otto@far.example", Bond.WROTE)])
    wait_for(lambda: "otto@far.example" in it.known)
    it.stop(20)

"""Release: exact bytes, one header, never twice, and honest about what is not known."""

import signal
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from kept_mail import RAW, START, Clock, keep, mail, new_store, store_settings
from sqlalchemy import text

from model.labels import Label
from model.mail import Recipient
from model.verdict import Route
from quarantine import moves
from quarantine.errors import StoreError, WrongState
from quarantine.item import Action, State
from quarantine.release import NotSent, release, released_header, settle
from quarantine.search import get, history
from quarantine.store import Store, utc_now


@dataclass
class Answer:
    code: int = 250
    text: str = "250 2.0.0 Ok: queued as 4XYZ"


@dataclass
class Port:
    """A release port: takes whole messages, or fails in a way that a test chooses."""

    answer: Answer = field(default_factory=Answer)
    error: BaseException | None = None
    when: str = "before"
    taken: list = field(default_factory=list)

    def __call__(self, envelope, chunks):
        if self.error and self.when == "before":
            raise self.error
        pieces = []
        for piece in chunks:
            pieces.append(piece)
            if self.error and self.when == "amid":
                raise self.error
        if self.error:
            raise self.error
        self.taken.append((envelope, b"".join(pieces)))
        return self.answer


def test_the_bytes_are_the_original_behind_one_header(store):
    item = keep(store, mail(RAW, "ben@here.example", params=("BODY=8BITMIME", "SIZE=81", "RET=HDRS")))
    port = Port()

    outcome = release(store, item, port, by="mona")

    [(envelope, data)] = port.taken
    header = f"X-Gatepost-Released: {item}; by mona; at 2026-03-01T12:00:00Z\r\n".encode()
    assert data == header + RAW
    assert envelope.sender == "ida@sender.example"
    assert envelope.recipients == (Recipient("ben@here.example", ("NOTIFY=NEVER", "ORCPT=rfc822;ben@here.example")),)
    assert envelope.params == ("BODY=8BITMIME", "RET=HDRS")  # our header makes the client's SIZE wrong
    assert envelope.client.queue_id == "4ABC"
    assert (outcome.state, outcome.reply) == (State.RELEASED, "250 2.0.0 Ok: queued as 4XYZ")


def test_each_step_is_on_record_with_who_and_when(store, clock):
    item = keep(store)
    clock.forward(minutes=5)
    release(store, item, Port(), by="mona", reason="asked for by phone")

    begun, sent = history(store, item)
    assert (begun.action, begun.by, begun.reason) == (Action.RELEASE, "mona", "asked for by phone")
    assert (begun.before, begun.after) == (State.QUARANTINED, State.RELEASING)
    assert (sent.action, sent.before, sent.after) == (Action.SENT, State.RELEASING, State.RELEASED)
    assert begun.at == sent.at == clock.now


def test_releasing_is_committed_before_the_first_octet(store, tmp_path):
    item = keep(store)
    seen = []

    def port(_envelope, chunks):
        with Store.open(store_settings(tmp_path)) as other:
            seen.append(get(other, item).item.state)
        list(chunks)
        return Answer()

    release(store, item, port, by="mona")

    assert seen == [State.RELEASING]


def test_another_recipient_needs_a_reason_and_takes_no_parameters_along(store):
    item = keep(store)
    with pytest.raises(StoreError, match="reason"):
        release(store, item, Port(), by="mona", to="abuse@here.example", reason=" ")

    port = Port()
    release(store, item, port, by="mona", to="abuse@here.example", reason="for the report")

    assert port.taken[0][0].recipients == (Recipient("abuse@here.example"),)
    assert history(store, item)[0].reason == "to abuse@here.example: for the report"


@pytest.mark.parametrize("code", [450, 550, 354])
@pytest.mark.parametrize("route", [Route.QUARANTINE, Route.HOLD])
def test_a_refusal_puts_it_back_and_is_shown(store, code, route):
    item = keep(store, route=route)
    before = get(store, item).item.state

    outcome = release(store, item, Port(Answer(code, f"{code} no")), by="mona")

    assert (outcome.state, outcome.reply) == (before, f"{code} no")
    assert get(store, item).item.state is before
    assert history(store, item)[-1].action is Action.RETURN


@pytest.mark.parametrize(
    ("error", "when", "state"),
    [(NotSent("down"), "before", State.QUARANTINED), (NotSent("refused"), "after", State.QUARANTINED),
     (OSError(), "before", State.QUARANTINED), (OSError(), "amid", State.QUARANTINED),
     (OSError(), "after", State.RELEASING), (RuntimeError(), "after", State.RELEASING)],
)  # fmt: skip
def test_only_a_lost_answer_to_a_whole_message_is_not_known(store, error, when, state):
    item = keep(store)

    outcome = release(store, item, Port(error=error, when=when), by="mona")

    assert outcome.state is get(store, item).item.state is state


@pytest.mark.parametrize(("when", "state"), [("amid", State.QUARANTINED), ("after", State.RELEASING)])
def test_ctrl_c_leaves_what_is_true(store, when, state):
    item = keep(store)

    with pytest.raises(KeyboardInterrupt):
        release(store, item, Port(error=KeyboardInterrupt(), when=when), by="mona")

    assert get(store, item).item.state is state


def stuck(store):
    item = keep(store)
    release(store, item, Port(error=OSError(), when="after"), by="mona")
    return item


def test_a_stuck_release_is_left_alone_while_it_may_still_run(store):
    item = stuck(store)

    with pytest.raises(WrongState, match="is being released since 12:00:00 UTC"):
        release(store, item, Port(), by="otto", resume=True)


def test_a_stuck_release_says_what_to_do(store, clock):
    item = stuck(store)
    clock.forward(minutes=11)

    with pytest.raises(WrongState, match=f"--mark-released {item}.*--resume {item}"):
        release(store, item, Port(), by="otto")


def test_a_stuck_release_is_resumed_once(store, clock):
    item = stuck(store)
    clock.forward(minutes=11)
    port = Port()

    assert release(store, item, port, by="otto", resume=True).state is State.RELEASED
    with pytest.raises(WrongState, match="no release to resume"):
        release(store, item, port, by="otto", resume=True)
    assert len(port.taken) == 1


@pytest.mark.parametrize(("sent", "state"), [(True, State.RELEASED), (False, State.QUARANTINED)])
def test_a_person_can_say_what_became_of_a_stuck_release(store, clock, sent, state):
    item = stuck(store)
    clock.forward(minutes=11)

    settle(store, item, by="otto", sent=sent, reason="the log says so")

    assert get(store, item).item.state is state
    with pytest.raises(WrongState, match="no release to settle"):
        settle(store, item, by="otto", sent=sent, reason="again")


def test_a_slow_answer_does_not_overrule_who_resumed_meanwhile(store, clock):
    """The first sender wakes up after somebody has resumed and finished: only the attempt that counts may finish."""
    item = keep(store)
    second = Port()

    def slow(_envelope, chunks):
        list(chunks)
        clock.forward(minutes=11)
        release(store, item, Port(Answer(450, "450 later")), by="otto", resume=True)
        release(store, item, second, by="otto")
        return Answer()

    with pytest.raises(WrongState):
        release(store, item, slow, by="mona")

    assert len(second.taken) == 1
    assert get(store, item).item.state is State.RELEASED


@pytest.mark.parametrize("state", [State.RELEASED, State.DELETED])
def test_what_is_done_is_not_released_again(store, state):
    item = keep(store)
    if state is State.RELEASED:
        release(store, item, Port(), by="mona")
    else:
        moves.remove(store, item, by="mona")
    port = Port()

    with pytest.raises(WrongState, match=f"is {state}: release is not possible"):
        release(store, item, port, by="mona")
    assert port.taken == []


def test_what_was_rejected_by_mistake_can_still_be_released(store):
    item = keep(store)
    moves.reject(store, item, by="mona", reason="looked bad")

    assert release(store, item, Port(Answer(450, "450 later")), by="mona").state is State.REJECTED
    assert release(store, item, Port(), by="mona").state is State.RELEASED


def test_damaged_bytes_never_leave(store):
    item = keep(store)
    with store.writing() as connection:
        connection.execute(text("UPDATE bodies SET data = zeroblob(length(data))"))
    port = Port()

    with pytest.raises(StoreError, match="altered"):
        release(store, item, port, by="mona")
    assert port.taken == []
    assert get(store, item).item.state is State.QUARANTINED


def test_eight_people_at_once_release_once(tmp_path):
    """Each with a connection of their own, all through one gate; twenty rounds."""
    with new_store(tmp_path) as store:
        wanted = [keep(store) for _ in range(20)]
    port = Port()
    refused = []
    gate = threading.Barrier(8)

    def person(name):
        with Store.open(store_settings(tmp_path), clock=Clock()) as mine:
            for item in wanted:
                gate.wait()
                try:
                    release(mine, item, port, by=name)
                except WrongState as error:
                    refused.append(error)

    people = [threading.Thread(target=person, args=(f"p{n}",)) for n in range(8)]
    for one in people:
        one.start()
    for one in people:
        one.join()

    assert len(port.taken) == 20
    assert len(refused) == 7 * 20
    with Store.open(store_settings(tmp_path)) as store:
        assert {get(store, item).item.state for item in wanted} == {State.RELEASED}


CUT_OFF = """
import os, signal, sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from kept_mail import store_settings
from quarantine.release import release
from quarantine.store import Store

def send(envelope, chunks):
    list(chunks)
    os.kill(os.getpid(), signal.SIGKILL)

with Store.open(store_settings(Path(sys.argv[1]))) as store:
    release(store, sys.argv[3], send, by="mona")
"""


def test_a_process_killed_amid_a_release_leaves_it_to_be_seen(tmp_path):
    with new_store(tmp_path, utc_now) as store:
        item = keep(store)
        support = str(Path(sys.modules["kept_mail"].__file__).parent)
        done = subprocess.run([sys.executable, "-c", CUT_OFF, str(tmp_path), support, item])

        assert done.returncode == -signal.SIGKILL
        found = get(store, item).item
        assert (found.state, found.before) == (State.RELEASING, State.QUARANTINED)
        with pytest.raises(WrongState, match="is being released since"):
            release(store, item, Port(), by="otto")


ONE_OF_MANY = """
import sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from kept_mail import store_settings
from quarantine.errors import WrongState
from quarantine.release import release
from quarantine.store import Store

class Answer:
    code, text = 250, "250 Ok"

def send(envelope, chunks):
    list(chunks)
    with open(Path(sys.argv[1]) / "sent", "a") as log:
        log.write(envelope.recipients[0].address + "\\n")
    return Answer

sys.stdin.readline()
with Store.open(store_settings(Path(sys.argv[1]))) as store:
    for item in sys.argv[3:]:
        try:
            release(store, item, send, by="mona")
        except WrongState:
            pass
"""


def test_four_processes_at_once_release_once(tmp_path):
    with new_store(tmp_path) as store:
        wanted = [keep(store, mail(RAW, f"r{n}@here.example")) for n in range(25)]
    support = str(Path(sys.modules["kept_mail"].__file__).parent)
    children = [
        subprocess.Popen([sys.executable, "-c", ONE_OF_MANY, str(tmp_path), support, *wanted], stdin=subprocess.PIPE)
        for _ in range(4)
    ]
    for child in children:
        child.stdin.write(b"go\n")
        child.stdin.close()

    assert [child.wait(60) for child in children] == [0] * 4
    assert sorted((tmp_path / "sent").read_text().split()) == sorted(f"r{n}@here.example" for n in range(25))


def test_the_header_holds_no_address_and_no_line_of_its_own():
    assert released_header("abc", "mona@here.example\r\nX: y", START) == (
        b"X-Gatepost-Released: abc; by mona_here.example__X__y; at 2026-03-01T12:00:00Z\r\n"
    )


def test_a_label_moves_nothing_and_an_action_labels_nothing(store):
    item = keep(store)
    moves.label(store, item, Label.HAM, by="mona")
    assert get(store, item).item.state is State.QUARANTINED

    moves.reject(store, item, by="mona", reason="not ours")
    assert get(store, item).item.reviewed is Label.HAM

    moves.unlabel(store, item, by="mona")
    assert get(store, item).item.reviewed is None
    assert [(r.action, r.label) for r in history(store, item)] == [
        (Action.LABEL, Label.HAM), (Action.REJECT, None), (Action.UNLABEL, None),
    ]  # fmt: skip


def test_the_other_recipients_copy_is_another_item(store):
    one = mail(RAW, "a@here.example", "b@here.example")
    from kept_mail import kept

    first, second = store.keep(one, kept(one), pending=False).items
    release(store, first, Port(), by="mona")

    assert get(store, second).item.state is State.QUARANTINED

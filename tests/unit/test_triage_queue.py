"""The queue over a real data store: who is asked what, in which order, beside what; and approvals."""

from datetime import timedelta

import numpy as np
import pytest
from dataset_rig import data_store, lesson, letter, numbered, put, said
from scipy.sparse import csr_matrix

from training.store.entry import Filter, LabelSource
from training.store.labelling import give
from training.store.snapshots import freeze
from training.triage.approval import approved, approvers
from training.triage.approval import said as words_of
from training.triage.pile import Pile, one_each, part
from training.triage.queue import Queue, drafts_of, second, undecided
from training.triage.settings import TriageSettings
from training.triage.suspects import SETTLED, settled, suspects

REVIEW, DRAFT = LabelSource.REVIEW, LabelSource.DRAFT


@pytest.fixture
def data(tmp_path, clock):
    with data_store(tmp_path, clock) as opened:
        yield opened


def pile(entries, words, scores):
    subjects = tuple(f"Subject {n}" for n in range(len(entries)))
    return Pile(tuple(entries), subjects, csr_matrix(np.array(words, float)), tuple(scores))


def nothing(width):
    return Pile((), (), csr_matrix((0, width)), ())


def entries_of(store, n):
    put(store, *(numbered(at) for at in range(n)))
    return store.entries()


def order(queue):
    found = []
    while (asked := queue.following()) is not None:
        found.append(asked.at)
        queue.skip(asked.at)
    return found


def test_the_unsure_come_first_then_what_a_draft_contradicts(data):
    """All are new (.2); entropy of .5 gives .4, a draft of ham against .99 gives .15 · .99, entropy of .99 .03."""
    entries = entries_of(data, 3)
    give(data, {entries[1].digest: "ham"}, source=DRAFT, by="teacher")

    waiting = pile(entries, np.eye(3), [0.99, 0.99, 0.5])
    queue = Queue(waiting, nothing(3), drafts_of(data.history()), TriageSettings())

    assert order(queue) == [2, 1, 0]
    assert queue.asked(1).worth.total == pytest.approx(0.2 + 0.15 * 0.99 + 0.4 * 0.0808, abs=1e-4)
    assert queue.asked(1).draft is not None
    assert queue.asked(0).p_words is None
    assert queue.left == 0


def test_a_label_makes_what_is_like_it_less_worth_and_undoing_it_makes_it_worth_again(data):
    entries = entries_of(data, 3)
    words = [[1, 0], [1, 0], [0, 1]]
    queue = Queue(pile(entries, words, [0.5, 0.5, 0.5]), nothing(2), {}, TriageSettings())
    assert queue.following().at == 0

    queue.label(0, "spam")

    assert queue.following().at == 2
    assert queue.asked(1).worth.novelty == 0
    assert [(n.digest, n.label, n.similarity) for n in queue.asked(1).near] == [(entries[0].digest, "spam", 1.0)]
    queue.label(0, "")
    assert queue.following().at == 0
    assert queue.asked(1).worth.novelty == 1


def test_the_three_nearest_reviewed_messages_are_shown_and_never_one_of_the_campaign_itself(data):
    put(data, *((numbered(n), said("ham" if n % 2 else "spam")) for n in range(5)), letter())
    known, waiting = data.entries(Filter(labelled=True)), data.entries(Filter(labelled=False))
    c = [1.0, 0.9, 0.8, 0.7, 0.0]
    words = [[x, (1 - x * x) ** 0.5] for x in c]
    queue = Queue(pile(waiting, [[1, 0]], [0.5]), pile(known, words, ()), {}, TriageSettings())

    near = queue.asked(0).near

    assert [(n.similarity, n.label, n.subject) for n in near] == [
        (1.0, "spam", "Subject 0"),
        (pytest.approx(0.9), "ham", "Subject 1"),
        (pytest.approx(0.8), "spam", "Subject 2"),
    ]
    again = Queue(part(pile(known, words, c), [0]), pile(known, words, ()), {}, TriageSettings(), by_value=False)
    assert [n.subject for n in again.asked(0).near] == ["Subject 1", "Subject 2", "Subject 3"]


def test_the_words_of_this_site_disagree_with_the_model(data):
    put(data, *((lesson(n, bad=n % 2 == 1), said("spam" if n % 2 else "ham")) for n in range(24)), letter())
    known, waiting = data.entries(Filter(labelled=True)), data.entries(Filter(labelled=False))
    words = [[0, 1] if e.bad else [1, 0] for e in known]

    asked = Queue(pile(waiting, [[0, 1]], [0.1]), pile(known, words, ()), {}, TriageSettings()).asked(0)

    assert asked.p_words > 0.8
    assert asked.worth.disagreement == pytest.approx(asked.p_words - 0.1)


def test_one_message_of_a_campaign_is_asked_about_and_none_of_a_decided_one(data):
    copies = [letter(date=f"Mon, 02 Feb 2026 10:00:0{n} +0000") for n in range(3)]
    put(data, *copies, (numbered(1), said("ham")), numbered(1, date="Mon, 02 Feb 2026 11:00:00 +0000"))
    entries = data.entries()
    open_ = undecided(entries, words_of(data.history()), approved({}, 1), "mona")

    assert len(open_) == 3
    [one] = one_each(open_, 10)
    assert one.received.second == 2  # the newest
    give(data, {entries[0].digest: "spam"}, source=DRAFT, by="teacher")
    assert one_each(data.entries(Filter(labelled=False)), 10)[0].digest != one.digest  # thought about before


def test_with_two_approvals_a_label_trains_once_two_people_gave_it(data, clock):
    put(data, (numbered(1), said("ham")), (numbered(2), said("ham")), (numbered(3), said("ham")))
    first, other, third = data.entries()
    clock.forward(days=1)
    give(data, {first.digest: "ham", other.digest: "spam"}, source=REVIEW, by="otto")
    give(data, {third.digest: "ham"}, source=DRAFT, by="teacher")
    give(data, {third.digest: "ham"}, source=REVIEW, by="mona")  # the same person again
    words = words_of(data.history())

    assert approvers(data.get(first.digest), words) == {"mona", "otto"}
    frozen = freeze(data, "two", by="mona", only=approved(words, 2))
    assert [e.digest for e in frozen.entries] == [first.digest]
    assert freeze(data, "one", by="mona", only=approved(words, 1)).size == 3
    may_train = approved(words, 2)
    assert [e.digest for e in undecided(data.entries(), words, may_train, "otto")] == [third.digest]
    assert undecided(data.entries(), words, may_train, "mona") == []  # she has said what she thinks


def test_a_second_opinion_is_asked_of_others_only_and_in_no_order_of_value(data):
    put(data, *((numbered(n), said("ham")) for n in range(20)), letter())
    entries, words = data.entries(), words_of(data.history())

    assert second(entries, words, "mona") == []
    found = second(entries, words, "otto")
    assert len(found) == 20
    assert found != entries[:20]
    assert found == second(list(reversed(entries)), words, "otto")


def test_taking_back_ones_own_word_leaves_that_of_others(data, clock):
    [done] = put(data, (numbered(1), said("ham")))
    for label in ("spam", ""):
        clock.forward(hours=1)
        give(data, {done.digest: label}, source=REVIEW, by="otto")

    assert (data.get(done.digest).name, data.get(done.digest).reviewer) == ("ham", "mona")
    clock.forward(hours=1)
    give(data, {done.digest: ""}, source=REVIEW, by="eva")  # has said nothing herself
    assert data.get(done.digest).name == ""


def test_a_suspect_has_its_reason_and_is_settled_by_looking_again(data, clock):
    wrong = 7
    put(data, *((lesson(n, bad=n % 2 == 1), said("spam" if n % 2 and n != wrong else "ham")) for n in range(28)))
    known = data.entries()
    words = [[0, 1] if n % 2 else [1, 0] for n in range(28)]
    model = [0.9 if n % 2 else 0.1 for n in range(28)]

    [found] = suspects(pile(known, words, model), TriageSettings())

    assert found.entry.digest == known[wrong].digest
    assert found.p_other > 0.8
    start = f"labelled ham, but judged by all other mail it is {found.p_other:.0%} bad mail (mail"
    assert found.reason.startswith(start)
    assert found.reason.endswith("the model says 90% bad; 3 of the 3 messages most like it are bad mail")
    clock.forward(hours=1)
    give(data, {known[wrong].digest: "ham"}, source=REVIEW, by="mona", reason=SETTLED, again=True)
    assert settled(data.history()) == {known[wrong].digest}
    assert suspects(pile(known, words, model), TriageSettings(), settled(data.history())) == []
    give(data, {known[wrong].digest: "spam"}, source=REVIEW, by="otto", at=clock.now + timedelta(hours=1))
    assert settled(data.history()) == set()

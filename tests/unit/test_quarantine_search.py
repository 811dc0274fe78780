"""Finding items: filters, order, pages, prefixes; and no text of a user is ever a part of the query."""

from datetime import timedelta

import pytest
from kept_mail import START, keep, kept, mail
from sqlalchemy import text

from model.labels import Label
from model.mail import Direction
from model.verdict import Reason, Route
from quarantine import moves
from quarantine.errors import NotFound
from quarantine.item import State
from quarantine.queue import following, waiting
from quarantine.search import Filter, Sort, count, find, get
from quarantine.stats import forget, position, remember, stats


@pytest.fixture
def filled(store, clock):
    """Four items, an hour apart, by name."""
    names = {}
    names["shop"] = keep(store, mail(b"1" * 10, "a@here.example", sender="100%_off@shop.example"),
                         label=Label.SPAM, p_bad=0.7, subject="Sale für alle")  # fmt: skip
    clock.forward(hours=1)
    names["bank"] = keep(store, mail(b"1" * 30, "b@here.example", sender="bank@verify.example"),
                         p_bad=0.99, subject="Your ACCOUNT")  # fmt: skip
    clock.forward(hours=1)
    names["leak"] = keep(store, mail(b"1" * 20, "x@out.example", sender="Staff@here.example", direction="outbound"),
                         route=Route.HOLD, label=None, p_bad=None, reasons=(Reason("leak", "x"),))  # fmt: skip
    clock.forward(hours=1)
    names["null"] = keep(store, mail(b"1" * 40, "B@here.example", sender=""), label=Label.FRAUD, p_bad=0.9)
    moves.label(store, names["null"], Label.HAM, by="mona")
    return names


def names(store, filled, wanted, **order):
    back = {item: name for name, item in filled.items()}
    return [back[one.item.id] for one in find(store, wanted, **order)]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Filter(), ["null", "leak", "bank", "shop"]),
        (Filter(states=(State.HELD,)), ["leak"]),
        (Filter(states=(State.HELD, State.RELEASED)), ["leak"]),
        (Filter(direction=Direction.OUTBOUND), ["leak"]),
        (Filter(label=Label.FRAUD), ["null"]),
        (Filter(reviewed=Label.HAM), ["null"]),
        (Filter(unreviewed=True), ["leak", "bank", "shop"]),
        (Filter(sender="staff@"), ["leak"]),
        (Filter(sender="%"), ["shop"]),
        (Filter(sender="_"), ["shop"]),
        (Filter(sender="\\"), []),
        (Filter(sender="' OR 1=1 --"), []),
        (Filter(recipient="b@HERE"), ["null", "bank"]),
        (Filter(subject="FÜR"), ["shop"]),
        (Filter(subject="account"), ["bank"]),
        (Filter(reason="leak"), ["leak"]),
        (Filter(model="2026.1"), ["null", "leak", "bank", "shop"]),
        (Filter(model="2025.9"), []),
        (Filter(min_score=0.9), ["null", "bank"]),
        (Filter(since=START + timedelta(hours=1)), ["null", "leak", "bank"]),
        (Filter(before=START + timedelta(hours=1)), ["shop"]),
        (Filter(since=START + timedelta(hours=1), min_score=0.95), ["bank"]),
    ],
    ids=lambda v: str(v) if isinstance(v, list) else "",
)
def test_a_filter_finds_what_it_says(store, filled, wanted, expected):
    assert names(store, filled, wanted) == expected
    if not wanted.subject:
        assert count(store, wanted) == len(expected)


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        (Sort.TIME, ["null", "leak", "bank", "shop"]),
        (Sort.SCORE, ["bank", "null", "shop", "leak"]),
        (Sort.SENDER, ["null", "shop", "bank", "leak"]),
        (Sort.RECIPIENT, ["shop", "null", "bank", "leak"]),
        (Sort.SIZE, ["null", "bank", "leak", "shop"]),
        (Sort.DEADLINE, ["leak", "null", "bank", "shop"]),
    ],
)
def test_every_order_puts_rows_without_a_value_last(store, filled, sort, expected):
    assert names(store, filled, Filter(), sort=sort) == expected


def test_an_order_can_be_reversed_and_rows_without_a_value_stay_last(store, filled):
    assert names(store, filled, Filter(), sort=Sort.SCORE, reverse=True) == ["shop", "null", "bank", "leak"]


def test_pages_follow_each_other_without_gap_or_repeat(store, clock):
    """More than one page of the database, also where the subject is filtered afterwards."""
    made = [keep(store, subject=f"no {n % 2}") for n in range(250)]

    assert len(list(find(store, Filter()))) == 250
    seen = [one.item.id for at in range(0, 250, 70) for one in find(store, Filter(), limit=70, offset=at)]
    assert sorted(seen) == sorted(made)
    odd = [
        one.item.id for at in range(0, 130, 60) for one in find(store, Filter(subject="no 1"), limit=60, offset=at)
    ]
    assert len(odd) == len(set(odd)) == 125


@pytest.mark.parametrize(
    "form", [str.upper, lambda i: i[:8], lambda i: f" {i} ", lambda i: i.replace("0", "o").replace("1", "l")]
)
def test_an_id_is_found_by_its_beginning_in_any_case(store, filled, form):
    assert get(store, form(filled["bank"])).item.id == filled["bank"]


@pytest.mark.parametrize(
    ("wanted", "words"),
    [("zzzzzzzz", "no item"), ("abc", "too short"), ("", "not an id"), ("a b c d", "not an id"),
     ("%%%%", "not an id"), ("aaaaaaaaaaaaa", "not an id"), ("häää", "not an id")],
)  # fmt: skip
def test_what_is_no_id_is_said(store, wanted, words):
    with pytest.raises(NotFound, match=words):
        get(store, wanted)


def test_a_beginning_of_several_is_refused(tmp_path):
    from kept_mail import store_settings

    from quarantine.migrate import migrate
    from quarantine.store import Store

    migrate(store_settings(tmp_path))
    ids = iter(["m1", "abcd1", "m2", "abcd2"])
    with Store.open(store_settings(tmp_path), ids=lambda: next(ids)) as store:
        keep(store)
        keep(store)

        with pytest.raises(NotFound, match="several"):
            get(store, "abcd")
        assert get(store, "abcd2").item.id == "abcd2"


def test_the_id_that_the_client_was_told_leads_to_the_item(store):
    """`kept as ...` in the upstream's log names the message; one for several recipients leads to a list of them."""
    one, three = mail(), mail(b"x", "a@here.example", "b@here.example", "c@here.example")
    single, several = store.keep(one, kept(one), pending=False), store.keep(three, kept(three), pending=False)

    assert get(store, single.message).item.id == single.items[0]
    with pytest.raises(NotFound, match=f"several; see: .* list --all --message {several.message}"):
        get(store, several.message)
    assert {one.item.id for one in find(store, Filter(message=several.message))} == set(several.items)


def test_one_damaged_row_does_not_hide_the_others(store, filled):
    with store.writing() as connection:
        connection.execute(text("UPDATE items SET record = x'00' WHERE id = :id"), {"id": filled["bank"]})

    found = {one.item.id: one for one in find(store, Filter())}
    assert len(found) == 4
    assert found[filled["bank"]].record is None
    assert found[filled["shop"]].record is not None


def test_the_queue_goes_oldest_first_and_on_from_a_position(store, filled):
    moves.reject(store, filled["bank"], by="mona", reason="bad")
    seen, at = [], None
    while found := following(store, Filter(), at):
        seen.append(found.item.id)
        at = (found.item.kept_at, found.item.id)

    assert seen == [filled["shop"], filled["leak"], filled["null"]]
    assert waiting(store, Filter()) == 3
    assert waiting(store, Filter(direction=Direction.OUTBOUND)) == 1


def test_items_of_one_moment_are_all_in_the_queue(store):
    made = {keep(store) for _ in range(5)}
    seen, at = set(), None
    while found := following(store, Filter(), at):
        seen.add(found.item.id)
        at = (found.item.kept_at, found.item.id)

    assert seen == made


def test_a_position_is_stored_by_reviewer(store):
    remember(store, "mona", START, "abc")
    remember(store, "mona", START, "abd")
    assert position(store, "mona") == (START, "abd")
    assert position(store, "otto") is None
    forget(store, "mona")
    assert position(store, "mona") is None


def test_stats_add_up(store, filled):
    moves.reject(store, filled["bank"], by="mona", reason="bad")
    found = stats(store)

    assert found.states == {
        (Direction.INBOUND, State.QUARANTINED): 2,
        (Direction.INBOUND, State.REJECTED): 1,
        (Direction.OUTBOUND, State.HELD): 1,
    }
    assert found.agreement == {(Label.FRAUD, Label.HAM): 1}
    assert (found.unreviewed, found.messages, found.octets) == (2, 4, 100)
    assert found.oldest == START


def test_stats_of_nothing_are_nothing(store):
    found = stats(store)

    assert (found.states, found.oldest, found.messages, found.octets) == ({}, None, 0, 0)

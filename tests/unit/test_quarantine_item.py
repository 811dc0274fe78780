"""The one table of legal moves."""

import pytest

from model.verdict import Route
from quarantine.item import KEPT_AS, MOVES, UNDECIDED, Action, State, allowed, sources

FINAL = {State.DELETED, State.EXPIRED}


def test_no_row_stands_twice():
    assert len(set(MOVES)) == len(MOVES)


def test_every_state_is_reached_and_only_final_ones_are_never_left():
    assert {m.after for m in MOVES} == set(State) - {State.PENDING, State.SAMPLED, State.TAGGED}
    assert set(State) - {m.before for m in MOVES} == FINAL


def test_releasing_is_left_only_by_what_the_release_port_said():
    """Nobody rejects, deletes or expires what may be on its way."""
    assert set(allowed(State.RELEASING)) == {Action.SENT, Action.RETURN, Action.RESUME}


def test_only_releasing_leads_to_released():
    assert sources(Action.SENT, State.RELEASED) == (State.RELEASING,)
    assert [m.before for m in MOVES if m.after is State.RELEASED] == [State.RELEASING]


def test_a_failed_release_can_return_to_wherever_it_began():
    began = {m.before for m in MOVES if m.action is Action.RELEASE}

    assert began == {m.after for m in MOVES if m.action is Action.RETURN}


def test_a_sample_was_delivered_and_can_only_go():
    assert set(allowed(State.SAMPLED)) == {Action.DELETE, Action.EXPIRE}


def test_time_alone_expires_no_held_mail():
    """Held mail has a deadline and a stated fate instead."""
    assert Action.EXPIRE not in allowed(State.HELD)


@pytest.mark.parametrize("state", UNDECIDED)
def test_people_can_do_everything_with_what_is_undecided(state):
    assert {Action.RELEASE, Action.REJECT, Action.DELETE} <= set(allowed(state))


def test_every_route_but_delivery_is_kept():
    assert set(KEPT_AS) == set(Route) - {Route.DELIVER}

"""Tables keep to the width they are given, whatever is in them."""

import pytest

from gatepost.item_view import field
from gatepost.terminal import Column, fit_end, headed, table, width

HEADS = (Column("P_BAD", 6, right=True), Column("LABEL", 8), Column("WHY", 16, 1), Column("PATH", 20, 2, path=True))
CELLS = [["0.500", "phishing", "score-quarantine, from-ambiguous", "/var/mail/" + "folder/" * 20 + "message.eml"],
         ["-", "-", "支払い方法の更新が必要です" * 5, "new/👍" * 30]]


@pytest.mark.parametrize("room", [40, 44, 60, 80, 200])
def test_no_line_is_wider_than_the_room(room):
    assert max(width(line) for line in table(HEADS, CELLS, room)) <= room


@pytest.mark.parametrize("room", [44, 60, 80])
def test_columns_stand_under_each_other(room):
    head, first, _ = table(HEADS, CELLS, room)

    assert first[head.index("WHY") - 2 :].startswith("  sco")
    assert first[head.index("PATH") - 2 :].startswith("  …")


def test_of_a_long_path_the_end_stays():
    assert table(HEADS, CELLS, 80)[1].endswith("/message.eml")
    assert fit_end("short", 10) == "short"
    assert fit_end("/a/long/path", 6) == "…/path"


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_a_terminal_may_want_no_bold(monkeypatch, name, value):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert list(headed(["HEAD", "row"])) == ["\x1b[1mHEAD\x1b[0m", "row"]

    monkeypatch.setenv(name, value)
    assert list(headed(["HEAD", "row"])) == ["HEAD", "row"]


def test_a_field_that_was_cut_says_so():
    assert field("Envelope", "a@b.example -> c@" + "d" * 200, 40, most=2)[-1].endswith("d…")
    assert not field("Envelope", "a@b.example -> c@d.example", 40, most=2)[-1].endswith("…")

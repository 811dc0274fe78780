"""What the demo's last step tells: tables, totals, and the sentence under them."""

import sys
import tomllib
from collections import Counter

import pytest

from gatepost.commands import demo_learning
from gatepost.demo import _outcome
from gatepost.demo_changes import (
    Fate,
    Totals,
    change_table,
    check_lines,
    relaxed_table,
    summary,
    totals_table,
    weeks_table,
)
from gatepost.demo_gateway import DemoError, Ran, Sent, header
from gatepost.demo_mail import DemoMail
from gatepost.demo_site import LETTERS, RELAXED, answer, post
from gatepost.extras import LEARN
from gatepost.terminal import width
from model.labels import Label
from model.mail import Direction
from training.evaluation.trained import TrainedOn
from training.gate.settings import GateSettings
from training.written import WrittenError
from training.written import load as load_written


def fate(route: str, *, bad: bool, p: float | None = 0.5, subject: str = "Hello") -> Fate:
    return Fate(subject, "spam" if bad else "ham", bad, route, p, "m")


BAD_OUT, BAD_IN = fate("deliver", bad=True, p=0.41), fate("quarantine", bad=True, p=0.97)
HAM_OUT, HAM_IN = fate("deliver", bad=False, p=0.03), fate("hold", bad=False, p=0.83)


def test_a_row_for_each_message_on_which_either_model_erred_and_the_rest_counted():
    before = [HAM_IN, BAD_OUT, BAD_OUT, HAM_OUT, BAD_IN, HAM_OUT]
    after = [HAM_OUT, BAD_IN, BAD_OUT, HAM_OUT, BAD_IN, HAM_IN]

    lines, alike = change_table(before, after, 80)

    assert alike == 2
    assert [line.split()[-1] for line in lines[1:]] == ["wrong", "better", "WORSE", "better"]
    assert "0.41 deliver" in lines[2]
    assert "0.97 quarantine" in lines[2]


def test_a_hostile_subject_and_a_missing_score_do_not_break_the_table():
    rows = [fate("deliver", bad=True, p=None, subject="\x1b[31m" + "请" * 90)]

    lines, _ = change_table(rows, rows, 80)

    assert all(width(line) <= 80 for line in lines)
    assert "\x1b" not in "".join(lines)


def test_totals_count_what_went_the_wrong_way():
    totals = Totals.of([BAD_OUT, BAD_IN, BAD_IN, HAM_OUT, HAM_IN])

    assert totals == Totals(bad=3, delivered=1, honest=2, kept=1)
    assert totals.wrong == 2
    assert totals_table(totals, Totals(3, 0, 2, 2), 80)[1:] == [
        "bad mail delivered         3       1       0",
        "honest mail kept back      2       1       2",
    ]
    assert weeks_table([("taught", totals)], 80)[1].split() == ["taught", "2", "1", "3", "1"]


@pytest.mark.parametrize(("after", "said"), [
    (Totals(10, 2, 20, 1), "Better: less"),
    (Totals(10, 4, 20, 1), "Better: less"),
    (Totals(10, 2, 20, 3), "Better on the whole"),
    (Totals(10, 5, 20, 2), "No better and no worse"),
    (Totals(10, 6, 20, 2), "Not better"),
    (Totals(10, 4, 20, 3), "Not better"),
])  # fmt: skip
def test_the_sentence_follows_the_figures(after, said):
    assert summary(Totals(10, 5, 20, 2), after).startswith(said)


def test_checks_that_failed_are_told_in_full_and_the_quiet_ones_by_name():
    checks = [
        {"name": "golden", "passed": True, "waived": False, "detail": "golden scores differ by 0"},
        {"name": "certificate", "passed": True, "waived": False, "detail": "0 of 12 senders"},
        {"name": "attack-padding", "passed": False, "waived": False, "detail": "catches 10 % of attacks, " * 7},
        {"name": "parity", "passed": True, "waived": False, "detail": "the same"},
    ]

    lines = check_lines(checks, 80)

    assert lines[0] == "ok      certificate: 0 of 12 senders"
    assert lines[1].startswith("FAILED  attack-padding: catches")
    assert lines[-1] == "ok      and 2 more: golden, parity"
    assert all(width(line) <= 80 for line in lines)
    assert check_lines([checks[2]], 80)[-1].startswith("        ")


def test_each_weakened_key_of_the_gate_is_one_is_weaker_and_says_why():
    shipped = GateSettings()
    demo = GateSettings.model_validate({key: value for key, value, _ in RELAXED})

    assert [key for key, value, why in RELAXED if value == getattr(shipped, key) or not why] == []
    assert demo.false_positive_budget > shipped.false_positive_budget
    lines = relaxed_table(RELAXED, shipped, 80)
    assert all(width(line) <= 80 and "…" not in line for line in lines)
    assert lines[1].split()[:3] == ["false_positive_budget", "0.35", "0.02"]


def test_the_mail_is_parted_by_date_and_each_message_can_be_told_from_its_face():
    mail = post()
    every = [*mail.taught, *mail.held_out]

    assert len(mail.held_out) == len(every) // 3
    faces: dict[tuple[str, str], set[str]] = {}
    for one in every:
        faces.setdefault((one.sender.lower(), one.subject), set()).add(one.what)
    assert [face for face, meant in faces.items() if len(meant) > 1] == []
    for part in (mail.taught, mail.held_out):
        assert set(Counter(one.what for one in part)) == set(Label)
    assert all(one.recipient.endswith("@hollerbach.example") for one in every)


def test_no_model_that_ships_was_taught_the_mail():
    """The written set trains the model that ships; nothing of the demo's mail is in it, not even a near copy."""
    mine = tomllib.loads(LETTERS.read_text(encoding="utf-8"))["message"]
    texts = [one.get("text") or one["html"] for one in mine]

    assert not TrainedOn.of([one.text or one.html for one in load_written()]).near(texts).any()


@pytest.mark.parametrize(("text", "said"), [
    ("author = ", "Invalid value"),
    ('author = "x"\n[[message]]\npair = "a"', "sender: expected a text"),
])
def test_mail_that_cannot_be_read_is_named(tmp_path, text, said):
    place = tmp_path / "mail.toml"
    place.write_text(text)

    with pytest.raises(WrittenError, match=said) as error:
        post(place)
    assert str(place) in str(error.value)


def test_what_became_of_a_message_is_found_by_its_id():
    """The order of times in the quarantine says nothing: clocks are set back."""
    mails = [DemoMail(Direction.INBOUND, "a@x.example", "b@y.example", name, "spam", b"") for name in "ab"]
    kept = {name: {"message": name, "route": "hold", "id": f"i{name}", "reasons": [{"code": name, "detail": ""}]}
            for name in "ba"}  # fmt: skip

    assert [_outcome(Sent(mail, mail.subject, None), kept).item for mail in mails] == ["ia", "ib"]
    with pytest.raises(DemoError, match="the quarantine has no such message"):
        _outcome(Sent(mails[0], "c", None), kept)


def test_a_refusal_is_an_answer_and_silence_is_not():
    assert answer(Ran(1, '{"action": "refuse", "serving": "m"}', ""))["serving"] == "m"
    for out in ("", "{}", "[]"):
        with pytest.raises(DemoError, match="no such model"):
            answer(Ran(1, out or "no such model", "no such model"))


def test_a_folded_header_is_read_whole():
    raw = b"X-Gatepost-Verdict: deliver;\r\n\tlabel=ham\r\nSubject: a\r\n\r\nX-Other: no\r\n"

    assert header(raw, "x-gatepost-verdict") == "deliver; label=ham"
    assert header(raw, "X-Other") is None


def test_without_its_packages_the_last_step_says_what_it_needs(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    said = []

    demo_learning.tell_missing(LEARN.missing(), lambda _step, text: said.append(text))

    assert "needs scikit-learn (" in said[0]
    assert "pip install 'gatepost[learn]'" in capsys.readouterr().out

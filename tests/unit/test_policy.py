"""The decision table: every order of what can be known of a message, and the reason that decides."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from itertools import product

import pytest

from model import reasons
from model.extracted import Address, Defect, Extracted
from model.facts import Facts
from model.labels import Label
from model.mail import Client, Direction, Envelope, Mail, RawMessage, Recipient
from model.policy import Policy, decide
from model.rules import Rule
from model.screen import Screening
from model.verdict import Finding, Route, Score, Verdict

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
AUTHOR = "anna@nordhafen.example"
LEAK = Finding("payment-card", "Visa ending in 9855", 0.97, "text")
HINT = Finding("payment-card", "Visa ending in 9855", 0.4, "text")


def score(p_bad: float, label: Label = Label.PHISHING) -> Score:
    probabilities = dict.fromkeys(Label, 0.0) | {Label.HAM: 1 - p_bad, label: p_bad}
    return Score(probabilities, "test", fact_logits={"cheap_tld": 0.7, "is_reply": -0.2, "unknown_links": 0.9})


def screening(*, p_bad: float | None = 0.0, authenticated: bool | None = True, findings: tuple[Finding, ...] = (),
              defects: tuple[str, ...] = (), ambiguous: bool = False, label: Label = Label.PHISHING) -> Screening:
    return Screening(
        extracted=Extracted(from_=(Address("Anna", AUTHOR),), defects=tuple(map(Defect, defects))),
        facts=Facts(authenticated=authenticated, from_ambiguous=ambiguous),
        score=None if p_bad is None else score(p_bad, label),
        findings=findings,
        fault="" if p_bad is not None else "extraction-timeout",
    )


def mail(direction: Direction = Direction.INBOUND, sender: str = AUTHOR, client: str = "192.0.2.7") -> Mail:
    envelope = Envelope(sender, (Recipient("ben@site.example"),), client=Client(address=client))
    return Mail(envelope, RawMessage.of(b""), direction)


def policy(**changes: object) -> Policy:
    return Policy(**{"quarantine_at": 0.8, "hold_at": 0.5, "reject_at": 0.99, **changes})  # type: ignore[arg-type]


def verdict(seen: Screening, wanted: Policy, sent: Mail | None = None, to: str = "ben@site.example") -> Verdict:
    return decide(seen, sent or mail(), to, wanted, NOW)


def expected(blocked: bool, allowed: bool, leaking: bool, unscored: bool, defective: bool, p_bad: float,
             exempt: bool) -> tuple[Route, str]:
    """The documented order, written down a second time."""
    if blocked:
        return Route.QUARANTINE, reasons.BLOCK_RULE
    if leaking:
        return Route.HOLD, reasons.LEAK
    if allowed:
        return Route.DELIVER, reasons.ALLOW_RULE
    if unscored:
        return Route.UNSCORED, reasons.UNSCORED
    if defective:
        return Route.HOLD, reasons.DEFECT
    for at, route, code in (
        (0.99, Route.REJECT, reasons.SCORE_REJECT),
        (0.8, Route.QUARANTINE, reasons.SCORE_QUARANTINE),
        (0.5, Route.HOLD, reasons.SCORE_HOLD),
    ):
        if p_bad >= at:
            return (Route.DELIVER, reasons.EXEMPT_RECIPIENT) if exempt else (route, code)
    return Route.DELIVER, reasons.CLEAN


@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize("p_bad", [0.0, 0.4999, 0.5, 0.7999, 0.8, 0.9899, 0.99, 1.0])
def test_every_row_of_the_decision_table(direction: Direction, p_bad: float) -> None:
    """All combinations of rule, leak, missing score, defect and exemption, at every side of every threshold."""
    rule = (Rule(address=AUTHOR),)
    for blocked, allowed, leak, unscored, defective, exempt in product((False, True), repeat=6):
        leaking = leak and direction is Direction.OUTBOUND
        wanted = policy(block=rule if blocked else (), allow=rule if allowed else (),
                        hold_defects=frozenset({"mime-ambiguous"}))
        seen = screening(p_bad=None if unscored else p_bad, findings=(LEAK,) if leak else (),
                         defects=("mime-ambiguous", "bare-cr") if defective else ("bare-cr",))
        to = "postmaster@site.example" if exempt else "ben@site.example"

        got = verdict(seen, wanted, mail(direction), to)

        route, code = expected(blocked, allowed, leaking, unscored, defective, p_bad, exempt)
        assert (got.route, got.reasons[0].code) == (route, code)
        assert all(reason.code in reasons.TEXTS for reason in got.reasons)
        assert (got.p_bad is None) == unscored
        assert (reasons.LEAK in [reason.code for reason in got.reasons]) == leaking


def test_every_code_has_a_text() -> None:
    codes = {value for name, value in vars(reasons).items() if name.isupper() and isinstance(value, str)}

    assert codes == set(reasons.TEXTS)


@pytest.mark.parametrize("authenticated", [None, False])
def test_an_allow_rule_for_a_sender_needs_authentication(authenticated: bool | None) -> None:
    for rule in (Rule(address=AUTHOR), Rule(domain="nordhafen.example")):
        got = verdict(screening(p_bad=0.9, authenticated=authenticated), policy(allow=(rule,)))

        assert (got.route, got.reasons[0].code) == (Route.QUARANTINE, reasons.SCORE_QUARANTINE)


def test_an_allow_rule_does_not_count_for_an_author_who_cannot_be_read_in_one_way() -> None:
    got = verdict(screening(p_bad=0.9, ambiguous=True), policy(allow=(Rule(address=AUTHOR),)))

    assert got.route is Route.QUARANTINE


def test_an_allow_rule_by_network_needs_no_authentication_and_no_extraction() -> None:
    rule = Rule(network=ip_network("192.0.2.0/24"))

    assert verdict(Screening(fault="extraction-crash"), policy(allow=(rule,))).route is Route.DELIVER


def test_an_allow_rule_for_the_envelope_sender_alone_does_not_count() -> None:
    """The reverse path is free to choose; only the authenticated author counts."""
    rule = Rule(address="boss@nordhafen.example")

    got = verdict(screening(p_bad=0.9), policy(allow=(rule,)), mail(sender="boss@nordhafen.example"))

    assert got.route is Route.QUARANTINE


def test_an_allow_rule_never_overrides_a_leak() -> None:
    for rule in (Rule(address=AUTHOR), Rule(network=ip_network("192.0.2.7"))):
        got = verdict(screening(findings=(LEAK,)), policy(allow=(rule,)), mail(Direction.OUTBOUND))

        assert (got.route, got.reasons[0].code) == (Route.HOLD, reasons.LEAK)


@pytest.mark.parametrize(
    "seen", [Screening(fault="extraction-timeout"), Screening(Extracted(), fault="internal-error")]
)
def test_an_allowed_sender_does_not_get_unsearched_mail_out(seen: Screening) -> None:
    """Outbound mail that could not be searched for leaks has no score either: `on_unscored` decides."""
    wanted = policy(allow=(Rule(network=ip_network("192.0.2.0/24")),))
    assert verdict(seen, wanted, mail(Direction.OUTBOUND)).route is Route.UNSCORED
    assert verdict(seen, wanted, mail(Direction.INBOUND)).route is Route.DELIVER
    unheld = policy(allow=(Rule(network=ip_network("192.0.2.0/24")),), on_leak="deliver")
    assert verdict(seen, unheld, mail(Direction.OUTBOUND)).route is Route.DELIVER


def test_leaks_are_only_recorded_where_the_policy_delivers_them() -> None:
    got = verdict(screening(findings=(LEAK,)), policy(on_leak="deliver"), mail(Direction.OUTBOUND))

    assert got.route is Route.DELIVER
    assert [reason.code for reason in got.reasons] == [reasons.CLEAN, reasons.LEAK]


def test_an_unsure_finding_is_told_and_does_not_hold() -> None:
    got = verdict(screening(findings=(HINT,)), policy(), mail(Direction.OUTBOUND))

    assert got.route is Route.DELIVER
    assert [reason.code for reason in got.reasons] == [reasons.CLEAN, reasons.LEAK_POSSIBLE]


@pytest.mark.parametrize("kind", ["allow", "block"])
def test_an_expired_rule_is_ignored_and_named(kind: str) -> None:
    for rule in (Rule(address=AUTHOR, expires=NOW), Rule(domain="nordhafen.example", expires=NOW - timedelta(1))):
        got = verdict(screening(p_bad=0.0), policy(**{kind: (rule,)}))

        assert (got.route, got.reasons[0].code) == (Route.DELIVER, reasons.CLEAN)
        assert got.reasons[1].code == reasons.RULE_EXPIRED
        assert got.reasons[1].detail == f"{kind} {rule}"


def test_a_rule_counts_until_its_last_moment() -> None:
    rule = Rule(address=AUTHOR, expires=NOW + timedelta(microseconds=1))

    assert verdict(screening(), policy(block=(rule,))).reasons[0].code == reasons.BLOCK_RULE


@pytest.mark.parametrize(
    ("recipient", "exempt"),
    [
        ("postmaster@site.example", True),
        ("PostMaster@other.example", True),
        ("postmaster", True),
        ("abuse@site.example", True),
        ("ceo@site.example", True),
        ("postmaster2@site.example", False),
        ("not-postmaster@site.example", False),
        ("postmaster@evil@site.example", False),
        ("", False),
    ],
)
def test_exempt_recipients_are_local_parts_or_whole_addresses(recipient: str, exempt: bool) -> None:
    wanted = policy(exempt_recipients=("postmaster@", "abuse@", "CEO@site.example"))

    for p_bad in (0.6, 0.9, 1.0):
        assert (verdict(screening(p_bad=p_bad), wanted, to=recipient).route is Route.DELIVER) == exempt


def test_the_null_sender_is_never_kept_by_score_alone_but_by_rule_defect_or_leak() -> None:
    bounce = mail(sender="")
    rule = Rule(network=ip_network("192.0.2.0/24"))
    defects = frozenset({"mime-ambiguous"})

    by_score = verdict(screening(p_bad=1.0), policy(), bounce)
    by_rule = verdict(screening(p_bad=1.0), policy(block=(rule,)), bounce)
    by_defect = verdict(screening(p_bad=1.0, defects=("mime-ambiguous",)), policy(hold_defects=defects), bounce)

    assert (by_score.route, by_score.reasons[0].code) == (Route.DELIVER, reasons.NULL_SENDER)
    assert by_score.reasons[1].code == reasons.SCORE_REJECT
    assert by_rule.route is Route.QUARANTINE
    assert by_defect.route is Route.HOLD


@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
def test_a_score_that_is_no_number_is_no_score(broken: float) -> None:
    seen = Screening(extracted=Extracted(), facts=Facts(), score=Score({Label.HAM: broken, Label.SPAM: 0.0}, "test"))

    got = verdict(seen, policy())

    assert got.route is Route.UNSCORED
    assert (got.p_bad, got.label) == (None, None)
    assert got.reasons[0].detail == "no-score"


def test_a_class_may_have_a_threshold_of_its_own() -> None:
    wanted = policy(hold_at=None, reject_at=None, label_at=((Label.FRAUD, 0.3),))

    assert verdict(screening(p_bad=0.6, label=Label.FRAUD), wanted).route is Route.QUARANTINE
    assert verdict(screening(p_bad=0.6, label=Label.SPAM), wanted).route is Route.DELIVER


def test_without_thresholds_nothing_is_kept_by_score() -> None:
    assert verdict(screening(p_bad=1.0), Policy(quarantine_at=None)).route is Route.DELIVER


def test_the_loudest_facts_are_named_beside_the_threshold() -> None:
    got = verdict(screening(p_bad=0.9), policy())

    assert [reason.detail for reason in got.reasons] == [
        "p_bad 0.9000, threshold 0.8", "unknown_links +0.90", "cheap_tld +0.70",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "wrong",
    [{"quarantine_at": 1.01}, {"hold_at": -0.1}, {"reject_at": float("nan")}, {"label_at": ((Label.SPAM, 2.0),)},
     {"on_unscored": "drop"}, {"on_leak": "maybe"}],
)  # fmt: skip
def test_a_policy_that_makes_no_sense_cannot_be_built(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"threshold|on_"):
        policy(**wrong)

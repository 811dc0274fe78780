"""Stores and kept mail for tests: real databases, mail written here, clocks that tests move."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from model.extracted import Address, Extracted, Link, Part
from model.labels import Label
from model.mail import Client, Direction, Envelope, Mail, RawMessage, Recipient
from model.screen import Screening
from model.verdict import Finding, Reason, Route, Score, Verdict
from quarantine.migrate import migrate
from quarantine.record import Kept
from quarantine.settings import StoreSettings
from quarantine.store import Store

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
RAW = b"From: Ida <ida@sender.example>\r\nSubject: The offer\r\n\r\n.Two lines,\r\nand no more.\r\n"


@dataclass(slots=True)
class Clock:
    """A clock that stands still until a test moves it."""

    now: datetime = START

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **span: float) -> datetime:
        self.now += timedelta(**span)
        return self.now


def store_settings(folder: Path, **more: Any) -> StoreSettings:
    return StoreSettings(url=f"sqlite:///{folder}/q.db", key_file=folder / "q.key", **more)


def write_config(folder: Path, release_to: str = "127.0.0.1:9") -> None:
    """Write a configuration whose quarantine is the store of `new_store`."""
    (folder / "config.toml").write_text(
        f'[quarantine]\nurl = "sqlite:///{folder}/q.db"\nkey_file = "{folder}/q.key"\nrelease_to = "{release_to}"\n'
        '[[listener]]\nname = "in"\nlisten = "127.0.0.1:10025"\nmode = "after-queue"\ndirection = "inbound"\n'
        'next_hop = "127.0.0.1:10026"\n'
    )


def new_store(folder: Path, clock: Clock | None = None, **more: Any) -> Store:
    settings = store_settings(folder, **more)
    migrate(settings)
    return Store.open(settings, clock=clock or Clock())


def mail(raw: bytes = RAW, *recipients: str, sender: str = "ida@sender.example", direction: str = "inbound",
         params: tuple[str, ...] = ()) -> Mail:  # fmt: skip
    to = tuple(Recipient(r, ("NOTIFY=NEVER", f"ORCPT=rfc822;{r}")) for r in recipients or ("ben@here.example",))
    client = Client("192.0.2.7", "mx.sender.example", "mx.sender.example", queue_id="4ABC")
    return Mail(Envelope(sender, to, params, client), RawMessage.of(raw), Direction(direction))


def screening(subject: str = "The offer", text: str = "Two lines,\nand no more.", p_bad: float = 0.93) -> Screening:
    rest = (1 - p_bad), p_bad * 0.1, p_bad * 0.8, p_bad * 0.1
    score = Score(
        dict(zip(Label, rest, strict=True)), "2026.1", text_logit=1.5, bias=-0.5, fact_logits={"is_reply": -0.7}
    )
    seen = Extracted(
        subject=subject, from_=(Address("Ida", "ida@sender.example"),), to=(Address("", "ben@here.example"),),
        text=text,
        parts=(Part("application/pdf", "application/zip", "", "bill.pdf", "attachment", 1200, "00", True),),
        links=(Link("https://sender.example/x", "sender.example", "the offer", "anchor"),),
    )  # fmt: skip
    return Screening(extracted=seen, score=score, findings=(Finding("payment-card", "4111********1111", 0.99),))


@dataclass(frozen=True, slots=True)
class Spec:
    """What `keep` writes by default; tests change single fields."""

    route: Route = Route.QUARANTINE
    label: Label | None = Label.PHISHING
    p_bad: float | None = 0.93
    subject: str = "The offer"
    text: str = "Two lines,\nand no more."
    reasons: tuple[Reason, ...] = field(default=(Reason("score", "0.93 >= 0.80"),))


def kept(mail_: Mail, spec: Spec = Spec()) -> list[Kept]:
    verdict = Verdict(spec.route, spec.reasons, spec.label, spec.p_bad)
    seen = screening(spec.subject, spec.text, spec.p_bad or 0.5)
    return [Kept(recipient, verdict, seen, "trace-1") for recipient in mail_.envelope.recipients]


def keep(store: Store, mail_: Mail | None = None, **spec: Any) -> str:
    """Keep a mail for its first recipient; return the item's id."""
    one = mail_ or mail()
    return store.keep(one, kept(one, Spec(**spec))[:1], pending=False, listener="in").items[0]

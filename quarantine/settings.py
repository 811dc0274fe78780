"""Settings of the quarantine: the `[quarantine]` table of the configuration."""

import re
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    field_validator,
    model_validator,
)

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_SPAN = re.compile(r"(\d{1,6})([smhdw])")
SQLITE = "sqlite:///"
DEFAULT_URL = f"{SQLITE}/var/lib/gatepost/quarantine.db"


def parse_span(value: object) -> timedelta:
    """Read a length of time as people write it: `90s`, `15m`, `12h`, `3d` or `2w`. Raises ValueError."""
    if isinstance(value, timedelta):
        return value
    match = _SPAN.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError('expected a length of time such as "90s", "15m", "12h", "3d" or "2w"')
    return timedelta(seconds=int(match[1]) * _UNITS[match[2]])


def span_text(span: timedelta) -> str:
    """Write a length of time as `parse_span` reads it, in the largest unit that fits."""
    seconds = int(span.total_seconds())
    unit = next((u for u in ("d", "h", "m") if seconds % _UNITS[u] == 0), "s")
    return f"{seconds // _UNITS[unit]}{unit}"


Span = Annotated[timedelta, BeforeValidator(parse_span), PlainSerializer(span_text, return_type=str)]


class Fate(StrEnum):
    """What happens to a held item that nobody decided on before its deadline."""

    KEEP = "keep"
    RELEASE = "release"
    REJECT = "reject"
    DELETE = "delete"


class RetentionSettings(BaseModel):
    """How long bodies are kept, by the state of the item, and how long the rows outlive them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    quarantined: Span = Field(
        default=timedelta(days=30),
        description="quarantined and undecided: after this the item expires and its body is deleted",
    )
    released: Span = Field(default=timedelta(days=14), description="after release, until the body is deleted")
    rejected: Span = Field(
        default=timedelta(days=30),
        description="after rejection, until the body is deleted; until then it can still be released",
    )
    deleted: Span = Field(
        default=timedelta(days=0),
        description="after deletion, until the body is deleted; 0d: at the next housekeeping",
    )
    sampled: Span = Field(
        default=timedelta(days=30),
        description="samples of delivered mail: after this, labelled or not, their bodies are deleted",
    )
    rows: Span = Field(
        default=timedelta(days=365),
        description="how long the row and its record of actions stay after the body is gone",
    )


class StoreSettings(BaseModel):
    """Where kept mail is stored, who can read it, and what becomes of it in time."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str = Field(
        default=DEFAULT_URL,
        description="the database: sqlite:/// and an absolute path; the file is made with mode 0600",
    )
    key_file: Path = Field(
        default=Path("/var/lib/gatepost/quarantine.key"),
        description="key that encrypts bodies; made with mode 0600 at first use. Back it up elsewhere",
    )
    busy_seconds: float = Field(
        default=10.0, gt=0, le=60, description="seconds that a writer waits for another before it gives up"
    )
    release_to: str = Field(
        default="127.0.0.1:10027",
        description="the private port that takes released mail and never screens it: HOST:PORT or unix:/path",
    )
    pending_limit: Span = Field(
        default=timedelta(hours=1),
        description="mail whose sender never heard a reply is dropped after this; exceeds every timeout",
    )
    hold_deadline: Span = Field(default=timedelta(days=3), description="how long held mail waits for a decision")
    hold_fate: Fate = Field(
        default=Fate.KEEP,
        description="what happens to held inbound mail at the deadline: keep (moves to the quarantine), "
        "release, reject or delete; reject and delete send no bounce",
    )
    hold_fate_outbound: Fate = Field(
        default=Fate.KEEP,
        description="the same for outbound mail, apart, so that releasing inbound mail never releases a leak",
    )
    sample: float = Field(
        default=0.0, ge=0, le=1,
        description="share of delivered inbound messages, drawn at random, of which a copy is kept for review, such "
        "as 0.002; 0: none. Recipients are not told: ask whoever must agree first",
    )
    sample_most: int = Field(
        default=200, ge=1, description="samples in 24 hours at most; then none are drawn (counted: sample-capped)"
    )
    correspondents_days: int = Field(
        default=180, ge=0, le=3650,
        description="days for which keyed hashes of who writes to whom are kept after their last mail, so that known "
        "senders and first contacts are told apart; 0: nothing is learnt",
    )  # fmt: skip
    correspondents_most: int = Field(
        default=50_000, ge=1, le=1_000_000, description="pairs of addresses at most; then the oldest are forgotten"
    )
    retention: RetentionSettings = Field(
        default_factory=RetentionSettings, description="how long mail is kept, by state"
    )

    @field_validator("url")
    @classmethod
    def _known_database(cls, url: str) -> str:
        if not url.startswith(f"{SQLITE}/") or url.rstrip("/") == SQLITE.rstrip("/") or "?" in url:
            raise ValueError(f"expected {SQLITE} and an absolute path, such as {DEFAULT_URL}")
        return url

    @model_validator(mode="after")
    def _pending_outlives_a_session(self) -> Self:
        # Cancelling under a session that is still waiting for its next hop would answer mail twice.
        if self.pending_limit < timedelta(minutes=15):
            raise ValueError("pending_limit must be at least 15m, longer than a client waits for a reply")
        return self

    @property
    def path(self) -> Path:
        """The database file."""
        return Path(self.url.removeprefix(SQLITE))

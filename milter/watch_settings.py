"""Settings of what is watched about the model that serves: `[model.breaker]` and `[model.drift]`."""

from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

from quarantine.settings import Span

Flag = Annotated[bool, Field(strict=True)]
LEAST_KEPT = timedelta(days=30)
MOST_WATCHED = timedelta(days=14)


class Watched(BaseModel):
    """A table of the file: frozen, and a key that it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class BreakerSettings(Watched):
    """[model.breaker]: when a model that was changed keeps far too much, its mail is delivered with headers only."""

    act: Flag = Field(
        default=True,
        description="tag instead of keeping once it trips; false only says so (log, metrics, gatepost check)",
    )
    window: Span = Field(
        default=timedelta(hours=1),
        description="length of the sliding window in which kept mail is counted: long enough for a quiet hour to "
        "hold `least` messages, short enough to forget yesterday",
    )
    watch: Span = Field(
        default=timedelta(days=3),
        description="how long after a change of model or policy the breaker may trip; afterwards a jump is the "
        "mail's doing, not the model's",
    )
    history: Span = Field(
        default=timedelta(days=7),
        description="how far back before the change the site's own share is looked for: a whole week, since nights "
        "and week-ends have less honest mail; its worst hour at the same time of day is what counts",
    )
    least: int = Field(
        default=50, strict=True, ge=10,
        description="messages in the window from which it may trip: the price of a bad model is about so many",
    )  # fmt: skip
    factor: float = Field(
        default=3.0, strict=True, ge=1.0, le=1000.0,
        description="how many times the odds of being kept may rise above those of the worst hour; the model's own "
        "false-positive budget is far below, and a spam wave rarely above",
    )  # fmt: skip
    floor: float = Field(
        default=0.05, strict=True, gt=0.0, lt=1.0,
        description="share of mail that may be kept whatever it was before: from none to a little is no bad day",
    )  # fmt: skip
    unknown: float = Field(
        default=0.5, strict=True, gt=0.0, lt=1.0,
        description="share that may be kept where there was too little mail before the change to compare with",
    )  # fmt: skip
    false_alarm: float = Field(
        default=0.001, strict=True, gt=0.0, lt=0.5,
        description="probability, for each change, that chance alone trips it; shared among all looks of the watch",
    )  # fmt: skip

    @field_validator("window", "watch", "history")
    @classmethod
    def _makes_sense(cls, span: timedelta) -> timedelta:
        if not timedelta(minutes=5) <= span <= MOST_WATCHED:
            raise ValueError("expected 5m to 14d")
        return span


class DriftSettings(Watched):
    """[model.drift]: when score or facts of the mail are no longer what they were when the model began to serve."""

    days: int = Field(
        default=7, strict=True, ge=1, le=60,
        description="days of the reference, from when the model began to serve, and of what is compared with it: "
        "a week, since week-ends differ from working days",
    )  # fmt: skip
    least: int = Field(
        default=1000, strict=True, ge=100,
        description="messages that either needs; the reference goes on until it has them",
    )  # fmt: skip
    psi: float = Field(
        default=0.25, strict=True, gt=0.0, le=10.0,
        description="population stability index, beyond what chance gives, from which it is an alarm; a common "
        "reading is that below .1 nothing has changed and from .25 on the mail is another",
    )  # fmt: skip
    false_alarm: float = Field(
        default=0.01, strict=True, gt=0.0, lt=0.5,
        description="probability that chance alone gives an alarm on a day; shared by the score and all facts",
    )  # fmt: skip
    keep: Span = Field(
        default=timedelta(days=400),
        description="how long counts are kept, a few hundred small rows a day: at least 30d, since the breaker "
        "measures by them as well; a model's reference goes with them",
    )  # fmt: skip

    @field_validator("keep")
    @classmethod
    def _outlives_what_is_compared(cls, keep: timedelta) -> timedelta:
        if keep < LEAST_KEPT:
            raise ValueError("expected 30d or more, for the breaker measures by these counts as well")
        return keep

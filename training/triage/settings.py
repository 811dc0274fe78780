"""Every number of the review order, of the search for wrong labels, and of the guard, with its reason."""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class ValueSettings(BaseModel):
    """What makes a message worth asking about; the four weights add up to 1, and so does the value at most."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    uncertainty: float = Field(default=0.4, ge=0, le=1)
    """Most: at the border one verdict moves the threshold, and the kept and the missed mail lie there."""
    disagreement: float = Field(default=0.25, ge=0, le=1)
    """Words of this site against the model: where they differ one of them errs, however sure the model is."""
    novelty: float = Field(default=0.2, ge=0, le=1)
    """Less: what is like nothing reviewed teaches most of what is unknown, but much of it never comes again."""
    draft: float = Field(default=0.15, ge=0, le=1)
    """Least: reporters and teachers err often; yet a sure model against them is how sure errors are found."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        total = self.uncertainty + self.disagreement + self.novelty + self.draft
        if abs(total - 1) > 1e-9:
            raise ValueError(f"the weights add up to {total:g}, expected 1")
        return self


class LinearSettings(BaseModel):
    """The small linear model over hashed words that learns from this site's labels alone."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    c: float = Field(default=3.0, gt=0)
    """Inverse strength of its ridge: rows of words have length 1, and a few hundred need freedom to differ."""
    folds: int = Field(default=5, ge=2)
    """Parts, by campaign: each is judged by a fit that has seen none of its campaign."""
    fewest: int = Field(default=10, ge=2)
    """Campaigns of ham, and of bad mail, below which words say nothing about other mail."""
    score_scale: float = Field(default=0.2, gt=0)
    """What the model's logit is multiplied by beside words of length 1: a sure score of 5 then has length 1 too."""


class TriageSettings(BaseModel):
    """All of it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    value: ValueSettings = Field(default_factory=ValueSettings)
    linear: LinearSettings = Field(default_factory=LinearSettings)
    neighbours: int = Field(default=3, ge=1)
    """Reviewed mail that is shown beside a message: three fit a small screen, and one alone may be the wrong one."""
    most_waiting: int = Field(default=500, ge=1)
    """Campaigns without a label that are read and scored for one sitting, newest first: some 20 ms each."""
    most_labelled: int = Field(default=5_000, ge=1)
    """Labelled campaigns that are compared with, newest first: older mail says little about today's."""
    guard_ham: float = Field(default=0.05, ge=0, lt=1)
    """Share of the guard set's legitimate mail whose verdict a batch of labels may change.

    Of 253 messages, each with a bad twin and far harder than a site's mail, 50, 200 and 1,000 honest verdicts changed
    2, 4 and 8; 1,000 of which a fifth was wrong 34, two fifths 42.
    """
    guard_bad: float = Field(default=0.05, ge=0, lt=1)
    """Share of the guard set's bad mail that may be missed anew: forged reports of ham would show here.

    Of 348 messages honest verdicts changed at most 5; 200 of which a fifth was wrong 34, two fifths 45.
    """
    guard_fewest: int = Field(default=50, ge=1)
    """Legitimate messages below which a guard set tells nothing."""

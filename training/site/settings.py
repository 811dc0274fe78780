"""Every number of learning from a site's verdicts, with its reason."""

from pydantic import BaseModel, ConfigDict, Field


class SiteSettings(BaseModel):
    """What a site's verdicts may move: `gatepost train --dataset`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    scale_pull: float = Field(default=20.0, ge=0)
    """Pull of the scale of the score towards 1."""
    intercept_pull: float = Field(default=1.0, ge=0)
    """Pull of the shift towards 0: the weakest of all, so that a site's own share of bad mail is learnt first."""
    fact_pull: float = Field(default=20.0, gt=0)
    """Pull of each fact's weight towards the model's; its sign never changes.

    Hard, since verdicts are given for what the model keeps, and such mail says little about facts. With 1, 3 and 10,
    31, 24 and 20 % of bad mail was missed at .1 % kept after 200 verdicts (19 % before any); 30 did as 10.
    """
    vector_pull: float = Field(default=0.2, gt=0)
    """Pull of what the encoder's vector adds. Words and vector of one site carry well within it; with .1 what was
    learnt is more the collector's own: another household's mail is told apart less well."""
    word_pull: float = Field(default=0.2, gt=0)
    """Pull of what each hashed word adds."""
    patience: int = Field(default=200, ge=1)
    """Verdicts below which all pulls on weights are stronger, in proportion: prior, shift and scale move first."""
    replay_weight: float = Field(default=0.1, ge=0)
    """Weight of a message of the written set, which is replayed so that nothing is forgotten; a verdict has 1.

    With .1, .3 and 1, 21, 31 and 44 % of bad mail was missed at .1 % kept after 200 verdicts: written mail is harder
    than a site's, and its facts are declared.
    """
    replay_most: int = Field(default=2_000, ge=0)
    """Most written messages that are replayed, drawn by pair: some 20 ms each, on one core."""
    replay_stands: float = Field(default=0.3, ge=0)
    """What a replayed legitimate message stands for where thresholds are set: less than a site's own, which it is
    harder than; more than nothing, since a site has few at first."""
    soft: float = Field(default=1.0, gt=0)
    """Logits over which a message is kept by degrees where thresholds are set. With less, one or two messages at the
    edge decide; a spread of legitimate mail at a site is some 1.3."""
    heaviest: float = Field(default=10.0, ge=1)
    """Most that one sampled verdict weighs in the fit, whatever number of messages it stands for."""
    reporter_most: float = Field(default=0.1, gt=0, le=1)
    """Largest share of the verdicts' weight that messages reported by one account have."""
    reporter_votes: float = Field(default=5.0, gt=0)
    """Most votes of all that one account reported: a thousand reports are one person's opinion, too."""
    reporter_fewest: int = Field(default=5, ge=2)
    """Reports of one account, of which more than half look wrong, from which none of them is believed."""
    doubt_most: float = Field(default=0.03, ge=0, lt=1)
    """Largest share of the reviewers' verdicts that may be left out because all other mail speaks against them: three
    times the share of malice that must not matter. 0 leaves out none. What two people said is never left out."""
    kind_pull: float = Field(default=5.0, gt=0)
    """Pull of a kind's intercept towards the model's; with 1 a few verdicts of one kind name everything after it."""
    kind_vector_pull: float = Field(default=0.3, gt=0)
    """Pull of what the encoder's vector adds for the kinds; 1 brings half as much."""
    kind_fewest: int = Field(default=10, ge=1)
    """Verdicts with a kind below which the kinds stay as they are."""
    told_scale: float = Field(default=1.0, gt=0)
    """How far a site's likelihood ratios may well be stretched against those of the fit (standard deviation), where
    what probabilities mean is set.

    Calibration error after 200 verdicts at 5 / 20 / 50 % of bad mail: .017 / .034 / .049 with .25 and a shift of 1,
    .010 / .024 / .039 with 1 and 3; a second slope for legitimate mail brings less than half a point more.
    """
    told_shift: float = Field(default=3.0, gt=0)
    """How far they may well be shifted, in logits."""
    told_fewest: int = Field(default=50, ge=2)
    """Verdicts on kept and on sampled mail, by what they weigh as evidence, below which probabilities mean what they
    did: the share of bad mail at a site is not told by a handful."""
    cap: float = Field(default=4.0, gt=0)
    """Most logits that the site's own head adds or takes."""
    folds: int = Field(default=5, ge=2)
    """Parts, by campaign, of which each is scored by a fit that has not seen it, to set thresholds."""
    guard_most: int = Field(default=600, ge=0)
    """Messages, about, of written mail that no model trains on, on which a batch may change little (`triage`)."""
    fewest: int = Field(default=10, ge=2)
    """Fewest campaigns with a verdict, good and bad together, that anything is learnt from."""

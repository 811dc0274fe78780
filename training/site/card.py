"""The card of a model that a site's verdicts made."""

from collections.abc import Mapping
from typing import Any

from model.bundle import Bundle
from training.site.learn import Learnt

_MOVED = 8


def card(base: Bundle, made: Bundle, learnt: Learnt, record: Mapping[str, Any]) -> str:
    """Return the card as Markdown: what it was made from, and what moved."""
    counts = ", ".join(f"{n} {what}" for what, n in record["messages"].items())
    steps = sorted(
        ((name, made.fusion.facts[name].weight - term.weight) for name, term in base.fusion.facts.items()),
        key=lambda step: -abs(step[1]),
    )
    moved = ", ".join(f"{name} {step:+.2f}" for name, step in steps[:_MOVED] if abs(step) >= 0.005) or "none"
    return f"""# Model {made.version}

Made from model {base.version} by this site's own verdicts. The encoder is the same; what moved is below.

- Snapshot `{record["snapshot"]}`, fingerprint `{record["fingerprint"]}`: {counts} messages by origin and class.
  {record["replayed"]} messages of the written set were replayed; {record["left_out"]} verdicts were left out, since
  all other mail spoke against them.
- Scale of the score {learnt.moved.scale:.3f}, shift {learnt.moved.intercept:+.3f} logits.
- {_told(learnt)}
- Weights of facts that moved most (logits): {moved}.
- Words and the encoder's vector add or take {made.fusion.site_cap:g} logits at the most.
- Hold from {made.thresholds.kept:.4f} (before {base.thresholds.kept:.4f}), quarantine from
  {made.thresholds.quarantine:.4f} (before {base.thresholds.quarantine:.4f}): set so that {learnt.legitimate}
  legitimate messages, scored by fits that had not seen them, are as far from being kept as they were:
  {learnt.hold.share:.1%} of them are kept ({learnt.hold.before:.1%} by the model before). Written mail, which is
  harder than a site's, is among them.

{_kinds(learnt)} Figures that count are the gate's: see `gatepost model show`.
"""


def _told(learnt: Learnt) -> str:
    told = learnt.told
    if not told.evidence:
        return ("Probabilities mean what they did: too few verdicts on kept mail and on a random sample of delivered "
                "mail tell this site's share of bad mail.")  # fmt: skip
    return (f"Probabilities are this site's: {told.prior:.1%} of its mail is bad, by verdicts worth "
            f"{told.evidence:.0f} drawn at random; scale {told.scale:.3f}, shift {told.shift:+.3f} on top of the "
            "above.")  # fmt: skip


def _kinds(learnt: Learnt) -> str:
    if not learnt.kinds.told:
        return "What the kinds of bad mail are called was not learnt: too few verdicts tell one."
    return f"What the kinds of bad mail are called was learnt from {learnt.kinds.told} verdicts."

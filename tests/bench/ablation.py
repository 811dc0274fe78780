"""What facts and text bring, apart and together, on mail that a model was not trained on.

    python tests/bench/ablation.py --corpora DIR [--model BUNDLE] [--set household --set written] [--json]

On `household` and on held-out written mail (others by --set), through the serving code: both; text alone; facts
alone; each fact left out (made unknown); no popularity lists; stale lists. Differences are paired, mail by mail.

How stale lists are simulated: there is no list of a year ago to run with, so a share of the domains that today's
lists hold is taken out of them, drawn by a hash of the name, and all mail is read anew with what is left; the facts
on sender, links and images follow. What share of the senders of mail a year takes is not known here, so several are
shown, each the mean of five draws: popular names change least, and mail comes from popular and rare names alike.
Domains that have left the lists since, and would still be believed, cannot be simulated. Of written mail, whose
domains are in no list, the declared fact on the sender is thinned alike.
"""

import dataclasses
import json
import tempfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import click
import numpy as np

from model.bundle import DEFAULT, Bundle
from model.domains import DomainLists
from model.facts import BAD, GOOD, Facts
from model.score import Scorer, fact_logits
from training.corpora import Corpora
from training.evaluation.figures import Figure, Ranking, bootstrap
from training.evaluation.measure import KEPT_BUDGET
from training.evaluation.paired import auc_difference
from training.evaluation.report_rows import number, percent
from training.evaluation.report_terminal import columns
from training.evaluation.sets import Sample, samples
from training.evaluation.trained import TrainedOn
from training.examples import WRITTEN, Example
from training.gather import gather
from training.reading import Raw, Reader
from training.trainer import read_record, settings_of

POPULARITY = ("sender_known", "main_link_matches", "unknown_links", "unknown_images", "foreign_signer")
"""Facts that the popularity lists decide."""
EVERY_LIST = (*POPULARITY, "cheap_tld", "foreign_brand", "free_mail_sender", "sender_on_shared_host",
              "shortener_or_ip_link")  # fmt: skip
STALE = (0.05, 0.1, 0.2, 0.4)
DRAWS = 5
"""Draws of the domains that are taken out: which one of a few great senders goes decides much."""


class Thinned(DomainLists):
    """The lists without a share of their popular domains."""

    share = 0.0
    draw = 0

    def known(self, domain: str) -> bool:
        """Whether the domain is popular, and not among those taken out."""
        return super().known(domain) and not gone(self.registrable(domain), self.share, self.draw)


def gone(name: str, share: float, draw: int) -> bool:
    """Whether a name is among the share that a draw takes out."""
    return zlib.crc32(f"stale {draw}:{name}".encode()) / 2**32 < share


def by_facts(scorer: Scorer, facts: Sequence[Facts]) -> np.ndarray:
    """Return what facts add to the logits of bad."""
    slope, fusion = scorer.bundle.calibration.slope, scorer.bundle.fusion
    return np.array([slope * sum(fact_logits(fusion, known).values()) for known in facts])


def stale_facts(
    share: float, draw: int, raw: Callable[[Example], bytes] | None, examples: Sequence[Example]
) -> list[Facts]:
    """Return the facts of messages as lists without a share of their domains would give them."""
    outside = [e for e in examples if e.archive != WRITTEN]
    found: dict[str, Facts] = {}
    if outside and raw is not None:
        lists = Thinned.load()
        lists.share, lists.draw = share, draw
        with tempfile.TemporaryDirectory() as folder, Reader(Path(folder), lists) as reader:
            seen = reader.read(Raw(raw(e), {}) for e in outside)
            found = {e.key: s.facts for e, s in zip(outside, seen, strict=True)}
    for example in examples:
        if example.archive == WRITTEN:
            lost = bool(example.facts.sender_known) and gone(example.sender, share, draw)
            found[example.key] = dataclasses.replace(example.facts, sender_known=False) if lost else example.facts
    return [found[e.key] for e in examples]


def conditions(
    scorer: Scorer, sample: Sample, raw: Callable[[Example], bytes] | None
) -> Mapping[str, list[np.ndarray]]:
    """Return the logits of each condition by its name, the whole model first; one array a draw."""
    examples = sample.examples
    told = [scorer.score(e.document, e.facts) for e in examples]
    text = np.array([t.text_logit for t in told])
    by_fact = {name: np.array([t.fact_logits.get(name, 0.0) for t in told]) for name in (*GOOD, *BAD)}
    facts = np.sum(list(by_fact.values()), axis=0)
    bias = np.array([t.bias for t in told])
    rest = bias + text
    found = {"both": [rest + facts], "text only": [rest], "facts only": [bias + facts]}
    for name, which in (("no popularity lists", POPULARITY), ("no lists at all", EVERY_LIST)):
        without = [dataclasses.replace(e.facts, **dict.fromkeys(which)) for e in examples]
        found[name] = [rest + by_facts(scorer, without)]
    for share in STALE:
        found[f"lists stale: {share:.0%} of domains gone"] = [
            rest + by_facts(scorer, stale_facts(share, draw, raw, examples)) for draw in range(DRAWS)
        ]
    for name, part in by_fact.items():
        if part.any():
            found[f"without {name}"] = [found["both"][0] - part]
    return found


@click.command()
@click.option("--model", "path", type=click.Path(path_type=Path), default=DEFAULT, show_default="shipped")
@click.option("--corpora", type=click.Path(path_type=Path, exists=True))
@click.option("--set", "wanted", multiple=True, default=("household", "written"), show_default=True)
@click.option("--cache", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True)
def main(path: Path, corpora: Path | None, wanted: tuple[str, ...], cache: Path | None, as_json: bool) -> None:
    """Print the table of each set."""
    bundle = Bundle.open(path)
    record = read_record(bundle.path)
    settings = settings_of(record, cache)
    material = gather(settings, corpora, lambda line: click.echo(line, err=True))
    by_content = TrainedOn.open(bundle.path) is not None
    found = samples(record, settings, material, corpora, lambda line: click.echo(line, err=True), wanted,
                    by_content=by_content)  # fmt: skip
    scorer = Scorer(bundle)
    opened = Corpora.open(corpora, settings.cache) if corpora else None
    rows = {r.path: r for r in opened.rows} if opened else {}
    for sample in found.values():
        logits = conditions(scorer, sample, (lambda e: opened.raw(rows[e.key])) if opened else None)
        told = {
            name: mean([figures(sample, one, logits["both"][0]) for one in many]) for name, many in logits.items()
        }
        if as_json:
            table = {k: [f.to_json() for f in v] for k, v in told.items()}
            click.echo(json.dumps({"set": sample.name, "model": bundle.version, "conditions": table}))
            continue
        lines = [("condition", "AUC", "caught at 2 % kept", "AUC less that of both")]
        lines += [(name, number(auc), percent(caught), number(less)) for name, (auc, caught, less) in told.items()]
        bad = int(sample.bad.sum())
        click.echo(f"== {sample.name}: {len(sample.examples) - bad} legitimate, {bad} bad; model {bundle.version}")
        click.echo(columns(lines) + "\n")


def figures(sample: Sample, logits: np.ndarray, whole: np.ndarray) -> tuple[Figure, Figure, Figure]:
    """Return AUC, caught at 2 % kept, and the paired difference of AUC to the whole model."""
    ranking = Ranking.of(sample.bad, logits)
    return (
        bootstrap(ranking.auc, sample.groups),
        bootstrap(lambda w: ranking.caught_at(w, KEPT_BUDGET), sample.groups),
        auc_difference(sample.bad, logits, whole, sample.groups),
    )


def mean(draws: Sequence[tuple[Figure, Figure, Figure]]) -> list[Figure]:
    """Return the mean of each figure over draws, with the widest of their intervals."""
    return [
        Figure(float(np.mean([f.value for f in one])), min(f.low for f in one), max(f.high for f in one), one[0].n,
               one[0].senders)
        for one in zip(*draws, strict=True)
    ]  # fmt: skip


if __name__ == "__main__":
    main()

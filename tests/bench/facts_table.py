"""How often each fact is true, false or unknown on labelled collections, and how well the facts alone rank.

    python tests/bench/facts_table.py CORPORA [--unpacked FOLDER] [--archive household:dev] [--limit N]

Prints one table a collection: per fact the rates in ham and in bad mail, its own AUC (what does not speak counts as
unknown), and the AUC of the sum of all facts with unit weights and the signs and sides that `model.facts` states.
Rows of hand-made mail are left out. `--wrong N` shows the mails that the sum ranks worst.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from model.domains import DomainLists
from model.extract import extract
from model.facts import BAD, GOOD, Facts, Site, facts
from training.corpora import Row, read_index, wrap
from training.fusion import equal
from training.reading import envelope_of
from training.settings import FusionSettings

SITE = Site(trusted_authserv_ids=frozenset({"*"}))
SIGNS = dict.fromkeys(GOOD, -1) | dict.fromkeys(BAD, 1)

EQUAL = equal(FusionSettings(stated={})).facts


def value(name: str, fact: bool | None) -> float:
    """Return a fact as evidence of bad with unit weight; 0 where it is unknown or its silent side."""
    term = EQUAL[name]
    return 0.0 if fact is None else term.weight * (fact - term.centre)


def auc(scores: np.ndarray, bad: np.ndarray) -> float:
    """Return the area under the ROC curve; ties count half."""
    order = np.argsort(scores, kind="stable")
    _, inverse, counts = np.unique(scores[order], return_inverse=True, return_counts=True)
    ranks = np.empty(len(scores))
    ranks[order] = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    positives = int(bad.sum())
    return float((ranks[bad].sum() - positives * (positives + 1) / 2) / (positives * (len(bad) - positives)))


def read(rows: Sequence[Row], folder: Path, lists: DomainLists) -> tuple[list[Facts], float]:
    """Return each row's facts and the mean processor time of `facts` in milliseconds."""
    found = []
    spent = 0.0
    for row in rows:
        extracted = extract(wrap((folder / row.path).read_bytes(), row.kind))
        start = time.process_time()
        found.append(facts(extracted, envelope_of(extracted), SITE, lists))
        spent += time.process_time() - start
    return found, 1000 * spent / max(1, len(rows))


def show(name: str, rows: Sequence[Row], found: Sequence[Facts], wrong: int) -> None:
    """Print one collection's table."""
    bad = np.array([row.bad for row in rows])
    table = [asdict(one) for one in found]
    print(f"\n{name}: {int((~bad).sum())} ham, {int(bad.sum())} bad")
    print(f"{'':24}{'ham: true false  none':>24}{'bad: true false  none':>25}{'AUC':>7}")
    columns = {}
    for fact in SIGNS:
        values = [row[fact] for row in table]
        columns[fact] = np.array([value(fact, one) for one in values])
        shares = []
        for side in (~bad, bad):
            of_side = [one for one, inside in zip(values, side, strict=True) if inside]
            shares += [of_side.count(choice) / max(1, len(of_side)) for choice in (True, False, None)]
        own = auc(columns[fact], bad) if 0 < bad.sum() < len(bad) else float("nan")
        text = "".join(f"{share:7.0%}" for share in shares[:3]) + "    " + "".join(f"{s:7.0%}" for s in shares[3:])
        print(f"{('+ ' if SIGNS[fact] < 0 else '- ') + fact:24}{text}{own:8.2f}")
    total = np.sum(list(columns.values()), axis=0)
    if 0 < bad.sum() < len(bad):
        at = np.quantile(total[~bad], 0.98, method="higher")
        print(f"sum of all, unit weights: AUC {auc(total, bad):.3f}; caught above 98 % of ham: "
              f"{(total[bad] > at).mean():.0%}")
    for index in _worst(total, bad, wrong):
        spoke = [fact for fact in SIGNS if columns[fact][index]]
        print(f"  {total[index]:+.0f} {rows[index].label} {rows[index].path}: "
              + " ".join(f"{fact}={table[index][fact]}" for fact in spoke))


def _worst(total: np.ndarray, bad: np.ndarray, count: int) -> list[int]:
    ham, evil = np.flatnonzero(~bad), np.flatnonzero(bad)
    return [*ham[np.argsort(-total[ham])][:count], *evil[np.argsort(total[evil])][:count]]


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpora", type=Path, help="folder with index.csv")
    parser.add_argument("--unpacked", type=Path, help="folder with the unpacked archives; CORPORA by default")
    parser.add_argument("--archive", action="append", help="NAME or NAME:SPLIT; household:dev by default")
    parser.add_argument("--limit", type=int, default=0, help="rows a collection, evenly taken")
    parser.add_argument("--wrong", type=int, default=0, help="show so many mails of each side")
    asked = parser.parse_args()
    lists = DomainLists.load()
    rows = list(read_index(asked.corpora / "index.csv"))
    for wanted in asked.archive or ["household:dev"]:
        archive, _, split = wanted.partition(":")
        chosen = [row for row in rows if row.archive == archive and split in ("", row.split) and not row.synthetic]
        if asked.limit and len(chosen) > asked.limit:
            chosen = chosen[:: -(-len(chosen) // asked.limit)]
        found, ms = read(chosen, asked.unpacked or asked.corpora, lists)
        show(wanted, chosen, found, asked.wrong)
        print(f"facts: {ms:.2f} ms of processor time a message")


if __name__ == "__main__":
    main()

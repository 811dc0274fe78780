"""What a site's verdicts bring: missed bad mail after 50, 200 and 1,000 of them, and what malice among them costs.

    python tests/bench/learning_curve.py --corpora DIR [--model BUNDLE] [--ratio 1]

One collector's stream of bad mail in order of date is interleaved with legitimate mail that trained nothing, in a
stated ratio. Facts about transport are unknown in both, since they would tell the collector. Verdicts are given for
what the model in place keeps, and for a random sample of what it delivers, which counts 1/p. After each mark the
model learns from the verdicts so far and is measured on everything that comes later, at the threshold it sets itself.

Beside it: no retraining, and TF-IDF with logistic regression trained alike on the same messages (its threshold is set
in the same way). The source-identity control asks whether what was learnt is the collector: legitimate mail that this
collector received has his traces and no bad intent, so it must not be kept more often; another household's mail, of
which nothing is in the stream, must be told apart as before.

Malice is measured on mail that got no verdict: legitimate mail of the stream, the collector's bad mail of campaigns
that are not in it, and the household's. Beside it stands what honest chance does: the same verdicts without those
that were turned round, and another random sample of verdicts.
"""

import argparse
import email
import random
from collections.abc import Sequence
from dataclasses import replace
from email.utils import parsedate_to_datetime
from pathlib import Path

import numpy as np

from model.bundle import DEFAULT, Bundle, log_odds
from model.domains import DomainLists
from model.facts import Facts
from model.score import Scorer
from training.corpora import Corpora
from training.examples import Example, of_rows, pick_rows
from training.reading import Reader
from training.settings import TrainSettings
from training.site.features import Features, features
from training.site.learn import capped, learn
from training.site.threshold import matched
from training.site.train import seed_set
from training.site.votes import votes
from training.store.settings import DatasetSettings

MARKS = (50, 200, 1000)
SAMPLED = 0.05
TRANSPORT = ("authenticated", "dkim_aligned", "foreign_signer", "sender_known")
WHY = {
    "legitimate mail of the collector": "same mailbox as the bad mail, so only its traces could keep it",
    "household": "another mailbox, so what is lost there was bought with this one's traces",
}
SETS = ("modern_ham", "lists")
SPARE = 1200
MOST = DatasetSettings().most_weight


def stripped(example: Example) -> Example:
    return replace(example, facts=replace(example.facts, **dict.fromkeys(TRANSPORT)))


def dated(corpora: Corpora, keys: dict[str, object], example: Example) -> float | None:
    try:
        head = email.message_from_bytes(corpora.raw(keys[example.key])[:100_000])  # type: ignore[arg-type]
        return parsedate_to_datetime(str(head["Date"])).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None


def rows_of(given: Features, at: Sequence[int]) -> Features:
    where = np.array(at, dtype=np.int64)
    return Features(given.names, given.offset[where], given.facts[where], given.vectors[where], given.words[where],
                    given.bad[where], given.kinds[where], given.kind[where])  # fmt: skip


def joined(one: Features, other: Features) -> Features:
    from scipy.sparse import vstack

    return Features(
        one.names, np.concatenate((one.offset, other.offset)), np.concatenate((one.facts, other.facts)),
        np.concatenate((one.vectors, other.vectors)), vstack([one.words, other.words]).tocsr(),
        np.concatenate((one.bad, other.bad)), np.concatenate((one.kinds, other.kinds)),
        np.concatenate((one.kind, other.kind)),
    )  # fmt: skip


def verdicts(given: Features, threshold: float, seed: int) -> tuple[list[int], list[float]]:
    """Which messages of the stream get a verdict from the model in place, in order, and what each stands for."""
    draw = random.Random(seed)
    found, weight = [], []
    for at, logit in enumerate(given.offset):
        if logit >= threshold:
            found.append(at)
            weight.append(1.0)
        elif draw.random() < SAMPLED:
            found.append(at)
            weight.append(1 / SAMPLED)
    return found, weight


def told(scores: np.ndarray, threshold: float, bad: np.ndarray) -> str:
    kept = scores >= threshold
    return f"missed {1 - kept[bad].mean():6.1%}  legitimate kept {kept[~bad].mean():6.2%}"


class Run:
    """Everything that is read once."""

    def __init__(self, corpora: Path, bundle: Bundle, ratio: float, cache: Path) -> None:
        self.settings = TrainSettings(cache=cache)
        self.bundle = bundle
        opened = Corpora.open(corpora, cache)
        keys = {row.path: row for row in opened.rows}
        with Reader(cache, DomainLists.load()) as reader:
            site = [stripped(e) for e in of_rows(opened, pick_rows(opened.rows, "site", {}, 7), reader)]
            dev = [stripped(e) for e in of_rows(opened, pick_rows(opened.rows, "dev", {}, 7), reader)]
            self.replay = [stripped(e) for e in seed_set(reader, self.settings)]
        when = {id(e): dated(opened, keys, e) for e in site if e.bad}
        bad = sorted((e for e in site if e.bad and when[id(e)]), key=lambda e: when[id(e)] or 0.0)
        ham = [e for e in dev if not e.bad and e.archive in SETS and not e.synthetic]
        random.Random(5).shuffle(ham)
        n = min(len(ham), int(len(bad) / ratio))
        wanted = int(n * ratio)
        picked = [bad[int(at * len(bad) / wanted)] for at in range(wanted)]
        order = sorted([(at / wanted, 0, e) for at, e in enumerate(picked)] + [(at / n, 1, e) for at, e in
                       enumerate(ham[:n])], key=lambda row: row[:2])  # fmt: skip
        self.stream = [e for _, _, e in order]
        used = {e.group for e in self.stream}
        spare = [e for e in site if e.bad and e.group not in used]
        random.Random(4).shuffle(spare)
        self.control = {
            "legitimate mail of the collector": [e for e in site if not e.bad],
            "household": [e for e in dev if e.archive == "household" and not e.synthetic],
        }
        scorer = Scorer(bundle)
        self.spare = features(scorer, spare[:SPARE])
        self.given, self.seed = features(scorer, self.stream), features(scorer, self.replay)
        self.others = {name: features(scorer, rows) for name, rows in self.control.items()}
        self.threshold = log_odds(bundle.thresholds.kept)
        print(f"{bundle.version}: stream of {wanted} bad and {n} legitimate messages; {len(self.replay)} replayed")

    def learnt(self, at: Sequence[int], stands: Sequence[float], flip: Sequence[int] = (), by: Sequence[str] = ()):
        """Learn as `gatepost train --dataset` does. `flip`: positions in `at` whose verdict is turned round."""
        mine = rows_of(self.given, at)
        labels = mine.bad.copy()
        labels[list(flip)] ^= True
        counted = votes(np.minimum(stands, MOST), [self.stream[i].group for i in at], by or [""] * len(at),
                        [False] * len(at), [e.group for e in self.replay], self.settings.site,
                        list(stands))  # fmt: skip
        names = [self.bundle.fusion.facts[n] for n in self.given.names]
        return learn(joined(replace(mine, bad=labels), self.seed), counted, names, self.bundle.thresholds,
                     self.bundle.calibration, self.settings.site)  # fmt: skip

    def scores(self, learnt, given: Features) -> np.ndarray:
        return capped(learnt.moved, given.offset, given.blocks, self.settings.site.cap)


def tfidf(run: Run, at: Sequence[int], stands: Sequence[float]) -> tuple[np.ndarray, float, dict[str, np.ndarray]]:
    """The same messages and weights for TF-IDF and logistic regression; the threshold on cross-fitted scores."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_predict
    from sklearn.pipeline import make_pipeline

    def texts(rows: Sequence[Example]) -> list[str]:
        return [f"{e.document.subject}\n{e.document.body[:8000]}\n{' '.join(e.document.hosts)}" for e in rows]

    rows = [*(run.stream[i] for i in at), *run.replay]
    bad = np.array([e.bad for e in rows])
    site = run.settings.site
    weight = np.concatenate((np.minimum(stands, site.heaviest), np.full(len(run.replay), site.replay_weight)))
    line = make_pipeline(TfidfVectorizer(ngram_range=(1, 2), min_df=2, max_features=60_000, sublinear_tf=True),
                         LogisticRegression(C=10.0, max_iter=400))  # fmt: skip
    params = {"logisticregression__sample_weight": weight}
    unseen = cross_val_predict(line, texts(rows), bad, cv=5, method="decision_function", params=params)
    line.fit(texts(rows), bad, **params)
    old = np.concatenate((run.given.offset[list(at)], run.seed.offset))
    stand = np.concatenate((np.minimum(stands, MOST), np.full(len(run.replay), site.replay_stands)))
    wider = float(np.std(unseen) / np.std(old))
    place = matched(old[~bad], unseen[~bad], stand[~bad], run.threshold, soft=site.soft, scale=wider)
    others = {name: line.decision_function(texts(rows)) for name, rows in run.control.items()}
    return line.decision_function(texts(run.stream)), place.logit, others


def curve(run: Run) -> None:
    found, weight = verdicts(run.given, run.threshold, 1)
    for mark in (m for m in MARKS if m <= len(found)):
        at, stands = found[:mark], weight[:mark]
        rest = np.arange(at[-1] + 1, len(run.stream))
        if len(rest) < 100:
            print(f"{mark} verdicts: only {len(rest)} messages come later; not measured")
            continue
        bad = run.given.bad[rest]
        print(f"{mark} verdicts, {int((~run.given.bad[list(at)]).sum())} of them legitimate; measured on {len(rest)}")
        print(f"  no retraining  {told(run.given.offset[rest], run.threshold, bad)}")
        learnt = run.learnt(at, stands)
        print(f"  gatepost       {told(run.scores(learnt, run.given)[rest], learnt.hold.logit, bad)}")
        scores, place, others = tfidf(run, at, stands)
        print(f"  TF-IDF + LR    {told(scores[rest], place, bad)}")
        control(run, learnt, others, place)


def control(run: Run, learnt, others: dict[str, np.ndarray], place: float) -> None:
    """Whether what was learnt is the source: a line for each side of mail that only the collector's traces link."""
    for name, given in run.others.items():
        before = given.offset >= run.threshold
        after = run.scores(learnt, given) >= learnt.hold.logit
        plain = others[name] >= place
        for what, side in (("bad caught", given.bad), ("legitimate kept", ~given.bad)):
            if side.any():
                print(f"  source-identity control ({WHY[name]}), {name}, n={int(side.sum())}: {what} "
                      f"{before[side].mean():.1%} before, {after[side].mean():.1%} after, TF-IDF "
                      f"{plain[side].mean():.1%}")  # fmt: skip


class Malice:
    """Decisions of models on mail that got no verdict, against those of the honest one."""

    def __init__(self, run: Run, mark: int) -> None:
        found, weight = verdicts(run.given, run.threshold, 1)
        self.run, self.at, self.stands = run, found[:mark], weight[:mark]
        free = sorted(set(np.flatnonzero(~run.given.bad)) - set(found))
        self.forged, self.unseen = free[:1000], free[1000:]
        self.missed = sorted(set(np.flatnonzero(run.given.bad)) - set(self.at))[:1000]
        self.honest = run.learnt(self.at, self.stands)

    def kept(self, learnt, where: str) -> tuple[np.ndarray, np.ndarray]:
        """Return what is kept, and what of it is bad."""
        run, at = self.run, learnt.hold.logit
        if where == "household":
            household = run.others[where]
            return run.scores(learnt, household) >= at, household.bad
        ham = run.scores(learnt, run.given)[self.unseen] >= at
        bad = run.scores(learnt, run.spare) >= at
        return np.concatenate((ham, bad)), np.concatenate((np.zeros(len(ham), bool), np.ones(len(bad), bool)))

    def tell(self, name: str, learnt) -> None:
        for where in ("collector", "household"):
            (before, bad), (after, _) = self.kept(self.honest, where), self.kept(learnt, where)
            print(f"  {name}, {where}: legitimate kept {before[~bad].mean():.2%} -> {after[~bad].mean():.2%}; "
                  f"decisions changed {np.mean(before != after):.2%}; missed {1 - before[bad].mean():.1%} -> "
                  f"{1 - after[bad].mean():.1%}; left out {len(learnt.doubted)}")  # fmt: skip

    def turned(self, seed: int) -> None:
        """One in a hundred verdicts is turned round; beside it the same ones absent."""
        n = len(self.at)
        flip = random.Random(seed).sample(range(n), max(1, n // 100))
        rest = [i for i in range(n) if i not in set(flip)]
        self.tell(f"1 % turned round ({seed})", self.run.learnt(self.at, self.stands, flip=flip))
        self.tell(f"  chance: those absent ({seed})",
                  self.run.learnt([self.at[i] for i in rest], [self.stands[i] for i in rest]))  # fmt: skip

    def reported(self, name: str, extra: Sequence[int]) -> None:
        """One account reports many messages, each as what it is not, and all pass review."""
        n = len(self.at)
        self.tell(f"{len(extra)} {name}, by one account", self.run.learnt(
            [*self.at, *extra], [*self.stands, *[1.0] * len(extra)], flip=range(n, n + len(extra)),
            by=[""] * n + ["mallory"] * len(extra)))  # fmt: skip


def malice(run: Run) -> None:
    for mark in (200, 1000):
        one = Malice(run, mark)
        print(f"malice among {len(one.at)} verdicts; {len(one.honest.doubted)} of the honest ones left out")
        for seed in range(3):
            one.turned(seed)
        found, weight = verdicts(run.given, run.threshold, 9)
        one.tell("  chance: another random sample of delivered mail", run.learnt(found[:mark], weight[:mark]))
        one.reported("legitimate messages reported as bad", one.forged)
        one.reported("bad messages, missed before, reported as legitimate", one.missed)


def main() -> None:
    """Run the bench."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--corpora", type=Path, required=True)
    parser.add_argument("--model", type=Path, default=DEFAULT)
    parser.add_argument("--ratio", type=float, default=1.0, help="bad messages for a legitimate one")
    parser.add_argument("--cache", type=Path, default=Path("~/.cache/gatepost").expanduser())
    given = parser.parse_args()
    assert set(TRANSPORT) <= set(Facts.__dataclass_fields__)
    run = Run(given.corpora, Bundle.open(given.model), given.ratio, given.cache)
    curve(run)
    malice(run)


if __name__ == "__main__":
    main()

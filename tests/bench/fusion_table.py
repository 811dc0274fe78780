"""How facts and text are joined: recipes, facts left out, and thresholds that carry over.

    python tests/bench/fusion_table.py --corpora DIR [--model BUNDLE] [--part recipes] [--cache DIR]

The text side is the bundle's (its raw logits, through the serving code); facts are read with the code of the tree,
and weights are fitted here as `gatepost train` does, so that a change of facts or of settings is measured without a
training run. Choose by `household` and held-out written mail; the rest is shown and never chosen by.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from model.bundle import DEFAULT, Bundle, Calibration
from model.domains import DomainLists
from model.facts import MUTE
from model.score import Scorer
from training import calibrate, fusion
from training.calibrate import CalibrationData
from training.corpora import Corpora
from training.evaluation.figures import Ranking, bootstrap, threshold_for
from training.evaluation.report_terminal import columns
from training.examples import WRITTEN, Example, of_rows, pick_rows, set_apart
from training.gather import gather
from training.pools import of_today, shared, votes
from training.reading import Reader
from training.settings import FusionSettings, TrainSettings, load

Floats = NDArray[np.float64]
BUDGET = 0.02
VERDICTS = 200
DRAWS = 40
PRIORS = (0.5, 0.2, 0.1, 0.05)
LOUD = 1e9  # a cap that never caps
HARD = "hard ham"


@dataclass(frozen=True)
class Mail:
    """Messages with their raw text logits, one element each."""

    examples: list[Example]
    text: Floats
    windows: NDArray[np.int64]

    @property
    def bad(self) -> NDArray[np.bool_]:
        return np.array([e.bad for e in self.examples], dtype=np.bool_)

    @property
    def senders(self) -> list[str]:
        return [e.sender or e.group for e in self.examples]

    def pick(self, wanted: Callable[[Example], bool]) -> "Mail":
        at = np.flatnonzero([wanted(e) for e in self.examples])
        return Mail([self.examples[i] for i in at], self.text[at], self.windows[at])


@dataclass(frozen=True)
class Bench:
    """All that is fitted on, and what is measured, by set."""

    settings: TrainSettings
    fit: list[Example]
    more: Mail
    calibration: Mail
    sets: dict[str, Mail]


def heard(scorer: Scorer, examples: Sequence[Example], silent: bool = False) -> Mail:
    """Return messages with what the text alone says, in raw logits; `silent` leaves it at zero."""
    told = [] if silent else [scorer.score(e.document, e.facts) for e in examples]
    return Mail(
        list(examples),
        np.array([t.text_logit for t in told]) if told else np.zeros(len(examples)),
        np.array([t.windows for t in told], dtype=np.int64) if told else np.zeros(len(examples), dtype=np.int64),
    )


def set_of(example: Example, settings: TrainSettings) -> str:
    """Name the set that a measured message is reported in."""
    if example.synthetic:
        return f"{example.archive} (made up)"
    if example.archive == "modern_ham":
        return "commercial" if example.source in settings.data.commercial else example.source or "modern_ham"
    return HARD if example.archive == "spamassassin" else example.archive


def prepared(settings: TrainSettings, corpora: Path, scorer: Scorer) -> Bench:
    """Read everything, and score the text of what is calibrated on and measured."""
    material = gather(settings, corpora, click.echo)
    opened = Corpora.open(corpora, settings.cache)
    late = [r for r in pick_rows(opened.rows, "site", {}, settings.data.seed)
            if r.year is not None and r.year > settings.fusion.last_site_year]  # fmt: skip
    with Reader(settings.cache, DomainLists.load()) as reader:
        site = of_rows(opened, late, reader, click.echo)
    fit, apart = set_apart(material.site, settings.data.calibration_share, settings.data.seed)
    own = [e for e in material.calibration if e.archive == WRITTEN]
    pool = [*of_today(material.calibration, settings.fusion.first_year), *own]
    spoken, quiet = heard(scorer, pool), heard(scorer, apart, silent=True)
    calibration = Mail([*spoken.examples, *quiet.examples], np.concatenate([spoken.text, quiet.text]),
                       np.concatenate([spoken.windows, quiet.windows]))  # fmt: skip
    measured: dict[str, list[Example]] = {}
    for example in material.dev:
        measured.setdefault(set_of(example, settings), []).append(example)
    measured["site, after the fit"] = site
    measured["written, held out"] = list(material.held)
    measured["senders in no list"] = [e for e in (*material.dev, *material.held) if not e.synthetic and not e.bad
                                      and e.facts.sender_known is False]  # fmt: skip
    sets = {name: heard(scorer, found) for name, found in measured.items() if found}
    more = heard(scorer, [e for e in of_today(material.train, settings.fusion.first_year) if not e.bad], silent=True)
    return Bench(settings, of_today((*fit, *material.train), settings.fusion.first_year), more, calibration, sets)


def fitted(bench: Bench, settings: FusionSettings) -> fusion.Fitted:
    """Fit weights as a training run does."""
    rows, weight = shared(bench.fit, settings.shares)
    return fusion.fit([e.facts for e in rows], [e.bad for e in rows], weight, settings, bench.settings.data.seed)


def scores(mail: Mail, found: fusion.Fitted, settings: FusionSettings) -> Floats:
    """Fused logits before calibration."""
    return fusion.raw_logits(found, [e.facts for e in mail.examples], mail.text, settings.text_weight,
                             settings.text_cap)  # fmt: skip


def line(bench: Bench, found: fusion.Fitted, settings: FusionSettings) -> tuple[Calibration, Mail, Floats]:
    """Calibrate as a training run does; return the line, the mail it was fitted on, and its logits."""
    rows, weight = shared(bench.calibration.examples, bench.settings.calibration.shares)
    keys = {id(e) for e in rows}
    mail = bench.calibration.pick(lambda e: id(e) in keys)
    raw = scores(mail, found, settings)
    none = np.zeros((len(raw), 3))
    data = CalibrationData(raw, mail.windows, mail.bad, np.array(weight), none, np.full(len(raw), -1))
    return calibrate.platt(data, bench.settings.calibration), mail, raw


def hold(raw: Floats, weight: Floats, budget: float) -> float:
    """Lowest raw score that at most the budget of legitimate mail, by weight, reaches."""
    order = np.argsort(-raw)
    over = np.cumsum(weight[order]) / weight.sum()
    return float(np.nextafter(raw[order][int(np.searchsorted(over, budget, side="right"))], np.inf))


def shipped(bench: Bench, found: fusion.Fitted, settings: FusionSettings) -> float:
    """Return the hold threshold, in raw logits, that a training run sets."""
    good, raw, _ = voters(bench, found, settings)
    return hold(raw, votes(good), bench.settings.calibration.hold_budget)


def voters(bench: Bench, found: fusion.Fitted, settings: FusionSettings) -> tuple[list[Example], Floats, int]:
    """Legitimate mail that thresholds are set on, its raw logits, and how much of it was kept back for that."""
    _, mail, raw = line(bench, found, settings)
    own = [e for e in mail.examples if not e.bad]
    both = np.concatenate([raw[~mail.bad], scores(bench.more, found, settings)])
    return [*own, *bench.more.examples], both, len(own)


def figures(mail: Mail, raw: Floats, at: float) -> list[str]:
    """AUC, caught at the budget, caught and kept at a threshold, as the set has both classes or one."""
    bad, all_of_it = mail.bad, np.ones(len(raw))
    both = bad.any() and not bad.all()
    ranking = Ranking.of(bad.astype(np.int64), raw)
    return [
        f"{ranking.auc(all_of_it):.3f}" if both else "",
        f"{ranking.caught_at(all_of_it, BUDGET):.3f}" if both else "",
        f"{(raw[bad] >= at).mean():.3f}" if bad.any() else "",
        f"{(raw[~bad] >= at).mean():.3f}" if (~bad).any() else "",
    ]


def recipes(base: FusionSettings) -> Iterator[tuple[str, FusionSettings]]:
    """Yield the candidates: how strongly weights are pulled together, who is fitted on, how loud the text is."""
    yield "as set", base
    yield "equal weights", base.model_copy(update={"shrink": 1e9})
    for shrink in (30.0, 100.0, 1000.0):
        yield f"shrink {shrink:g}", base.model_copy(update={"shrink": shrink})
    yield "no dropout", base.model_copy(update={"drop": 0.0})
    few = {"phishing_pot:good": 1.0, "phishing_pot:bad": 0.9, "lists:bad": 0.1}
    yield "legitimate mail of the site alone", base.model_copy(update={"shares": few})
    many = {k: v for k, v in base.shares.items() if k != "phishing_pot:good"}
    yield "no legitimate mail of the site", base.model_copy(update={"shares": many})
    for weight, cap in ((0.0, 1.0), (0.1, 1.0), (0.3, 1.0), (0.3, 2.0), (0.5, 2.0), (1.0, 2.0)):
        yield f"text {weight:g}, at most {cap:g}", base.model_copy(update={"text_weight": weight, "text_cap": cap})


def show_recipes(bench: Bench) -> None:
    """Print a line a candidate: household, held-out written mail, and what the threshold does elsewhere."""
    rows = [["recipe", "household AUC", "95 %", "at 2 %", "95 %", "caught", "kept", "written AUC", "caught", "kept",
             "site"]]  # fmt: skip
    home, own = bench.sets["household"], bench.sets["written, held out"]
    for name, settings in recipes(bench.settings.fusion):
        found = fitted(bench, settings)
        at = shipped(bench, found, settings)
        told, other = scores(home, found, settings), scores(own, found, settings)
        ranking = Ranking.of(home.bad.astype(np.int64), told)
        wide, range_ = (bootstrap(f, home.senders) for f in (ranking.auc, partial(ranking.caught_at, budget=BUDGET)))
        late = scores(bench.sets["site, after the fit"], found, settings)
        a, b = figures(home, told, at), figures(own, other, at)
        caught = (late[bench.sets["site, after the fit"].bad] >= at).mean()
        rows.append([name, a[0], f"{wide.low:.3f}-{wide.high:.3f}", a[1], f"{range_.low:.3f}-{range_.high:.3f}",
                     *a[2:], b[0], *b[2:], f"{caught:.3f}"])  # fmt: skip
    click.echo(columns(rows))


def show_sets(bench: Bench) -> None:
    """Print every set at the threshold of the recipe, and at the one that keeps 2 % of the household."""
    settings = bench.settings.fusion
    found = fitted(bench, settings)
    calibration, _, _ = line(bench, found, settings)
    at = shipped(bench, found, settings)
    home = bench.sets["household"]
    there = threshold_for(scores(home, found, settings)[~home.bad], BUDGET)
    click.echo(f"calibration: slope {calibration.slope}, intercept {calibration.intercept}; hold at raw {at:.2f}; "
               f"2 % of the household at {there:.2f}")  # fmt: skip
    rows = [["set", "good", "bad", "AUC", "at 2 %", "caught", "kept", "caught (household 2 %)", "kept"]]
    for name, one in sorted(bench.sets.items()):
        told = scores(one, found, settings)
        rows.append([name, str(int((~one.bad).sum())), str(int(one.bad.sum())), *figures(one, told, at),
                     *figures(one, told, there)[2:]])  # fmt: skip
    click.echo(columns(rows))
    click.echo(", ".join(f"{n} {t.weight:+.2f}" for n, t in found.facts.items()) + f"; bias {found.bias:+.2f}")


def show_facts(bench: Bench) -> None:
    """Print what each fact brings: the recipe without it, its threshold set anew."""
    settings = bench.settings.fusion
    whole = fitted(bench, settings)
    rows = [["left out", "household AUC", "at 2 %", "caught", "kept", "written AUC", "caught", "kept", "site caught"]]
    for name in ("", *(n for n in fusion.NAMES if n not in MUTE)):
        facts = {n: replace(t, weight=0.0) if n == name else t for n, t in whole.facts.items()}
        found = replace(whole, facts=facts)
        at = shipped(bench, found, settings)
        home, own, late = (bench.sets[n] for n in ("household", "written, held out", "site, after the fit"))
        a = figures(home, scores(home, found, settings), at)
        b = figures(own, scores(own, found, settings), at)
        rows.append([name or "(nothing)", *a, b[0], *b[2:], figures(late, scores(late, found, settings), at)[2]])
    click.echo(columns(rows))


def show_thresholds(bench: Bench) -> None:
    """Print how thresholds of several rules carry over to every set of legitimate mail."""
    settings = bench.settings.fusion
    found = fitted(bench, settings)
    mail, raw, apart = voters(bench, found, settings)
    of = np.array([set_of(e, bench.settings) for e in mail])
    least = int(1 / BUDGET)
    parts = [raw[of == name] for name in sorted(set(of)) if (of == name).sum() >= least]
    exact = [float(np.sort(p)[min(int(np.ceil((len(p) + 1) * (1 - BUDGET))), len(p)) - 1]) for p in parts]
    rules = {
        "one vote a message": hold(raw, np.ones(len(raw)), BUDGET),
        "one vote a sender": hold(raw, votes(mail), BUDGET),
        "the same, kept back only": hold(raw[:apart], votes(mail[:apart]), BUDGET),
        "one vote a sender, 1.5 %": hold(raw, votes(mail), 0.75 * BUDGET),
        "one vote a sender, 1 %": hold(raw, votes(mail), 0.5 * BUDGET),
        "worst set": max(threshold_for(p, BUDGET) for p in parts),
        "conformal, worst set": float(np.nextafter(max(exact), np.inf)),
    }
    names = [n for n, m in sorted(bench.sets.items()) if (~m.bad).sum() >= least]
    rows = [["kept by", *rules], ["threshold", *(f"{at:.2f}" for at in rules.values())]]
    told = {name: scores(bench.sets[name], found, settings) for name in (*names, "site, after the fit")}
    rows += [[n, *(figures(bench.sets[n], told[n], at)[3] for at in rules.values())] for n in names]
    for name in ("household", "written, held out", "site, after the fit"):
        rows.append([f"{name}: caught", *(figures(bench.sets[name], told[name], at)[2] for at in rules.values())])
    click.echo(columns(rows))


PARTS = {"recipes": show_recipes, "sets": show_sets, "facts": show_facts, "thresholds": show_thresholds}  # fmt: skip


@click.command()
@click.option("--corpora", type=click.Path(path_type=Path), required=True, help="folder with index.csv")
@click.option("--model", type=click.Path(path_type=Path), default=DEFAULT, help="bundle whose text side is used")
@click.option("--config", type=click.Path(path_type=Path), help="training settings; the defaults without it")
@click.option("--cache", type=click.Path(path_type=Path), help="where read mail is kept")
@click.option("--part", type=click.Choice(list(PARTS)), multiple=True, help="only these tables")
def main(corpora: Path, model: Path, config: Path | None, cache: Path | None, part: tuple[str, ...]) -> None:
    """Print the tables."""
    settings = load(config)
    if cache:
        settings = settings.model_copy(update={"cache": cache})
    bundle = Bundle.open(model)
    scorer = Scorer(bundle)
    scorer.bundle = replace(bundle, calibration=Calibration(1.0, 0.0, 0.0, 1.0),
                            fusion=replace(bundle.fusion, text_weight=1.0, text_cap=LOUD))  # fmt: skip
    bench = prepared(settings, corpora, scorer)
    for name in part or PARTS:
        click.echo(f"\n{name}")
        PARTS[name](bench)


if __name__ == "__main__":
    main()

"""A set measured by hand-made verdicts, and the four renderings of the report.

The renderings lie in tests/reports. After a wanted change, `GATEPOST_WRITE_GOLDEN=1 pytest
tests/unit/test_evaluation_report.py` writes them anew: read their difference before you keep it.
"""

import dataclasses
import json
import os
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.bundle import Bundle, Calibration, FactWeight, Fusion, Thresholds
from model.encode import Shape
from model.facts import Facts
from model.labels import LABELS, Label
from model.normalise import Document
from training.evaluation import plots, report_html, report_markdown, report_terminal
from training.evaluation.certificate import upper_bound
from training.evaluation.figures import Figure, Ranking
from training.evaluation.measure import _curve, legitimate_slices, measure
from training.evaluation.methods import FACTS, GATEPOST, Scored, Told
from training.evaluation.paired import compare
from training.evaluation.report import AttackFigures, Report, Speed
from training.evaluation.sets import Sample
from training.examples import Example

FOLDER = Path(__file__).parent.parent / "reports"
HOLD, QUARANTINE = 0.6, 0.9


def example(n: int, *, kind: Label, year: int = 2025, lang: str = "en") -> Example:
    bad = kind is not Label.HAM
    return Example(
        key=str(n), archive="household", source="", split="dev", group=str(n), bad=bad,
        kind=kind if bad else None, read=True, synthetic=False, year=year, lang=lang,
        document=Document("", (), str(n), ()), facts=Facts(sender_known=n % 2 == 0), sender=f"s{n}.example",
    )  # fmt: skip


def scored(p: list[float], label: list[Label]) -> Scored:
    score = np.array(p)
    return Scored(
        score, (score >= HOLD) & (score < QUARANTINE), score >= QUARANTINE,
        np.array([LABELS.index(one) for one in label]), np.array([1, 2, 3, 4] * (len(p) // 4)),
        np.arange(1.0, len(p) + 1),
    )  # fmt: skip


@pytest.fixture
def sample() -> Sample:
    kinds = [Label.HAM] * 6 + [Label.SPAM, Label.SPAM, Label.PHISHING, Label.PHISHING, Label.FRAUD, Label.FRAUD]
    return Sample.of("household", [example(n, kind=k, lang="de" if n % 3 else "en") for n, k in enumerate(kinds)])


@pytest.fixture
def told() -> Scored:
    p = [0.1, 0.2, 0.3, 0.4, 0.7, 0.95, 0.2, 0.65, 0.8, 0.92, 0.97, 0.99]
    label = [*[Label.HAM] * 4, Label.SPAM, Label.FRAUD, Label.HAM, Label.SPAM, Label.SPAM, Label.PHISHING,
             Label.FRAUD, Label.FRAUD]  # fmt: skip
    return scored(p, label)


@pytest.fixture
def report(sample: Sample, told: Scored) -> Report:
    other = Told(told.score[::-1].copy(), told.held, told.quarantined)
    found = measure(sample, told, {FACTS: other}, hold=HOLD, quarantine=QUARANTINE, assumed=0.5, prior=0.3,
                    current=scored([0.5] * 12, [Label.HAM] * 12))  # fmt: skip
    change = compare(sample.bad, told.kept, told.kept, sample.groups)
    attack = AttackFigures("homoglyphs <x>", found.methods[GATEPOST].caught, found.methods[GATEPOST].caught,
                           change.caught, change.false_positives, 1, 2)  # fmt: skip
    return Report(
        "20260102-abc-n2", HOLD, QUARANTINE, (found,),
        legitimate_slices({"all": lambda _: True}, [(sample, told)]), Speed(2.5, 9.0, 12, 0), {"ham": (0.9, 0.5, 12)},
        {"en": (0.01, 1.4, 12)}, ("3 messages <left out>",), "20251231-old-n2", (attack,),
    )  # fmt: skip


def test_a_set_by_hand(sample: Sample, told: Scored) -> None:
    """Six legitimate: one held, one quarantined. Six bad: one delivered, two held, three quarantined."""
    found = measure(sample, told, {}, hold=HOLD, quarantine=QUARANTINE, assumed=0.5, prior=0.3)
    own = found.methods[GATEPOST]

    assert (found.good, found.bad, found.good_senders, found.bad_senders) == (6, 6, 6, 6)
    assert own.caught.value == pytest.approx(5 / 6)
    assert own.false_positives.value == pytest.approx(2 / 6)
    assert found.legitimate.held.value == pytest.approx(1 / 6)
    assert found.legitimate.quarantined.value == pytest.approx(1 / 6)
    assert found.legitimate.certificate.bound == pytest.approx(upper_bound(2, 6))
    assert found.classes["spam"].precision.value == pytest.approx(1 / 3)
    assert found.classes["fraud"].recall.value == 1.0
    assert found.confusion[0] == [4, 1, 0, 1]
    assert found.parts["year"]["2025"].caught.n == 6
    assert found.parts["length"]["3+ windows"].caught.n == 4
    assert found.band.to_person.value == pytest.approx(3 / 12)
    assert found.band.missed.value == pytest.approx(1 / 6)
    assert found.recall_at == {}
    assert found.against is None


def test_weights_of_sampling_reach_every_figure(sample: Sample, told: Scored) -> None:
    """The bad message that is delivered stands for ten: caught falls from 5 of 6 to 5 of 15."""
    weight = np.ones(12)
    weight[6] = 10
    heavy = dataclasses.replace(sample, weight=weight)
    found = measure(heavy, told, {}, hold=HOLD, quarantine=QUARANTINE, assumed=0.5, prior=0.3)

    assert found.methods[GATEPOST].caught.value == pytest.approx(5 / 15)
    assert found.band.missed.value == pytest.approx(10 / 15)
    assert found.parts["year"]["2025"].caught.value == pytest.approx(5 / 15)


def test_one_class_alone_is_measured_as_far_as_it_goes(sample: Sample, told: Scored) -> None:
    good = sample.only(lambda e: not e.bad)
    part = dataclasses.replace(told, **{
        n: getattr(told, n)[:6] for n in ("score", "held", "quarantined", "label", "windows", "ms")})  # fmt: skip
    found = measure(good, part, {}, hold=HOLD, quarantine=QUARANTINE, assumed=0.5, prior=0.3)
    own = found.methods[GATEPOST]

    assert not own.auc.known
    assert not own.caught.known
    assert own.false_positives.value == pytest.approx(2 / 6)
    assert found.recall_at == {}
    assert json.dumps(found.to_json(), allow_nan=False)


def test_bad_mail_of_unknown_kind_is_measured_without_classes(sample: Sample, told: Scored) -> None:
    unknown = Sample.of("site", [dataclasses.replace(e, kind=None, bad=True) for e in sample.examples])
    found = measure(unknown, told, {}, hold=HOLD, quarantine=QUARANTINE, assumed=0.5, prior=0.3)

    assert found.classes == {}
    assert not found.macro_f1.known
    assert not found.legitimate.kept.known
    assert found.methods[GATEPOST].caught.n == 12
    assert json.dumps(found.to_json(), allow_nan=False)


def test_json_has_no_nan_and_every_figure_its_n(report: Report) -> None:
    data = json.loads(json.dumps(report.to_json(), allow_nan=False))
    (one,) = data["sets"]

    assert data["against"] == "20251231-old-n2"
    caught = one["methods"]["gatepost"]["caught"]
    assert (caught["value"], caught["n"], caught["senders"]) == (0.8333, 6, 6)
    assert one["calibration"]["prior"] == 0.3
    assert one["against"]["caught"]["only_candidate_keeps"] == 5
    assert data["robustness"][0]["failed"] == 2
    assert data["speed"] == {"ms_p50": 2.5, "ms_p99": 9.0, "n": 12, "not_scored": 0}


def test_the_terminal_report_tells_what_decides(report: Report) -> None:
    text = report_terminal.render(report)

    assert text.startswith("model 20260102-abc-n2: hold from 0.6, quarantine from 0.9\ncompared with 20251231-old-n2")
    assert "== household: 6 legitimate (6 senders), 6 bad (6 senders); all of it" in text
    assert "per sender: ≤ 72.87% (2 of 6 senders, 95%)" in text
    assert "review band 0.6–0.9: decided without a person 75.0%" in text
    assert "only this one keeps 5, only the other 0; McNemar p 0.062" in text
    assert "note: 3 messages <left out>" in text
    assert max(len(line) for line in text.splitlines() if line.startswith(("gatepost", "facts"))) < 120


def steady(value: Any) -> Any:
    """The same report with intervals of a tenth: those of a bootstrap may differ from one numpy to the next."""
    if isinstance(value, Figure):
        return dataclasses.replace(value, low=value.value - 0.1, high=value.value + 0.1) if value.known else value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.replace(
            value, **{f.name: steady(getattr(value, f.name)) for f in dataclasses.fields(value)}
        )
    if isinstance(value, Mapping):
        return {k: steady(v) for k, v in value.items()}
    return tuple(steady(v) for v in value) if isinstance(value, tuple) else value


@pytest.mark.parametrize("name", ["report.txt", "report.json", "report.html", "card.md"])
def test_a_rendering_is_as_written_down(report: Report, name: str) -> None:
    told = steady(report)
    bundle, record = some_bundle(), some_record()
    text = {
        "report.txt": lambda: report_terminal.render(told) + "\n",
        "report.json": lambda: json.dumps(told.to_json(), indent=1, ensure_ascii=False) + "\n",
        "report.html": lambda: report_html.render(told),
        "card.md": lambda: report_markdown.card(bundle, record, told),
    }[name]()
    if os.environ.get("GATEPOST_WRITE_GOLDEN"):
        (FOLDER / name).write_text(text, encoding="utf-8")

    assert text == (FOLDER / name).read_text(encoding="utf-8")


def some_bundle() -> Bundle:
    """A bundle that lies nowhere, for the card to describe."""
    return Bundle(
        path=Path("bundle"), version="20260102-abc-n2", created="2026-01-02T00:00:00+00:00", base_model="mini",
        data_fingerprint="ab" * 32, shape=Shape(),
        fusion=Fusion(0.5, 0.3, 2.0, {"sender_known": FactWeight(-1.5, 0.4), "hidden_text": FactWeight(0.7, 0.1)}),
        calibration=Calibration(1.0, 0.0, 0.0, 1.0), thresholds=Thresholds(QUARANTINE, HOLD), goldens=(),
        golden_tolerance=0.1, files={},
    )  # fmt: skip


def some_record() -> dict[str, Any]:
    return {
        "settings": {"finetune": {"method": "head"}}, "messages": {"train": 1200, "calibration": 200},
        "outside_collections": True, "parity": {"same": 99, "n": 100, "worst_logit": 0.12},
    }  # fmt: skip


class _Page(HTMLParser):
    """Collects what a page would fetch, and whether its tags close."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.fetched += [v for k, v in attrs if k in {"src", "href", "data", "srcset"} and v]


def test_the_page_is_one_file_without_script_and_escapes_what_it_shows(report: Report) -> None:
    page = report_html.render(report)
    seen = _Page()
    seen.feed(page)

    assert seen.fetched == []
    assert "script" not in seen.tags
    assert {"svg", "table"} <= seen.tags
    assert "homoglyphs &lt;x&gt;" in page
    assert "3 messages &lt;left out&gt;" in page
    assert "default-src 'none'" in page


def test_drawings_are_well_formed_and_show_every_point(report: Report) -> None:
    found = report.sets[0]
    roc = ET.fromstring(plots.roc("ROC <low>", {n: m.roc for n, m in found.methods.items()}))  # noqa: S314 - our own
    dots = ET.fromstring(plots.reliability("r", found.reliability))  # noqa: S314
    table = ET.fromstring(plots.confusion("c", [str(x) for x in LABELS], found.confusion))  # noqa: S314
    svg = "{http://www.w3.org/2000/svg}"

    assert roc.findtext(f"{svg}title") == "ROC <low>"
    assert len(roc.findall(f"{svg}path")) == 2
    assert len(dots.findall(f"{svg}circle")) == len(found.reliability.bins)
    assert sum(int(t.text or 0) for t in table.findall(f"{svg}text") if (t.text or "").isdigit()) == 12


def test_a_curve_begins_at_the_strictest_threshold_and_ends_at_everything() -> None:
    """Good .1 .5, bad .9 .3: nothing kept catches one half, half kept no more, everything catches all."""
    curve = _curve(Ranking.of(np.array([0, 0, 1, 1]), np.array([0.1, 0.5, 0.9, 0.3])), np.ones(4))

    assert curve == ((0.0, 0.5), (0.5, 1.0), (1.0, 1.0))

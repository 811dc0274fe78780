"""Evidence for and against candidates, for tests: what passes every check, to be changed field by field."""

from dataclasses import replace
from typing import Any

import numpy as np

from model.bundle import Bundle
from training.evaluation.certificate import certificate
from training.evaluation.paired import Paired, compare
from training.gate.decision import Check, Decision
from training.gate.evidence import Attack, Certified, Comparison, Evidence, Proof, Speed
from training.gate.lineage import Chain


def paired(good: int = 400, bad: int = 400, *, newly_kept: int = 0, newly_missed: int = 0) -> Paired:
    """Two models on mail of as many senders: the current one is right everywhere, the candidate but for so many."""
    truth = np.array([0] * good + [1] * bad, dtype=np.int64)
    current = truth.astype(np.bool_)
    candidate = current.copy()
    candidate[:newly_kept] = True
    candidate[good : good + newly_missed] = False
    return compare(truth, candidate, current, [f"s{n}" for n in range(good + bad)])


def attack(name: str, *, newly_missed: int = 0, n: int = 60) -> Attack:
    """An attack on n bad messages of as many senders, all caught by the model in place and by the shipped one."""
    change = paired(0, n, newly_missed=newly_missed).caught
    others = ("in-place", "shipped")
    return Attack(name, 1 - newly_missed / n, dict.fromkeys(others, 1.0), dict.fromkeys(others, change), n)


def evidence(**changes: Any) -> Evidence:
    """A candidate that passes everything, with some fields changed."""
    comparison = Comparison("in-place", "v1", paired(), {"written": paired()})
    fine = Evidence(
        proof=Proof("v2", 2, True, True, 0.995, 1000, 0.01, 0.15),
        normaliser=2,
        comparisons=(comparison, replace(comparison, against="shipped", version="v0")),
        certified=Certified(certificate(200, 0), "site", 0, 3, 1),
        attacks=(attack("homoglyph"),),
        attacked={"in-place": paired().caught, "shipped": paired().caught},
        speed=Speed(10.0, 20.0, 40),
        speeds={"in-place": Speed(10.0, 20.0, 40), "shipped": Speed(10.0, 20.0, 40)},
        trained_on=0,
        data={"site": "f" * 64},
        counts={"site": (200, 200)},
    )
    return replace(fine, **changes)


def passes(_candidate: Bundle, _in_place: Bundle, _shipped: Bundle, _chain: Chain) -> tuple[Decision, Evidence]:
    """Stands in for the gate where a test is about the switch."""
    return Decision(True, (Check("stand-in", True, None, None, "a test says so"),)), evidence()


def fails(_candidate: Bundle, _in_place: Bundle, _shipped: Bundle, _chain: Chain) -> tuple[Decision, Evidence]:
    """Stands in for a gate that refuses."""
    return Decision(False, (Check("stand-in", False, 0.5, 0.1, "a test says so"),)), evidence()

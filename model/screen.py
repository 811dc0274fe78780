"""The whole way from a `Mail` to what is known of it: extract, facts, normalise, encode, score, leaks.

A fault in any step is a value here, never an exception: policy decides what becomes of an unscored message.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from model.extracted import Extracted
from model.facts import Facts, Site, facts
from model.leaks import find_leaks
from model.mail import Direction, Mail
from model.normalise import Document, normalise
from model.verdict import Finding, Score

if TYPE_CHECKING:  # the classes behind these names load onnxruntime or start a process; we are handed instances
    from model.child import Extractor
    from model.domains import DomainLists
    from model.score import Scorer


@dataclass(frozen=True, slots=True)
class Screening:
    """What one pass over a message gave. `fault` is empty, or names the step that failed.

    `document` is what the encoder read. `fault` is one of: no-model, extraction-timeout, extraction-memory,
    extraction-crash, scoring-failed, deadline, internal-error. Steps before the fault keep their results. `ms` has
    the wall time of each step in milliseconds.
    """

    extracted: Extracted | None = None
    facts: Facts | None = None
    score: Score | None = None
    findings: tuple[Finding, ...] = ()
    fault: str = ""
    detail: str = ""
    ms: dict[str, float] = field(default_factory=dict)
    document: Document | None = None


class Screener:
    """Screens one message at a time. Blocking; for use from one thread (a worker's screening thread)."""

    def __init__(self, scorer: "Scorer | None", extractor: "Extractor", site: Site, lists: "DomainLists", *,
                 clock: Callable[[], float] = time.monotonic) -> None:
        self._scorer = scorer
        self._extractor = extractor
        self._site = site
        self._lists = lists
        self._clock = clock

    @property
    def model(self) -> str:
        """Version of the model in use; empty without one."""
        return self._scorer.version if self._scorer else ""

    def screen(self, mail: Mail, *, timeout: float) -> Screening:
        """Return what is known of `mail` after at most about `timeout` seconds. Never raises."""
        run = _Run(self._clock, timeout)
        try:
            self._screen(mail, run)
        except Exception as error:  # noqa: BLE001 - one bad message must never cost another its verdict
            run.fault, run.detail = run.fault or "internal-error", f"{type(error).__name__}: {error}"
        return Screening(run.extracted, run.facts, run.score, run.findings, run.fault, run.detail, run.ms,
                         run.document)

    def _screen(self, mail: Mail, run: "_Run") -> None:
        from model.child import ExtractionFailed
        from model.score import ScoringFailed

        try:
            run.extracted = self._extractor.extract(mail.raw, timeout=run.left())
        except ExtractionFailed as error:
            run.fault = f"extraction-{error.reason}"
            return
        run.lap("extract")
        if mail.direction is Direction.OUTBOUND:
            run.findings = find_leaks(run.extracted)
            run.lap("leaks")
        run.facts = facts(run.extracted, mail.envelope, self._site, self._lists, arriving=True)
        run.document = normalise(run.extracted, run.facts, self._lists)
        run.lap("normalise")
        if self._scorer is None:
            run.fault = "no-model"
        elif run.left() <= 0:
            run.fault = "deadline"
        else:
            try:
                run.score = self._scorer.score(run.document, run.facts)
            except ScoringFailed as error:
                run.fault, run.detail = "scoring-failed", str(error)
            run.lap("score")


class _Run:
    """The mutable notes of one pass."""

    def __init__(self, clock: Callable[[], float], timeout: float) -> None:
        self._clock = clock
        self._started = self._last = clock()
        self._timeout = timeout
        self.extracted: Extracted | None = None
        self.facts: Facts | None = None
        self.document: Document | None = None
        self.score: Score | None = None
        self.findings: tuple[Finding, ...] = ()
        self.fault = self.detail = ""
        self.ms: dict[str, float] = {}

    def left(self) -> float:
        return self._timeout - (self._clock() - self._started)

    def lap(self, step: str) -> None:
        now = self._clock()
        self.ms[step] = round((now - self._last) * 1000, 3)
        self._last = now

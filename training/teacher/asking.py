"""From a view to an answer: the cache first, then requests at a bounded rate, patience, and one repair.

Nothing of the store is touched here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from training.teacher import prompt
from training.teacher.answer import Answer, Format, read
from training.teacher.endpoint import Endpoint, headers, post
from training.teacher.errors import TeacherBusy, TeacherDeclined, TeacherError, Unusable
from training.teacher.ledger import Ledger
from training.teacher.view import View

TRIES = 4
"""Requests for one answer while the server is busy."""
_FIRST_WAIT = 1.0
LONGEST_WAIT = 300.0
"""Seconds that a server may ask us to wait; if it asks for more, the run ends and can be taken up later."""


class Became(StrEnum):
    """What became of one mail."""

    DRAFTED = "drafted"
    REPAIRED = "drafted at the second attempt"
    CACHED = "answered before"
    DROPPED = "dropped: no usable answer"
    WARY = "left to a person: the mail speaks to whatever labels it"
    DECLINED = "declined by the teacher"
    UNREADABLE = "not readable"
    FAILED = "without an answer"


@dataclass(frozen=True, slots=True)
class Drafted:
    """The outcome for one mail: an answer that may be drafted, or why there is none."""

    became: Became
    answer: Answer | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Time and chance, so that tests need neither. `token` gives a random mark of 128 bits."""

    now: Callable[[], datetime]
    clock: Callable[[], float]
    sleep: Callable[[float], None]
    token: Callable[[], str]


class Asker:
    """Asks one model. From one thread."""

    def __init__(self, to: Endpoint, model: str, per_minute: float, ledger: Ledger, around: Surroundings, *,
                 retry: bool = False) -> None:  # fmt: skip
        self._to = to
        self._model = model
        self._every = 60.0 / per_minute
        self._ledger = ledger
        self._around = around
        self._retry = retry
        self._form = Format.SCHEMA
        self._next = around.clock()

    def draft(self, digest: str, view: View) -> Drafted:
        """Return the outcome for one mail.

        Raises TeacherError when asking on would not help, TeacherBusy when the server stays busy.
        """
        if view.fault:
            return Drafted(Became.UNREADABLE, why=view.fault)
        key = prompt.cache_key(self._model, view.data)
        known = self._ledger.known(key)
        if known is not None and (known.answer or not self._retry):
            return _outcome(view, Became.CACHED, known.answer, "it had no usable answer before; --retry asks again")
        started = self._around.clock()
        became, answer, why = self._answer(digest, view)
        if became in (Became.DRAFTED, Became.REPAIRED, Became.DROPPED):
            self._ledger.remember(key, digest, self._model, answer, self._around.clock() - started)
        return _outcome(view, became, answer, why)

    def _answer(self, digest: str, view: View) -> tuple[Became, Answer | None, str]:
        asked = prompt.ask(view.data, self._around.token)
        try:
            return Became.DRAFTED, read(self._request(digest, asked)), ""
        except TeacherDeclined as error:
            return Became.DECLINED, None, str(error)
        except Unusable as error:
            if error.content is None:
                return Became.FAILED, None, str(error)
            asked, first = prompt.repair(asked, error.content, str(error)), str(error)
        try:
            return Became.REPAIRED, read(self._request(digest, asked)), ""
        except TeacherDeclined as error:
            return Became.DROPPED, None, f"{first}; and then: {error}"
        except Unusable as error:
            dropped = Became.DROPPED if error.content is not None else Became.FAILED
            return dropped, None, f"{first}; and again: {error}"

    def _request(self, digest: str, messages: list[dict[str, str]]) -> str:
        """Ask with the schema if the server takes one, else without, from then on."""
        try:
            return self._patiently(digest, prompt.body(self._model, messages, self._form))
        except TeacherDeclined:
            if self._form is Format.TEXT:
                raise
        content = self._patiently(digest, prompt.body(self._model, messages, Format.TEXT))
        self._form = Format.TEXT
        return content

    def _patiently(self, digest: str, request: bytes) -> str:
        wait = _FIRST_WAIT
        for attempt in range(TRIES):
            self._pause()
            self._ledger.sent(self._around.now(), digest, self._to.url, headers(self._to, shown=True), request)
            try:
                return post(self._to, request)
            except TeacherBusy as busy:
                if busy.after is not None and busy.after > LONGEST_WAIT:
                    raise TeacherError(f"{busy}; it wants {busy.after:.0f} s of rest: run it again then") from None
                if attempt == TRIES - 1:
                    raise
                self._around.sleep(wait if busy.after is None else busy.after)
                wait *= 2
        raise AssertionError("unreachable")  # pragma: no cover

    def _pause(self) -> None:
        late = self._next - self._around.clock()
        if late > 0:
            self._around.sleep(late)
        self._next = max(self._next, self._around.clock()) + self._every


def _outcome(view: View, became: Became, answer: Answer | None, why: str) -> Drafted:
    if answer is None:
        return Drafted(Became.DROPPED if became is Became.CACHED else became, why=why)
    if view.wary:
        return Drafted(Became.WARY, why=f"the teacher said {answer.label}: {answer.reason}")
    return Drafted(became, answer)

"""What can go wrong with a teacher, as exceptions with texts that are safe to show.

    TeacherError          anything: the run ends, what was drafted before it stays
    ├── TeacherBusy       this request failed, the next may not: overloaded, slow, hung up
    ├── TeacherDeclined   the server refuses this very request (RFC 9110 section 15.5.1)
    └── Unusable          what came back is not what the protocol or the answer's schema says
"""


class TeacherError(Exception):
    """The teacher cannot be asked, and asking on would not help."""


class TeacherBusy(TeacherError):
    """A request failed in a way that may pass. `after` is how many seconds the server asks us to wait, if it does."""

    def __init__(self, text: str, after: float | None = None) -> None:
        super().__init__(text)
        self.after = after


class TeacherDeclined(TeacherError):
    """The server does not take this request as it is."""


class Unusable(TeacherError):
    """The answer is none. `content` is what the model wrote, if the server delivered that much."""

    def __init__(self, text: str, content: str | None = None) -> None:
        super().__init__(text)
        self.content = content

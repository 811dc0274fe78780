"""The four classes of inbound mail, in the order of every probability vector of this project."""

from enum import StrEnum


class Label(StrEnum):
    """What the sender tries to do to the recipient."""

    HAM = "ham"
    SPAM = "spam"
    PHISHING = "phishing"
    FRAUD = "fraud"


LABELS: tuple[Label, ...] = (Label.HAM, Label.SPAM, Label.PHISHING, Label.FRAUD)
BAD: tuple[Label, ...] = LABELS[1:]

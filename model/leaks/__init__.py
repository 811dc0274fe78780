"""Leak detectors: what must not leave the house. A finding says what and where, and never shows the secret.

Each detector is a function from a text to findings; confidence is from 0 to 1, and below `CERTAIN` a finding is
worth a look but is no ground to keep a message.
"""

from collections.abc import Callable, Iterator

from model.extracted import Extracted
from model.leaks import payment_card, private_key
from model.verdict import Finding

CERTAIN = 0.8

_DETECTORS: dict[str, Callable[[str], Iterator[tuple[str, float]]]] = {
    private_key.NAME: private_key.find,
    payment_card.NAME: payment_card.find,
}


def mask(text: str) -> str:
    """Return a text that is fit to be shown: without what the detectors find in it, sure or not."""
    return payment_card.mask(private_key.mask(text))


def find_leaks(extracted: Extracted) -> tuple[Finding, ...]:
    """Return what the detectors find in subject, text (attached texts among it) and hidden text, surest first.

    Equal finds in one place are one finding with a count. Pure; linear in the length of the texts.
    """
    places = {
        "subject": extracted.subject,
        "text": extracted.text,
        "hidden": extracted.hidden_text,
    }
    counts: dict[tuple[str, str, float, str], int] = {}
    for place, text in places.items():
        for name, detector in _DETECTORS.items() if text else ():
            for masked, confidence in detector(text):
                key = (name, masked, confidence, place)
                counts[key] = counts.get(key, 0) + 1
    found = [
        Finding(detector=name, masked=masked, confidence=confidence, location=place, count=count)
        for (name, masked, confidence, place), count in counts.items()
    ]
    return tuple(sorted(found, key=lambda finding: -finding.confidence))

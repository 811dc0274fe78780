"""Times as people read them, in the zone of the machine."""

from datetime import datetime


def local(at: datetime, now: datetime) -> str:
    """Return a time in 6 columns, local: the hour for today, else the day, else the month and year."""
    here, today = at.astimezone(), now.astimezone()
    if here.date() == today.date():
        return f"{here:%H:%M}"
    return f"{here:%b %d}" if here.year == today.year else f"{here:%Y-%m}"


def full(at: datetime) -> str:
    """Return a local time to the second, with its zone."""
    return f"{at.astimezone():%Y-%m-%d %H:%M:%S %Z}"


def ago(at: datetime, now: datetime) -> str:
    """Return how long ago, or how far ahead, in its largest unit."""
    seconds = int((now - at).total_seconds())
    size = abs(seconds)
    text = next(
        (f"{size // unit} {name}" for unit, name in ((86400, "d"), (3600, "h"), (60, "min")) if size >= unit),
        f"{size} s",
    )
    return f"{text} ago" if seconds >= 0 else f"in {text}"

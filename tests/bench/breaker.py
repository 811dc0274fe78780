"""How often the breaker trips by chance, and what a bad model costs first: python tests/bench/breaker.py [FACTOR]

Simulated sites: honest mail by day and little of it by night and at week-ends, bad mail at any hour, and campaigns:
in one hour of twenty, up to four times as much bad mail as usual, in a burst. After a week under the old model comes
one that is as good, or one that keeps a share of honest mail as well; it is watched for three days that begin at any
hour of a week. Nothing is measured but the decision.
"""

import random
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from milter.breaker import ENOUGH, Counts, Window, comparable, judge
from milter.watch_settings import BreakerSettings

SETTINGS = BreakerSettings(**({"factor": float(sys.argv[1])} if len(sys.argv) > 1 else {}))
SLOTS = 20
RUNS = 60
SITES = {"20 an hour": (20, 5, True), "200 an hour": (200, 50, True), "200, half of it bad": (200, 200, True),
         "3,000 an hour": (3000, 600, True), "200, nobody proven": (200, 50, False)}  # fmt: skip
"""Honest messages in an hour of a working day, bad ones in any hour, and whether anything proves senders."""
PROVEN = 0.4
"""Share of honest mail whose sender is proven and known; of bad mail it is a hundredth."""
MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
CAUGHT, KEPT_HAM, CAMPAIGN = 0.9, 0.005, 0.05


def poisson(draw: random.Random, mean: float) -> int:
    """Draw by the normal approximation, which is enough here."""
    return max(0, round(draw.gauss(mean, mean**0.5)))


def binomial(draw: random.Random, n: int, p: float) -> int:
    """Draw, exactly for few and by the normal approximation for many."""
    if n < 400:
        return sum(draw.random() < p for _ in range(n))
    return min(n, max(0, round(draw.gauss(n * p, (n * p * (1 - p)) ** 0.5))))


def part(draw: random.Random, site: tuple[int, int, bool], at: datetime, share: float,
         kept_ham: float) -> tuple[Counts, Counts, int]:  # fmt: skip
    """Return what comes in a part of an hour, the proven senders' part of it, and how much honest mail is kept."""
    busy = (1.0 if 8 <= at.hour < 18 else 0.15) * (0.2 if at.weekday() > 4 else 1.0)
    ham, bad = poisson(draw, site[0] * busy * share), poisson(draw, site[1] * share)
    if draw.random() < CAMPAIGN * share:
        bad += round(site[1] * draw.uniform(0.5, 4.0))
    lost, caught = binomial(draw, ham, max(KEPT_HAM, kept_ham)), binomial(draw, bad, CAUGHT)
    good, known_lost, thieves = binomial(draw, ham - lost, PROVEN), binomial(draw, lost, PROVEN), round(bad / 100)
    proven = Counts(good + known_lost + thieves, 0, known_lost + thieves) if site[2] else Counts()
    return Counts(ham + bad, 0, lost + caught), proven, lost


def watched(draw: random.Random, site: tuple[int, int, bool], kept_ham: float) -> tuple[float, int] | None:
    """Return after how many hours it trips and how much honest mail was kept until then; None if it does not."""
    start = MONDAY + timedelta(hours=draw.randrange(7 * 24))
    hours = [start - SETTINGS.history + timedelta(hours=n) for n in range(SETTINGS.history // timedelta(hours=1))]
    before = [(at, *part(draw, site, at, 1.0, 0.0)[:2]) for at in hours]
    seconds, enough = SETTINGS.window.total_seconds(), ENOUGH * SETTINGS.least
    groups = [(Window(seconds, enough), {row[0]: row[which] for row in before}) for which in (1, 2)]
    lost = 0
    for step in range(SLOTS * (SETTINGS.watch // timedelta(hours=1))):
        now = step * 3600.0 / SLOTS
        at = start + timedelta(seconds=now)
        everything, proven, more = part(draw, site, at, 1 / SLOTS, kept_ham)
        lost += more
        for (window, past), counts in zip(groups, (everything, proven), strict=True):
            window.add(counts, now)
            if window.due(now):
                alike = comparable(past, at - window.reach(now), at, SETTINGS.least)
                if judge(window.counts(now), alike, SETTINGS):
                    return now / 3600, lost
    return None


def main() -> None:
    """Print the table."""
    print(f"factor {SETTINGS.factor:g}")
    print(f"{'site':<22}{'honest mail kept':<18}{'trips':>8}{'after (median)':>16}{'kept until then':>17}")
    for name, site in SITES.items():
        for kept_ham in (0.0, 0.1, 0.25, 0.5, 1.0):
            draw = random.Random(f"{name} {kept_ham}")
            runs = RUNS if kept_ham else 3 * RUNS
            found = sorted(one for one in (watched(draw, site, kept_ham) for _ in range(runs)) if one)
            hours, lost = found[len(found) // 2] if found else (0.0, 0)
            told = f"{hours * 60:.0f} min" if found and hours < 2 else f"{hours:.1f} h" if found else "-"
            what = f"{kept_ham:.0%}" if kept_ham else "as before"
            print(f"{name:<22}{what:<18}{len(found):>4}/{runs}{told:>15}{lost if found else '-':>17}", flush=True)


if __name__ == "__main__":
    main()

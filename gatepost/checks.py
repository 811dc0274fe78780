"""What `gatepost check` looks at: settings, model, next hops, database, key, folders, lists. Changes nothing."""

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from milter.endpoint import Endpoint
from milter.next_hop import HopError, NextHop, Timeouts
from milter.settings import ListenerSettings, Settings
from milter.shadow_keeper import candidate
from model.bundle import Bundle, BundleError
from model.domains import DomainLists
from model.filterfile import ListsError
from model.shelf import ShelfError, resolve
from quarantine.alarms import lasting
from quarantine.engine import make_engine
from quarantine.errors import StoreError
from quarantine.keys import load_key
from quarantine.migrate import check_key, check_schema
from quarantine.schema import HEAD
from quarantine.store import Store
from quarantine.trips import tripped

PATIENCE = Timeouts(connect=5.0, command=5.0)
STALE_LISTS = 365
"""Days after which the domain lists are called old; they still work."""
NEEDED = ("8BITMIME", "SMTPUTF8", "DSN", "XFORWARD")
"""What mail loses if a next hop does not announce it."""


@dataclass(frozen=True, slots=True)
class Check:
    """One line: what was looked at, whether it is right, and what was seen."""

    name: str
    ok: bool
    detail: str


def run(settings: Settings, path: Path) -> Iterator[Check]:
    """Yield every check in turn; each finds its own faults and none stops the next."""
    yield Check("settings", True, _settings(settings, path))
    yield _checked("model", lambda: _model(settings))
    if settings.model.shadow:
        yield _checked("shadow", lambda: _shadow(settings))
    yield _checked("lists", _lists)
    for name, endpoint in _hops(settings):
        yield _checked(f"next hop {name}", partial(_hop, settings, endpoint))
    yield _checked("database", lambda: _database(settings))
    yield _checked("breaker", lambda: _breaker(settings))
    yield _checked("drift", lambda: _drift(settings))
    yield _checked("key", lambda: _key(settings))
    yield _checked("state_dir", lambda: _folder(settings.gateway.state_dir))
    yield _checked("spool_dir", lambda: _folder(settings.gateway.spool_dir))


class _Wrong(Exception):
    """A check that failed; the text is its detail."""


def _checked(name: str, look: Callable[[], str]) -> Check:
    try:
        return Check(name, True, look())
    except (_Wrong, BundleError, ShelfError, ListsError, StoreError, HopError) as error:
        return Check(name, False, str(error))
    except Exception as error:  # noqa: BLE001 - a check that breaks is wrong, and the others still run
        return Check(name, False, f"{type(error).__name__}: {error}")


def _settings(settings: Settings, path: Path) -> str:
    told = ", ".join(f"{listener.name} ({_told(listener)})" for listener in settings.listener)
    return f"{path}: {told}"


def _told(listener: ListenerSettings) -> str:
    return f"{listener.direction} {listener.mode} at {listener.listen}, stage {listener.stage}"


def _model(settings: Settings) -> str:
    from model.score import Scorer, verify  # onnxruntime: only once it is needed

    begun = time.monotonic()
    bundle = Bundle.open(resolve(settings.model))
    worst = verify(Scorer(bundle))
    took = time.monotonic() - begun
    return (f"{bundle.version}: {len(bundle.files)} hashes right, {len(bundle.goldens)} golden scores within "
            f"{worst:.3f} of {bundle.golden_tolerance:g} logits, in {took:.1f} s")


def _shadow(settings: Settings) -> str:
    bundle = Bundle.open(candidate(settings.model))
    return f"{bundle.version} scores live mail as well, and decides nothing"


def _lists() -> str:
    days = DomainLists.load().age_days(datetime.now(UTC))
    advice = "; old, refresh them with: gatepost lists refresh" if days > STALE_LISTS else ""
    return f"{days} days old{advice}"


def _hops(settings: Settings) -> Iterator[tuple[str, Endpoint]]:
    seen: dict[Endpoint, list[str]] = {}
    for listener in settings.listener:
        seen.setdefault(listener.next_hop, []).append(listener.name)
    seen.setdefault(Endpoint.parse(settings.quarantine.release_to), []).append("release")
    for endpoint, names in seen.items():
        yield "+".join(names), endpoint


def _hop(settings: Settings, endpoint: Endpoint) -> str:
    async def ask() -> set[str]:
        hop = await NextHop.connect(endpoint, settings.gateway.name, PATIENCE)
        announced = set(hop.capabilities)
        await hop.quit()
        return announced

    lacking = [word for word in NEEDED if word not in asyncio.run(ask())]
    return f"{endpoint} answers EHLO" + (f", without {' '.join(lacking)}" if lacking else "")


def _database(settings: Settings) -> str:
    path = settings.quarantine.path
    if not path.exists():
        _folder(path.parent)
        return f"{path}: not there yet; gatepost serve makes it"
    if not os.access(path, os.R_OK | os.W_OK):
        raise _Wrong(f"{path}: cannot be read and written by this account")
    engine = make_engine(settings.quarantine)
    try:
        check_schema(engine, path)
    finally:
        engine.dispose()
    return f"{path}: schema {HEAD}"


def _breaker(settings: Settings) -> str:
    path = settings.quarantine.path
    if not path.exists():
        return "never tripped"
    try:
        with Store.open(settings.quarantine) as store:
            found, still = tripped(store, limit=1), tripped(store, only_open=True)
    except StoreError:
        return "not known: database or key cannot be used, as their own lines say"
    if still:
        acting = "mail is delivered with headers only" if settings.model.breaker.act else "mail is kept all the same"
        where = " and ".join(f"{one.direction} mail at {one.gateway}" for one in still)
        raise _Wrong(f"open for {where} ({still[0].told}); {acting}. "
                     "gatepost model rollback, or gatepost model breaker --clear")
    return f"closed; tripped last on {found[0].at:%Y-%m-%d}" if found else "never tripped"


def _drift(settings: Settings) -> str:
    """Mail that is not what it was is no fault of the installation: it is told, and nothing is wrong."""
    if not settings.quarantine.path.exists():
        return "nothing counted yet"
    try:
        with Store.open(settings.quarantine) as store:
            found = lasting(store)
    except StoreError:
        return "not known: database or key cannot be used, as their own lines say"
    told = ", ".join(f"{one.name} of {one.direction} mail at {one.gateway} since {one.at:%Y-%m-%d}" for one in found)
    return f"{told}: look at it with gatepost model drift" if told else "no alarm"


def _key(settings: Settings) -> str:
    path, database = settings.quarantine.key_file, settings.quarantine.path
    if not path.exists() and not database.exists():
        return f"{path}: not there yet; gatepost serve makes it"
    load_key(path)  # its mode is part of what this checks
    mode = f"mode {path.stat().st_mode & 0o777:04o}"
    if not database.exists() or not database.stat().st_size:
        return f"{path}: {mode}; no database yet that it could fit"
    engine = make_engine(settings.quarantine)
    try:
        check_key(engine, database, path)
    finally:
        engine.dispose()
    return f"{path}: {mode}, fits the database"


def _folder(folder: Path) -> str:
    nearest = next(place for place in (folder, *folder.parents) if place.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        raise _Wrong(f"{folder}: cannot be written by this account")
    return f"{folder}: " + ("can be written" if nearest == folder else "not there yet; gatepost serve makes it")

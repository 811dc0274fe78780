"""Settings that are each right and wrong together."""

from collections.abc import Iterator

from milter.endpoint import Endpoint
from milter.settings import ListenerSettings, Settings
from model.verdict import Stage

Contradiction = tuple[str, str, object]
"""Key (dotted), what was expected, what was found."""


def contradictions(settings: Settings) -> Iterator[Contradiction]:
    """Yield what no single key can show; nothing means that the settings can be used."""
    if not settings.listener:
        yield "listener", "at least one [[listener]] table", None
    names: dict[str, int] = {}
    places: dict[Endpoint, int] = {}
    for at, listener in enumerate(settings.listener):
        key = f"listener[{at}]"
        if (first := names.setdefault(listener.name, at)) != at:
            yield f"{key}.name", f"a name of its own (listener[{first}] has the same)", listener.name
        if (first := places.setdefault(listener.listen, at)) != at:
            found = str(listener.listen)
            yield f"{key}.listen", f"an address of its own (listener[{first}] has the same)", found
        yield from _of_listener(settings, key, listener)
    for at, listener in enumerate(settings.listener):
        if listener.next_hop in places:
            taker = settings.listener[places[listener.next_hop]].name
            expected = f'an address that is not our own listener "{taker}" (mail would go in a circle)'
            yield f"listener[{at}].next_hop", expected, str(listener.next_hop)
    if (release := Endpoint.parse(settings.quarantine.release_to)) in places:
        expected = "a port of Postfix that takes released mail unscreened, not our own listener"
        yield "quarantine.release_to", expected, str(release)
    if settings.metrics.listen and Endpoint.parse(settings.metrics.listen) in places:
        yield "metrics.listen", "an address that no listener uses", settings.metrics.listen


def _of_listener(settings: Settings, key: str, listener: ListenerSettings) -> Iterator[Contradiction]:
    if listener.policy != "default" and listener.policy not in settings.policy:
        known = ", ".join(f'"{name}"' for name in sorted({*settings.policy, "default"}))
        yield f"{key}.policy", f"the name of a [policy.NAME] table ({known})", listener.policy
    if listener.stage is Stage.REJECT and listener.mode == "after-queue":
        # RFC 3834 and common sense: the envelope sender of spam is an innocent third party.
        expected = '"observe" or "keep" (after-queue mail is already accepted, and a refusal would bounce it)'
        yield f"{key}.stage", expected, "reject"

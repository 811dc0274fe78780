"""What an operator can set for the gateway: one pydantic class a table, and the whole that workers are handed.

Field names are the file's own keys, so a message about `listener[0].next_hop` can be found in both. Every
table refuses keys that it does not know. `contradictions()` names what no single table can see.
"""

import os
import socket
from collections.abc import Iterator
from datetime import date
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    IPvAnyNetwork,
    PlainSerializer,
    model_validator,
)

from milter.endpoint import Endpoint
from model.mail import Direction
from model.verdict import Stage
from quarantine.settings import StoreSettings

Mode = Literal["before-queue", "after-queue"]
Unscored = Literal["tempfail", "hold", "deliver"]


def _endpoint(value: Any) -> Any:
    if isinstance(value, Endpoint):
        return value
    if not isinstance(value, str):
        raise ValueError('expected a string such as "127.0.0.1:10025"')  # noqa: TRY004 - pydantic wants ValueError
    return Endpoint.parse(value)


def _listening(endpoint: Endpoint) -> Endpoint:
    if not endpoint.literal:
        raise ValueError("expected an IP address, not a name, to listen at")
    return endpoint


def _loopback(value: str) -> str:
    if value and not Endpoint.parse(value).loopback:
        raise ValueError('expected a loopback address such as "127.0.0.1:9925" or "[::1]:9925", or "" for none')
    return value


def _octal(value: str) -> str:
    if not (value.isdigit() and set(value) <= set("01234567") and 3 <= len(value) <= 4):
        raise ValueError('expected permissions in octal such as "0660"')
    return value


def _domain(value: str) -> str:
    name = value.strip().rstrip(".").lower()
    if not name or "@" in name or " " in name or "." not in name:
        raise ValueError('expected a domain such as "example.org"')
    return name


Place = Annotated[Endpoint, BeforeValidator(_endpoint), PlainSerializer(str)]
ListenPlace = Annotated[Endpoint, BeforeValidator(_endpoint), AfterValidator(_listening), PlainSerializer(str)]
DomainName = Annotated[str, AfterValidator(_domain)]
Flag = Annotated[bool, Field(strict=True)]
Probability = Annotated[float, Field(strict=True, gt=0.0, le=1.0)]
Seconds = Annotated[float, Field(strict=True, gt=0.0)]


class Table(BaseModel):
    """A table of the file: frozen, and a key that it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class GatewaySettings(Table):
    """[gateway]: the process and its limits."""

    hostname: str = ""
    workers: int = Field(0, strict=True, ge=0, le=256)
    user: str = ""
    state_dir: Path = Path("/var/lib/gatepost")
    spool_dir: Path = Path("/var/lib/gatepost/spool")
    deadline: float = Field(60.0, strict=True, ge=1.0, le=3600.0)
    drain_seconds: float = Field(30.0, strict=True, ge=0.0, le=3600.0)
    max_message_bytes: int = Field(52_428_800, strict=True, ge=1024)
    max_connections_per_worker: int = Field(25, strict=True, ge=1, le=10_000)
    trusted_upstreams: tuple[IPvAnyNetwork, ...] = (IPv4Network("127.0.0.1/32"), IPv6Network("::1/128"))

    @property
    def name(self) -> str:
        """The host name we greet with and sign as: the configured one or the machine's."""
        return self.hostname or socket.getfqdn()

    @property
    def worker_count(self) -> int:
        """How many workers run: as configured, or one for each core we may use."""
        return self.workers or len(os.sched_getaffinity(0))


class ListenerSettings(Table):
    """[[listener]]: one place where Postfix hands us mail, and where it goes from there."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")
    listen: ListenPlace
    next_hop: Place
    mode: Mode
    direction: Direction
    policy: str = "default"
    stage: Stage = Stage.OBSERVE
    headers: Flag = True
    protocol: Literal["smtp"] = "smtp"
    socket_mode: Annotated[str, AfterValidator(_octal)] = "0660"
    socket_group: str = ""


class RuleSettings(Table):
    """[[policy.NAME.allow]] and [[policy.NAME.block]]: exactly one of address, domain, network."""

    address: str = ""
    domain: str = ""
    network: IPvAnyNetwork | None = None
    expires: date | None = None
    note: str = ""

    @model_validator(mode="after")
    def _one_subject(self) -> Self:
        if sum((bool(self.address), bool(self.domain), self.network is not None)) != 1:
            raise ValueError("expected exactly one of address, domain and network")
        return self


class PolicySettings(Table):
    """[policy.NAME]: from score and findings to a route. A threshold that is not set is the model's own."""

    quarantine_at: Probability | None = None
    hold_at: Probability | None = None
    reject_at: Probability | None = None
    on_unscored: Unscored = "tempfail"
    on_leak: Literal["hold", "deliver"] = "hold"
    exempt_recipients: tuple[str, ...] = ("postmaster@", "abuse@")
    hold_defects: tuple[str, ...] = ()
    allow: tuple[RuleSettings, ...] = ()
    block: tuple[RuleSettings, ...] = ()


class SiteSettings(Table):
    """[site]: what only the operator can know about their own domains."""

    own_domains: tuple[DomainName, ...] = ()
    trusted_authserv_ids: tuple[str, ...] = ()


class ModelSettings(Table):
    """[model]: the folder of the model bundle; empty is the one that ships with Gatepost."""

    path: str = ""


class LogSettings(Table):
    """[log]: one line a message on standard error."""

    format: Literal["json", "text"] = "json"
    addresses: Literal["hashed", "clear"] = "hashed"


class MetricsSettings(Table):
    """[metrics]: where /metrics and /healthz answer; empty is nowhere."""

    listen: Annotated[str, AfterValidator(_loopback)] = "127.0.0.1:9925"


class Settings(Table):
    """The whole file, as workers receive it (`model_dump_json`, `model_validate_json`)."""

    gateway: GatewaySettings = GatewaySettings()
    listener: tuple[ListenerSettings, ...] = ()
    policy: dict[str, PolicySettings] = {}
    site: SiteSettings = SiteSettings()
    model: ModelSettings = ModelSettings()
    quarantine: StoreSettings = StoreSettings()
    log: LogSettings = LogSettings()
    metrics: MetricsSettings = MetricsSettings()

    def policy_of(self, listener: ListenerSettings) -> PolicySettings:
        """Return the listener's policy; `default` need not be written down."""
        return self.policy.get(listener.policy) or PolicySettings()


def contradictions(settings: Settings) -> Iterator[tuple[str, str, object]]:
    """Yield (key, what was expected, what was found) for what single keys cannot show."""
    if not settings.listener:
        yield "listener", "at least one [[listener]] table", None
    names: dict[str, int] = {}
    places: dict[Endpoint, int] = {}
    for at, listener in enumerate(settings.listener):
        key = f"listener[{at}]"
        if (first := names.setdefault(listener.name, at)) != at:
            yield f"{key}.name", f"a name of its own (listener[{first}] has the same)", listener.name
        if (first := places.setdefault(listener.listen, at)) != at:
            yield f"{key}.listen", f"an address of its own (listener[{first}] has the same)", str(listener.listen)
        if listener.policy != "default" and listener.policy not in settings.policy:
            known = ", ".join(f'"{name}"' for name in sorted({*settings.policy, "default"}))
            yield f"{key}.policy", f"the name of a [policy.NAME] table ({known})", listener.policy
        if listener.stage is Stage.REJECT and listener.mode == "after-queue":
            yield (f"{key}.stage", '"observe" or "keep" (after-queue mail is already accepted: a refusal would '
                   "bounce to innocent people)", "reject")
    for at, listener in enumerate(settings.listener):
        if listener.next_hop in places:
            taker = settings.listener[places[listener.next_hop]].name
            yield (f"listener[{at}].next_hop", f'an address that is not our own listener "{taker}" (mail would go in '
                   "a circle)", str(listener.next_hop))
    if settings.metrics.listen and Endpoint.parse(settings.metrics.listen) in places:
        yield "metrics.listen", "an address that no listener uses", settings.metrics.listen

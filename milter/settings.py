"""What an operator can set for the gateway: a pydantic class for each table, and the whole for the workers.

Field names are the file's own keys, so a message about `listener[0].next_hop` can be found in both. Every
table refuses keys that it does not know; `milter.contradictions` names what no single table can see. The
descriptions are the comments of config.example.toml.
"""

import difflib
import os
import socket
from datetime import date, timedelta
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
from milter.watch_settings import BreakerSettings, DriftSettings
from model.defects import CODES
from model.mail import Direction
from model.verdict import Stage
from quarantine.settings import Span, StoreSettings

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


def _defect(code: str) -> str:
    if code not in CODES:
        near = difflib.get_close_matches(code, CODES, n=1)
        raise ValueError(f"expected the code of a defect{f', such as {near[0]!r}' if near else ''}")
    return code


DefectCode = Annotated[str, AfterValidator(_defect)]
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

    hostname: str = Field(
        default="",
        pattern=r"^[A-Za-z0-9.-]{0,255}$",
        description="name we greet with; empty is the machine's own. Nothing is looked up in the DNS",
    )
    workers: int = Field(
        default=0, strict=True, ge=0, le=256, description="worker processes; 0 is one for each core we may use"
    )
    user: str = Field(
        default="",
        description="account to change to once the ports are bound; needs to be started as root. Under systemd leave "
        "it empty and set User= in the unit",
    )
    state_dir: Path = Field(
        default=Path("/var/lib/gatepost"), description="folder for our own keys; made with mode 0700 if missing"
    )
    spool_dir: Path = Field(
        default=Path("/var/lib/gatepost/spool"),
        description="folder for messages above 1 MB while they are screened; made with mode 0700 if missing",
    )
    deadline: float = Field(
        default=60.0,
        strict=True,
        ge=1.0,
        le=3600.0,
        description="seconds from the end of a message to our reply. Postfix's own timeout (smtpd_proxy_timeout or "
        "smtp_data_done_timeout) must be longer",
    )
    client_timeout: Seconds = Field(
        default=60.0,
        le=3600.0,
        description="seconds that we wait for a client's next command. A proxy that passes on commands as the remote "
        "client gives them (without speed_adjust) may need Postfix's smtpd_timeout, 300",
    )
    client_data_timeout: Seconds = Field(
        default=600.0, le=7200.0, description="seconds that a client has for a whole message, from DATA to its end"
    )
    next_hop_timeout: Seconds = Field(
        default=60.0,
        le=3600.0,
        description="seconds that the next hop has for each command and each piece of a message; to connect it has "
        "10 at most",
    )
    next_hop_done_timeout: Seconds = Field(
        default=300.0,
        le=3600.0,
        description="seconds that the next hop has to confirm a message; then the client hears 451, and a second "
        "copy is possible. With the deadline it should stay below smtp_data_done_timeout",
    )
    drain_seconds: float = Field(
        default=30.0,
        strict=True,
        ge=0.0,
        le=3600.0,
        description="seconds that messages in flight are given to finish at a stop or a reload",
    )
    max_message_bytes: int = Field(
        default=52_428_800,
        strict=True,
        ge=1024,
        description="largest message we take; at least Postfix's message_size_limit",
    )
    max_connections_per_worker: int = Field(
        default=25,
        strict=True,
        ge=1,
        le=10_000,
        description="connections that a worker takes at once; further ones wait to be accepted, they are not refused",
    )
    trusted_upstreams: tuple[IPvAnyNetwork, ...] = Field(
        default=(IPv4Network("127.0.0.1/32"), IPv6Network("::1/128")),
        description="addresses or networks that may tell us by XFORWARD who their client is; unix sockets always may",
    )

    @property
    def name(self) -> str:
        """The host name we greet with and sign as: the configured one or the machine's."""
        return self.hostname or socket.gethostname()

    @property
    def worker_count(self) -> int:
        """How many workers run: as configured, or one for each core we may use."""
        return self.workers or len(os.sched_getaffinity(0))


class ListenerSettings(Table):
    """[[listener]]: one place where Postfix hands us mail, and where it goes from there."""

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$", description="required; stands in logs and metrics"
    )
    listen: ListenPlace = Field(description='required; "ADDRESS:PORT", "[IPV6]:PORT" or "unix:/PATH"')
    mode: Mode = Field(description="required; before-queue (smtpd_proxy_filter) or after-queue (content_filter)")
    direction: Direction = Field(description="required; inbound or outbound, seen from your organisation")
    next_hop: Place = Field(
        description='required; Postfix\'s return port: "HOST:PORT", "[IPV6]:PORT" or "unix:/PATH"'
    )
    policy: str = Field(default="default", description="which [policy.NAME] decides")
    stage: Stage = Field(
        default=Stage.OBSERVE,
        description="observe (deliver everything, headers only), keep (quarantine and hold), or reject (before-queue "
        "only: keep, and refuse above reject_at)",
    )
    headers: Flag = Field(
        default=True, description="add X-Gatepost-* headers towards this next hop; inbound only, outbound never does"
    )
    protocol: Literal["smtp"] = Field(default="smtp", description="how mail comes in: smtp")
    socket_mode: Annotated[str, AfterValidator(_octal)] = Field(
        default="0660", description="permissions of a unix socket; Postfix's account must be able to write to it"
    )
    socket_group: str = Field(
        default="", description="group of a unix socket, such as postfix; empty leaves it as it is"
    )


class RuleSettings(Table):
    """[[policy.NAME.allow]] and [[policy.NAME.block]]: exactly one of address, domain, network."""

    address: str = Field(
        default="", description="a sender's address; to allow it counts only with aligned DKIM or DMARC"
    )
    domain: str = Field(
        default="",
        description="a sender's domain with those below it; to allow it counts only with aligned DKIM or DMARC",
    )
    network: IPvAnyNetwork | None = Field(default=None, description="an address or network that mail comes from")
    expires: date | None = Field(default=None, description="last day on which the rule counts; not set is for ever")
    note: str = Field(default="", description="why it is there, for those who come after you")

    @model_validator(mode="after")
    def _one_subject(self) -> Self:
        if sum((bool(self.address), bool(self.domain), self.network is not None)) != 1:
            raise ValueError("expected exactly one of address, domain and network")
        return self


class PolicySettings(Table):
    """[policy.NAME]: from score and findings to a route."""

    quarantine_at: Probability | None = Field(
        default=None,
        description="probability of being bad from which mail is quarantined; not set is the model's own threshold "
        "for inbound mail, and never for outbound",
    )
    hold_at: Probability | None = Field(
        default=None,
        description="probability of being bad from which mail is held for a decision; not set is the model's own, if "
        "it has one, for inbound mail, and never for outbound",
    )
    reject_at: Probability | None = Field(
        default=None,
        description='probability of being bad from which mail is refused where stage = "reject"; not set is never',
    )
    on_unscored: Unscored = Field(
        default="tempfail",
        description="mail that could not be screened in time: tempfail (Postfix tries again), hold, or deliver "
        "marked as unscanned",
    )
    on_leak: Literal["hold", "deliver"] = Field(
        default="hold", description="outbound mail in which a leak was found: hold, or deliver and only record it"
    )
    leak_at: Probability = Field(
        default=0.8, description="how sure a detector must be of a leak before on_leak counts; below it is recorded"
    )
    exempt_recipients: tuple[str, ...] = Field(
        default=("postmaster@", "abuse@"),
        description='recipients whose mail is never kept by score alone: "local@" at any domain, or a whole address',
    )
    hold_defects: tuple[DefectCode, ...] = Field(
        default=(
            "nested-too-deep", "too-many-parts", "header-too-many", "header-too-long", "message-partial",
            "message-external", "extractor-fault",
        ),
        description="defects of a message that hold it: by default those that keep it from being read whole; "
        '"mime-ambiguous", "deceptive-filename" and others can be added (gatepost extract shows them)',
    )  # fmt: skip
    allow: tuple[RuleSettings, ...] = Field(default=(), description="senders whose mail is delivered")
    block: tuple[RuleSettings, ...] = Field(default=(), description="senders whose mail is quarantined")


class SiteSettings(Table):
    """[site]: what only the operator can know about their own domains."""

    own_domains: tuple[DomainName, ...] = Field(default=(), description="domains that your organisation sends from")
    trusted_authserv_ids: tuple[str, ...] = Field(
        default=(),
        description="names in Authentication-Results that your own verifier writes (RFC 8601); without one no sender "
        "counts as authenticated",
    )


class ModelSettings(Table):
    """[model]: the model that scores mail."""

    path: str = Field(
        default="",
        description="folder of a model bundle that serves whatever is promoted; empty is the store's current one",
    )
    store: Path = Field(
        default=Path("/var/lib/gatepost/models"),
        description="folder that gatepost model promote and rollback work in; while nothing is promoted there, the "
        "model that ships with Gatepost serves",
    )
    shadow: str = Field(
        default="",
        description="a candidate that scores live mail as well and decides nothing, beside the mail's way: a version "
        "of the store, or a bundle's folder (with a slash); empty is none. It takes one more process, of lowest "
        "priority, with a worker's memory (gatepost model shadow shows what it says)",
    )
    shadow_keep: Span = Field(
        default=timedelta(days=30), description="how long scores and routes of a candidate are kept"
    )
    shadow_most: int = Field(
        default=100_000, strict=True, ge=100, le=10_000_000,
        description="messages at most of which they are kept; then the oldest are forgotten (about 150 octets each)",
    )  # fmt: skip
    breaker: BreakerSettings = Field(default_factory=BreakerSettings, description="when a new model keeps too much")
    drift: DriftSettings = Field(default_factory=DriftSettings, description="when mail is not what it was")


class LogSettings(Table):
    """[log]: one line a message on standard error."""

    format: Literal["json", "text"] = Field(default="json", description="json or text")
    addresses: Literal["hashed", "clear"] = Field(
        default="hashed",
        description="hashed (keyed: the same address is the same hash, and nobody can guess it back) or clear",
    )


class MetricsSettings(Table):
    """[metrics]: Prometheus metrics and health."""

    listen: Annotated[str, AfterValidator(_loopback)] = Field(
        default="127.0.0.1:9925", description="loopback address of /metrics and /healthz; empty is none"
    )


class Settings(Table):
    """The whole file, as workers receive it (`model_dump_json`, `model_validate_json`)."""

    gateway: GatewaySettings = Field(default_factory=GatewaySettings)
    listener: tuple[ListenerSettings, ...] = ()
    policy: dict[str, PolicySettings] = Field(default_factory=dict)
    site: SiteSettings = Field(default_factory=SiteSettings)
    model: ModelSettings = Field(default_factory=ModelSettings)
    quarantine: StoreSettings = Field(default_factory=StoreSettings)
    log: LogSettings = Field(default_factory=LogSettings)
    metrics: MetricsSettings = Field(default_factory=MetricsSettings)

    def policy_of(self, listener: ListenerSettings) -> PolicySettings:
        """Return the listener's policy; `default` need not be written down."""
        return self.policy.get(listener.policy) or PolicySettings()

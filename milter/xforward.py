"""XFORWARD: what a trusted upstream says of the client it speaks for, and saying it on to the next hop.

Postfix's XFORWARD_README is the specification: attributes are xtext, at most 255 octets, several commands add
up, `[UNAVAILABLE]` stands for unknown, and everything is forgotten after a transaction.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from milter import xtext
from model.mail import Client

ATTRIBUTES = ("NAME", "ADDR", "PORT", "PROTO", "HELO", "IDENT", "SOURCE")
VALUE_LIMIT = 255
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
UNKNOWN = ("[UNAVAILABLE]", "[TEMPUNAVAIL]")


class ForwardError(ValueError):
    """An XFORWARD argument that breaks the specification."""


@dataclass(slots=True)
class Forwarded:
    """The attributes of the current transaction, decoded, by upper-case name."""

    attributes: dict[str, str] = field(default_factory=dict)

    def update(self, argument: str) -> None:
        """Add the attributes of one command. Raises ForwardError and changes nothing if any is wrong."""
        new: dict[str, str] = {}
        for word in argument.split():
            name, equals, value = word.partition("=")
            if not equals or name.upper() not in ATTRIBUTES:
                raise ForwardError(word)
            try:
                text = xtext.decode(value)
            except ValueError as error:
                raise ForwardError(word) from error
            if len(text.encode("utf-8", "surrogateescape")) > VALUE_LIMIT or _CONTROL.search(text):
                raise ForwardError(word)
            new[name.upper()] = text
        if not new:
            raise ForwardError(argument)
        self.attributes.update(new)

    def clear(self) -> None:
        """Forget, as after every transaction."""
        self.attributes.clear()

    def client(self, peer: str, helo: str) -> Client:
        """Return what is known of the client: the upstream's word, or else the connection itself."""
        if not self.attributes:
            return Client(address=peer, helo=helo)
        known = {name: "" if value.upper() in UNKNOWN else value for name, value in self.attributes.items()}
        return Client(
            address=known.get("ADDR", "").removeprefix("IPV6:").removeprefix("IPv6:"),
            name=known.get("NAME", ""), helo=known.get("HELO", ""), protocol=known.get("PROTO", ""),
            source=known.get("SOURCE", ""), port=known.get("PORT", ""), queue_id=known.get("IDENT", ""),
        )


def words(attributes: Mapping[str, str], announced: str) -> tuple[str, ...]:
    """Return `NAME=xtext` words for those attributes that the next hop's XFORWARD line announced."""
    taken = announced.upper().split()
    return tuple(
        f"{name}={value if value in UNKNOWN else xtext.encode(value)}"
        for name in ATTRIBUTES
        if name in taken and (value := attributes.get(name)) is not None
    )

"""The way out for released mail: the quarantine's `Send`, made of our own SMTP client and the private port."""

import asyncio
from collections.abc import Iterable

from milter.endpoint import Endpoint
from milter.next_hop import HopError, Timeouts, UnsendableError, send_message
from milter.replies import Reply
from milter.settings import Settings
from model.mail import Envelope
from quarantine.release import STUCK_AFTER, NotSent, Send

TIMEOUTS = Timeouts(connect=10.0, command=30.0, block=30.0, done=300.0)
WHOLE = STUCK_AFTER.total_seconds() * 0.8
"""Seconds for one release; shorter than what makes an item count as stuck, so that nobody sends beside us."""


def sender(settings: Settings) -> Send:
    """Return a blocking `send` for `release` and `housekeep`; call it outside an event loop's thread."""
    endpoint = Endpoint.parse(settings.quarantine.release_to)
    helo = settings.gateway.name

    def send(envelope: Envelope, chunks: Iterable[bytes]) -> Reply:
        return asyncio.run(_send(endpoint, helo, envelope, chunks))

    return send


async def _send(endpoint: Endpoint, helo: str, envelope: Envelope, chunks: Iterable[bytes]) -> Reply:
    # Postfix rewrites headers of local mail: what came from afar says so again, and stays byte for byte.
    source = "LOCAL" if envelope.client.source.upper() == "LOCAL" else "REMOTE"
    try:
        async with asyncio.timeout(WHOLE):
            return await send_message(
                endpoint, envelope, chunks, helo=helo, attributes={"SOURCE": source}, timeouts=TIMEOUTS
            )
    except HopError as error:
        if error.after_dot:
            raise
        raise NotSent(str(error)) from error
    except UnsendableError as error:
        raise NotSent(f"it has a {error}, and no server may be sent that; save it with `show --raw`") from error

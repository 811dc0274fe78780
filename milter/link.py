"""A session's connection to its next hop: made when needed, used again, and made anew once if it went stale."""

from collections.abc import Mapping, Sequence

from milter.endpoint import Endpoint
from milter.next_hop import HopError, NextHop, Timeouts
from milter.replies import Reply
from model.mail import Recipient

GOODBYE = 421  # what a next hop says before it closes a connection that stood idle


class Link:
    """At most one connection at a time. Raises HopError where the next hop cannot be talked to."""

    def __init__(self, endpoint: Endpoint, helo: str, timeouts: Timeouts) -> None:
        self._endpoint = endpoint
        self._helo = helo
        self._timeouts = timeouts
        self._hop: NextHop | None = None
        self._used = False

    async def up(self) -> NextHop:
        """Return the connection, made now if there is none."""
        if self._hop is None or self._hop.closed:
            self.drop()
            self._hop = await NextHop.connect(self._endpoint, self._helo, self._timeouts)
            self._used = False
        return self._hop

    @property
    def live(self) -> bool:
        """Whether there is a connection that is not known to have ended."""
        return self._hop is not None and not self._hop.closed

    def current(self) -> NextHop:
        """Return the connection that a transaction was begun on. Raises HopError if it has ended."""
        if self._hop is None or self._hop.closed:
            raise HopError("the next hop hung up in the middle of a transaction")
        return self._hop

    async def mail(self, sender: str, params: Sequence[str], attributes: Mapping[str, str]) -> Reply:
        """XFORWARD and MAIL. A connection that stood idle may have been closed below: that is tried again once."""
        stale = self._hop is not None and self._used
        try:
            answer = await self._mail(sender, params, attributes)
            if answer.code != GOODBYE or not stale:
                return answer
        except HopError:
            if not stale:
                raise
        self.drop()
        return await self._mail(sender, params, attributes)

    async def _mail(self, sender: str, params: Sequence[str], attributes: Mapping[str, str]) -> Reply:
        hop = await self.up()
        self._used = True
        await hop.xforward(attributes)  # only tells; a next hop that will not hear it still takes the mail
        return await hop.mail(sender, params)

    async def again(self, sender: str, params: Sequence[str], recipients: Sequence[Recipient],
                    attributes: Mapping[str, str]) -> Reply:
        """Drop the transaction and open it anew for `recipients`; the first refusal is returned and ends it."""
        await self.reset()
        answer = await self._mail(sender, params, attributes)
        for recipient in recipients:
            if not answer.positive:
                break
            answer = await self.current().rcpt(recipient.address, recipient.params)
        return answer

    async def reset(self) -> None:
        """Make the next hop forget the transaction, by RSET or by hanging up."""
        if self._hop is None:
            return
        try:
            answer = await self._hop.rset()
        except HopError:
            self.drop()
            return
        if not answer.positive:
            self.drop()

    async def close(self) -> None:
        """Say QUIT if there is somebody to say it to."""
        if self._hop is not None and not self._hop.closed:
            await self._hop.quit()
        self.drop()

    def drop(self) -> None:
        """Hang up."""
        if self._hop is not None:
            self._hop.abort()
            self._hop = None

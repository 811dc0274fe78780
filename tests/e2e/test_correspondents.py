"""Known correspondents with a real gateway: who was written to is known when he answers, if it is really him."""

import smtplib

from serving import free_port, serving, until

from quarantine.correspondents import signature
from quarantine.item import State
from quarantine.search import Filter, find
from quarantine.settings import StoreSettings
from quarantine.store import Store

LETTER = b"From: Bob <bob@corp.example>\r\nTo: ida@sender.example\r\nSubject: an offer\r\n\r\nShall we meet?\r\n"
ANSWER = b"From: Ida <%s>\r\nTo: bob@corp.example\r\nSubject: your offer\r\n\r\nGladly, at eight.\r\n"
PROOF = b"Authentication-Results: mx.corp.example; dmarc=pass header.from=%s\r\n"


def test_who_was_written_to_is_known_when_he_answers(tmp_path):
    with serving(tmp_path, workers=1) as it:
        outbound = free_port()
        it.quarantine = {"sample": 1.0}
        it.extra = (
            f'[[listener]]\nname = "out"\nlisten = "127.0.0.1:{outbound}"\nmode = "before-queue"\n'
            f'direction = "outbound"\nnext_hop = "{it.sink.address}"\n'
            '[site]\ntrusted_authserv_ids = ["mx.corp.example"]\n'
        )
        it.start()
        state = tmp_path / "state"
        settings = StoreSettings(url=f"sqlite:///{state}/quarantine.db", key_file=state / "quarantine.key")
        with smtplib.SMTP("127.0.0.1", outbound, timeout=30) as client:
            client.sendmail("bob@corp.example", ["ida@sender.example"], LETTER)

        def learnt():
            with Store.open(settings) as store:
                return signature(store)[0]

        until(learnt, "not learnt")

        def samples():
            with Store.open(settings) as store:
                return list(find(store, Filter(states=(State.SAMPLED,))))

        def known(author, proof):
            """What the facts say of an answer, from the copy that is kept of it."""
            before = len(samples())
            it.send((PROOF % author.rpartition(b"@")[2] if proof else b"") + ANSWER % author)
            until(lambda: len(samples()) > before, "no sample")
            return samples()[0].message.facts["known_correspondent"]

        # The gateway's own set follows the table a moment later.
        until(lambda: known(b"ida@sender.example", proof=True), "the answer was not recognised")
        assert known(b"eve@stranger.example", proof=True) is False
        assert known(b"mallory@sender.example", proof=False) is not True
        assert it.stop() == 0

"""Samples with a real gateway: a copy for review of what was delivered, and mail that never waits for one."""

import sqlite3
import time

from serving import MAIL, serving, until

from quarantine.item import State
from quarantine.search import Filter, body, find
from quarantine.settings import StoreSettings
from quarantine.store import Store


def test_delivered_mail_is_sampled_and_a_stuck_store_holds_up_nothing(tmp_path):
    with serving(tmp_path, workers=2) as it:
        it.quarantine = {"sample": 1.0}
        it.start()
        state = tmp_path / "state"
        settings = StoreSettings(url=f"sqlite:///{state}/quarantine.db", key_file=state / "quarantine.key")

        def drawn():
            with Store.open(settings) as store:
                return [(one.item.drawn, one.item.recipient, b"".join(body(store, one.item.message)))
                        for one in find(store, Filter(states=(State.SAMPLED,)))]  # fmt: skip

        it.send()
        [(probability, recipient, octets)] = until(drawn, "no sample")
        assert (probability, recipient, octets) == (1.0, "bob@corp.example", MAIL)

        other = sqlite3.connect(settings.path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        begun = time.monotonic()
        for _ in range(6):
            it.send()
        took = time.monotonic() - begun
        assert it.sink.count == 7
        assert took < 6 * settings.busy_seconds, "mail waited for samples"
        until(lambda: 'gatepost_faults_total{kind="sample-failed"}' in it.get("/metrics")[1], "not counted")
        other.execute("ROLLBACK")
        other.close()

        before = len(drawn())
        it.send()
        until(lambda: len(drawn()) > before, "no sample after the store came back")
        assert it.sink.count == 8
        assert not it.events("session-fault")
        assert it.stop() == 0

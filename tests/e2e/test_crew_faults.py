"""What may go wrong between the supervisor and its workers: no process to be had, words it does not know."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from milter.crew import Crew, Generation
from milter.settings import Settings
from milter.shadow_keeper import pair
from milter.supervisor import Supervisor
from model.shelf import resolve

PATIENCE = 60.0


def settings(folder: Path, workers: int) -> Settings:
    return Settings.model_validate({
        "gateway": {"workers": workers, "state_dir": folder / "state", "spool_dir": folder / "spool",
                    "drain_seconds": 1.0},
        "listener": [{"name": "in", "listen": f"unix:{folder}/in.sock", "mode": "before-queue",
                      "direction": "inbound", "next_hop": f"unix:{folder}/hop.sock"}],
        "quarantine": {"url": f"sqlite:///{folder}/state/q.db", "key_file": folder / "state/q.key"},
        "metrics": {"listen": ""},
    })  # fmt: skip


async def until(holds, what: str) -> None:
    async with asyncio.timeout(PATIENCE):
        while not holds():  # noqa: ASYNC110 - many things, polled alike
            await asyncio.sleep(0.05)
    assert holds(), what


@pytest.mark.parametrize("failures", [1, 2])
def test_a_reload_that_finds_no_room_for_a_process_gets_there_later(tmp_path, monkeypatch, failures):
    """The second new worker cannot be started at once: the new ones serve, and grow to full number."""
    wanted = settings(tmp_path, 2)

    async def go() -> None:
        supervisor = Supervisor(wanted, lambda: wanted)
        running = asyncio.ensure_future(supervisor.run())
        await until(lambda: supervisor._state()["ok"] or running.done(), "not ready")
        start, calls = supervisor._crew.start, []

        async def scarce(generation, *, go):
            calls.append(generation.number)
            if 1 < len(calls) <= 1 + failures:
                raise BlockingIOError(11, "Resource temporarily unavailable")
            return await start(generation, go=go)

        monkeypatch.setattr(supervisor._crew, "start", scarce)
        os.kill(os.getpid(), signal.SIGHUP)
        await until(lambda: supervisor._state()["generation"] == 2, "not reloaded")
        full = {"ok": True, "workers": {"ready": 2, "wanted": 2}}
        await until(lambda: supervisor._state().items() >= full.items(), "not at full strength")
        await until(lambda: len(supervisor._generations) == 1, "the old ones did not go")
        assert supervisor._current is supervisor._generations[0]
        supervisor._asked_to_stop(signal.SIGTERM)
        await running

    asyncio.run(go())


def test_a_worker_that_says_what_nobody_understands_is_ended_and_noticed(tmp_path):
    """After an upgrade a worker may be newer than its supervisor: that must not keep a stop waiting for ever."""
    (tmp_path / "state").mkdir()
    (tmp_path / "spool").mkdir()
    left = []

    def unheard(worker, message):
        raise KeyError("a_new_counter")

    async def go() -> None:
        sending, receiving = pair()
        with sending, receiving:
            crew = Crew(unheard, lambda generation, worker, how: left.append(how), sending)
            made = settings(tmp_path, 1)
            worker = await crew.start(Generation(1, made, {}, str(resolve(made.model))), go=True)
            async with asyncio.timeout(PATIENCE):
                await worker.gone.wait()

    asyncio.run(go())
    assert left == ["talked nonsense"]

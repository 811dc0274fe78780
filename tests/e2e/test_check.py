"""`gatepost check`: one line each, 0 where all is right, 1 where anything is wrong, and nothing changed."""

import json
import subprocess
import tomllib

import pytest
from serving import GATEPOST, Sink, copy_of_model, serving


def check(it, *more):
    done = subprocess.run([*GATEPOST, "check", "--config", str(it.config), *more], capture_output=True, text=True)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout


@pytest.fixture
def gateway(tmp_path):
    """A gateway that is set up and not started, with a next hop and a release port that answer."""
    release = Sink()
    with serving(tmp_path, workers=1) as it:
        write = it.write

        def with_release():
            write()
            table = f'[quarantine]\nrelease_to = "{release.address}"\n'
            it.config.write_text(it.config.read_text().replace("[quarantine]\n", table))

        it.write = with_release
        it.write()
        yield it
    release.close()


def found(output):
    return {line["name"]: line for line in map(json.loads, output.splitlines())}


def test_all_right_before_the_first_start(gateway):
    """What is not there yet, and will be made, is not wrong; and looking makes nothing."""
    code, output = check(gateway)

    assert code == 0, output
    assert all(line.startswith("ok ") for line in output.splitlines())
    assert not (gateway.folder / "state").exists()


def test_all_right_beside_a_running_gateway(gateway):
    gateway.start()

    code, output = check(gateway, "--json")

    assert code == 0, output
    lines = found(output)
    assert set(lines) == {"settings", "model", "lists", "next hop in", "next hop release", "database", "breaker",
                          "drift", "key", "state_dir", "spool_dir"}  # fmt: skip
    assert "fits the database" in lines["key"]["detail"]
    assert gateway.health()["ok"]


def test_everything_wrong_is_told_at_once(gateway):
    """A damaged model, a silent next hop and an open key: three wrong lines, and the others are still looked at."""
    gateway.start()
    gateway.stop()
    bundle = copy_of_model(gateway.folder)
    (bundle / "model.onnx").write_bytes(b"short")
    gateway.model = str(bundle)
    gateway.write()
    (gateway.folder / "state/quarantine.key").chmod(0o644)
    gateway.sink.sink.answer = lambda line: "554 go away" if line == "CONNECT" else None

    code, output = check(gateway, "--json")

    assert code == 1
    wrong = {name: line["detail"] for name, line in found(output).items() if not line["ok"]}
    assert set(wrong) == {"model", "next hop in", "key"}
    assert "model.onnx: SHA-256" in wrong["model"]
    assert "554" in wrong["next hop in"]
    assert "chmod 600" in wrong["key"]


def test_a_damaged_database_is_wrong(gateway):
    (gateway.folder / "state").mkdir()
    (gateway.folder / "state/quarantine.db").write_bytes(b"no database" * 1000)

    code, output = check(gateway, "--json")

    assert code == 1
    assert "damaged" in found(output)["database"]["detail"]


def test_broken_settings_are_exit_code_2(gateway):
    gateway.config.write_text("[gateway]\nworkers = 1\n")

    code, output = check(gateway)

    assert (code, output) == (2, "")


def test_the_example_can_be_had_from_the_command():
    done = subprocess.run([*GATEPOST, "check", "--example"], capture_output=True, text=True)

    assert done.returncode == 0
    assert tomllib.loads(done.stdout)["gateway"]["deadline"] == 60.0

"""`gatepost model breaker` where several gateways share a database: each is shown, and cleared, by itself."""

from datetime import timedelta

import pytest
from click.testing import CliRunner
from kept_mail import START, new_store, store_settings, write_config

from gatepost.cli import main
from model.mail import Direction
from quarantine import tallies, trips
from quarantine.store import Store
from quarantine.trips import Trip

NAMES = ("mx1-aaaaaaaa", "mx2-bbbbbbbb")


@pytest.fixture
def site(tmp_path):
    """Both breakers are open."""
    write_config(tmp_path)
    with new_store(tmp_path) as store:
        for name in NAMES:
            epoch = tallies.begin(store, name, "greedy", "policy", START)
            at = START + timedelta(hours=1)
            trips.record(store, Trip(0, epoch.id, "", at, Direction.INBOUND, "held", 60, 60, 2, 300))
    return tmp_path


def breaker(folder, *words):
    return CliRunner().invoke(main, ["model", "breaker", *words, "--config", str(folder / "config.toml")])


def still_open(folder):
    with Store.open(store_settings(folder)) as store:
        return {one.gateway for one in trips.tripped(store, only_open=True)}


def test_each_is_shown_by_its_name(site):
    done = breaker(site)

    assert done.exit_code == 1
    for name, line in zip(NAMES, done.output.splitlines(), strict=True):
        assert f"  {name}: model greedy held 60 of 60" in line
    assert NAMES[1] not in breaker(site, "--gateway", NAMES[0]).output


def test_to_clear_it_says_which_one_is_meant(site):
    done = breaker(site, "--clear", "--reason", "it is right")
    assert done.exit_code == 2
    assert "say with --gateway NAME where the model is right" in done.output
    assert still_open(site) == set(NAMES)

    assert breaker(site, "--clear", "--reason", "it is right", "--gateway", NAMES[1]).output.startswith("cleared\n")
    assert still_open(site) == {NAMES[0]}
    assert breaker(site, "--clear", "--reason", "it is right").output.startswith("cleared\n"), "only one is left"
    assert still_open(site) == set()
    assert "nothing to clear" in breaker(site, "--clear", "--reason", "once more").output


def test_a_name_that_nobody_has_is_refused(site):
    done = breaker(site, "--gateway", "mx3")

    assert done.exit_code == 2
    assert f"known: {', '.join(NAMES)}" in done.output

"""Copies of delivered mail: beside what was kept, never mixed with it, never released, gone in time."""

import json

import pytest
from alembic import command
from alembic.config import Config
from click.testing import CliRunner
from kept_mail import RAW, Spec, keep, kept, mail, new_store, store_settings, write_config
from sqlalchemy import text

from gatepost.cli import main
from model.labels import Label
from model.verdict import Route
from quarantine import migrate as migrate_module
from quarantine import moves
from quarantine.engine import make_database_file, make_engine, transaction
from quarantine.errors import WrongState
from quarantine.item import Action, State
from quarantine.migrate import migrate
from quarantine.queue import following, waiting
from quarantine.release import release
from quarantine.retention import housekeep
from quarantine.search import Filter, body, find, get
from quarantine.stats import stats
from quarantine.store import Store
from training.store.entry import Origin
from training.store.verdicts import judged

SAMPLED = Filter(states=(State.SAMPLED,))


def draw(store, probability=0.25, raw=RAW):
    one = mail(raw)
    [copy] = kept(one, Spec(route=Route.DELIVER, label=Label.HAM, p_bad=0.02))
    return store.sample(one, copy, drawn=probability, listener="in")


def test_a_sample_is_the_exact_message_with_its_probability(store):
    item = draw(store).items[0]

    found = get(store, item)
    assert (found.item.state, found.item.route, found.item.drawn) == (State.SAMPLED, Route.DELIVER, 0.25)
    assert (found.item.listener, found.item.deadline) == ("in", None)
    assert b"".join(body(store, found.item.message)) == RAW
    assert get(store, keep(store)).item.drawn is None


def test_a_sample_cannot_be_released_and_nothing_is_sent(store):
    item = draw(store).items[0]
    sent = []

    with pytest.raises(WrongState, match="its recipient has it already"):
        release(store, item, lambda *given: sent.append(given), by="mona")
    with pytest.raises(WrongState, match="reject is not possible"):
        moves.reject(store, item, by="mona", reason="bad")

    assert sent == []
    assert get(store, item).item.state is State.SAMPLED


def test_a_sample_is_labelled_and_deleted(store):
    item = draw(store).items[0]

    moves.label(store, item, Label.FRAUD, by="mona")
    assert get(store, item).item.reviewed is Label.FRAUD
    moves.remove(store, item, by="mona")
    assert get(store, item).item.state is State.DELETED


def test_a_day_has_a_limit_that_deleting_does_not_lift(tmp_path, clock):
    with new_store(tmp_path, clock, sample_most=2) as store:
        first = draw(store)
        keep(store)
        clock.forward(hours=1)
        assert draw(store) is not None
        moves.remove(store, first.items[0], by="mona")

        assert draw(store) is None
        clock.forward(hours=23, seconds=1)
        assert draw(store) is not None
        assert draw(store) is None


def test_a_sample_has_a_time_of_its_own(tmp_path, clock):
    with new_store(tmp_path, clock, retention={"sampled": "5d", "quarantined": "9d"}) as store:
        item, other = draw(store).items[0], keep(store)
        clock.forward(days=5, seconds=1)

        report = housekeep(store, clock.now)

        assert (report.expired, report.bodies) == (1, 1)
        assert get(store, item).item.state is State.EXPIRED
        assert not get(store, item).item.body
        assert get(store, other).item.state is State.QUARANTINED


def test_reviewers_see_samples_only_when_they_ask_for_them(store):
    item, other = draw(store).items[0], keep(store)

    assert following(store, Filter(), None).item.id == other
    assert following(store, SAMPLED, None).item.id == item
    assert waiting(store, Filter()) == waiting(store, SAMPLED) == 1


def test_stats_count_them_apart(store):
    item = draw(store).items[0]
    draw(store)
    keep(store)
    moves.label(store, item, Label.HAM, by="mona")

    found = stats(store)

    assert (found.sampled, found.sampled_unreviewed, found.unreviewed) == (2, 1, 1)


def test_a_verdict_on_a_sample_weighs_as_much_as_what_it_stands_for(store):
    for item in (draw(store, 0.002).items[0], keep(store)):
        moves.label(store, item, Label.SPAM, by="mona")

    by_origin = {one.origin: one.weight for one in judged(store)}

    assert by_origin == {Origin.SAMPLED: pytest.approx(500), Origin.KEPT: 1.0}


def test_the_commands_know_samples(tmp_path):
    write_config(tmp_path)
    with new_store(tmp_path) as store:
        item, other = draw(store).items[0], keep(store)

    def run(*args):
        place = {"GATEPOST_CONFIG": str(tmp_path / "config.toml"), "COLUMNS": "120"}
        return CliRunner().invoke(main, ["quarantine", *args], env=place)

    def ids(*args):
        return [json.loads(line)["id"] for line in run("list", "--json", *args).output.splitlines()]

    assert ids() == [other]
    assert ids("--state", "sampled") == [item]
    assert set(ids("--all")) == {item, other}
    assert json.loads(run("show", "--json", item).output)["drawn"] == 0.25
    assert "drawn for review with a probability of 0.25" in " ".join(run("show", item).output.split())
    assert "sampled            1 delivered, 1 without a label" in run("stats").output
    refused = run("release", item)
    assert refused.exit_code == 1
    assert "is a sample of delivered mail" in refused.output
    assert run("label", "spam", item).exit_code == 0
    assert run("delete", "--yes", item).exit_code == 0


def at_revision(settings, revision):
    """Make a database as an earlier version of the schema had it."""
    make_database_file(settings.path)
    engine = make_engine(settings)
    config = Config()
    config.set_main_option("script_location", str(migrate_module._SCRIPTS))
    config.set_main_option("path_separator", "os")
    with transaction(engine, settings.path, write=True) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    engine.dispose()


def test_a_database_of_the_first_version_is_upgraded_with_its_mail(tmp_path, clock):
    settings = store_settings(tmp_path)
    with new_store(tmp_path / "new", clock) as made:
        item = keep(made)
        with made.reading() as connection:
            rows = {
                name: connection.execute(text(f"SELECT * FROM {name}")).mappings().all()  # noqa: S608 - names of ours
                for name in ("vault", "messages", "bodies", "items")
            }
    at_revision(settings, "0001")
    engine = make_engine(settings)
    with transaction(engine, settings.path, write=True) as connection:
        for name, found in rows.items():
            for row in found:
                values = {key: value for key, value in row.items() if key != "drawn"}
                columns = ", ".join(f'"{key}"' for key in values)
                places = ", ".join(f":{key}" for key in values)
                connection.execute(text(f"INSERT INTO {name} ({columns}) VALUES ({places})"), values)  # noqa: S608
    engine.dispose()
    (tmp_path / "new" / "q.key").rename(settings.key_file)

    migrate(settings)

    with Store.open(settings, clock=clock) as store:
        found = get(store, item)
        assert (found.item.state, found.item.drawn) == (State.QUARANTINED, None)
        assert b"".join(body(store, found.item.message)) == RAW
        assert moves.label(store, item, Label.HAM, by="mona").action is Action.LABEL
        assert draw(store) is not None
        assert [one.item.id for one in find(store, Filter(states=(State.QUARANTINED,)))] == [item]

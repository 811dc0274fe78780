"""The schema: the migrations make what the code reads, and it fits PostgreSQL as well."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from kept_mail import new_store
from sqlalchemy import text
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from quarantine import migrate as migrate_module
from quarantine import tallies
from quarantine.schema import HEAD, Moment, metadata


def test_the_migrations_make_the_tables_of_the_code(tmp_path):
    with new_store(tmp_path) as store, store.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = [d for d in compare_metadata(context, metadata) if "comment" not in str(d)]
        connection.rollback()

    assert differences == []


def test_head_is_the_newest_revision():
    config = Config()
    config.set_main_option("script_location", str(migrate_module._SCRIPTS))
    config.set_main_option("path_separator", "os")

    assert ScriptDirectory.from_config(config).get_current_head() == HEAD


def test_a_database_with_epochs_of_no_gateway_is_upgraded_and_adopted(tmp_path):
    with new_store(tmp_path) as store, store.writing() as connection:
        connection.execute(text("ALTER TABLE epochs DROP COLUMN gateway"))
        connection.execute(text("UPDATE alembic_version SET version_num = '0004'"))
        connection.execute(text("INSERT INTO epochs (at, model, settings) VALUES (0, 'one', 'policy')"))

    with new_store(tmp_path) as store:
        tallies.adopt(store, "mx1")

        assert [epoch.model for epoch in tallies.history(store, "mx1")] == ["one"]


@pytest.mark.parametrize("table", metadata.sorted_tables, ids=lambda t: t.name)
def test_every_table_compiles_for_postgresql(table):
    dialect = postgresql.dialect()
    made = str(CreateTable(table).compile(dialect=dialect))

    assert "CREATE TABLE" in made
    assert "BLOB" not in made
    for index in table.indexes:
        assert "CREATE INDEX" in str(CreateIndex(index).compile(dialect=dialect))


def test_times_are_exact_and_in_utc():
    moment = Moment()
    at = datetime(2026, 3, 1, 12, 0, 0, 123457, tzinfo=timezone(timedelta(hours=5)))

    number = moment.process_bind_param(at, None)

    assert number == 1772348400123457
    assert moment.process_result_value(number, None) == at
    assert moment.process_result_value(number, None).tzinfo is UTC
    assert moment.process_bind_param(None, None) is moment.process_result_value(None, None) is None


def test_naive_times_are_refused():
    with pytest.raises(TypeError):
        Moment().process_bind_param(datetime(2026, 3, 1), None)  # noqa: DTZ001 - that is the point

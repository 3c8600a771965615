"""The databases that are measured: made, filled, and brought up to date by the service."""

import os
import shutil
import subprocess
import time
from pathlib import Path

import registry
from machine import WORK, customers
from table import say

POSTGRES = os.environ.get("TEST_POSTGRES_URL", "")
POSTGRES_BIN = Path(os.environ.get("TEST_POSTGRES_BIN", ""))


def psql(url, *arguments):
    return [POSTGRES_BIN / "psql", "-q", "-v", "ON_ERROR_STOP=1", url, *arguments]


def run_psql(url, sql):
    """The lines that SQL answers."""
    run = subprocess.run(psql(url, "-At", "-c", sql), check=True, capture_output=True, text=True)
    return run.stdout.splitlines()


class Sqlite:
    name = "SQLite"

    def create(self, rows):
        self.remove(rows)
        self.rows, self.path = rows, WORK / f"{rows}.db"
        self.url = f"sqlite://{self.path}"
        customers("migrate", url=self.url)
        registry.fill_sqlite(self.path, rows)

    def settle(self):
        """Nothing is left to be done: the write-ahead log was emptied when the migration ended."""

    def remove(self, rows):
        for file in WORK.glob(f"{rows}.db*"):
            file.unlink()

    def copy(self, path):
        shutil.copyfile(self.path, path)

    def wal_megabytes(self):
        return Path(f"{self.path}-wal").stat().st_size / 2**20

    def megabytes(self):
        return self.path.stat().st_size / 2**20


class Postgres:
    name = "PostgreSQL"

    def create(self, rows):
        self.rows, name = rows, f"bench_{rows}"
        run_psql(POSTGRES, f"DROP DATABASE IF EXISTS {name}")
        run_psql(POSTGRES, f"CREATE DATABASE {name}")
        self.url = POSTGRES.rsplit("/", 1)[0] + f"/{name}"
        customers("migrate", url=self.url)
        registry.fill_postgres(psql(self.url), rows)

    def settle(self):
        """Lists read from indexes alone what was vacuumed."""
        run_psql(self.url, "VACUUM ANALYZE")
        run_psql(self.url, "CHECKPOINT")

    def remove(self, rows):
        run_psql(POSTGRES, f"DROP DATABASE IF EXISTS bench_{rows} WITH (FORCE)")

    def megabytes(self):
        return int(run_psql(self.url, "SELECT pg_database_size(current_database())")[0]) / 2**20


def filled(kind, rows, table):
    """A database of so many customers, and what it took to make their keys anew."""
    database = kind()
    say(f"{kind.name}: {rows:,} customers are filled in …")
    database.create(rows)
    say(f"{kind.name}: {rows:,} customers are migrated …")
    started = time.monotonic()
    customers("migrate", url=database.url)
    seconds = time.monotonic() - started
    table.note(f"{kind.name}, {rows:,} customers: keys and index made anew by a migration",
               f"{seconds:,.1f} s, {rows / seconds:,.0f} rows/s, then {database.megabytes():,.0f} MB")
    database.settle()
    return database

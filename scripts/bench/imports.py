"""`customers import` against what the databases' own shells do with the same rows.

An import writes a customer, its keys, what it is searched by, its phone numbers, its history and the
totals. The limit is a shell that is given all of that, ready-made, as CSV: `.import` of sqlite3, COPY of
psql, into tables with the same indexes. Beside that stands the rate of the table `customers` alone."""

import csv
import json
import os
import sqlite3
import statistics
import subprocess
import time

from databases import POSTGRES, psql, run_psql
from machine import BINARY, WORK, customers, in_turns, ratios
from registry import COLUMNS, Registry

TABLES = ["customers", "customer_keys", "customer_phones", "customer_history"]

# The names of the API for the columns that are called otherwise.
NAMES = {
    "customer_account": "customerAccount", "accounts_reference": "accountsReference",
    "registration_number": "registrationNumber", "tax_registration_number": "taxRegistrationNumber",
    "company_type": "type", "main_address_line1": "mainAddressLine1",
    "main_address_postal_code": "mainAddressPostalCode", "main_address_city": "mainAddressCity",
    "main_address_country": "mainAddressCountry", "email_address": "emailAddress",
    "is_reseller": "isReseller", "reseller_level": "resellerLevel", "charge_vat": "chargeVAT",
    "apply_vat_auto_reverse_operators": "applyVATAutoReverseOperators", "on_call_duty": "onCallDuty",
}
MORE = ["phone", "mobilePhone", "comment"]


def write_file(path, rows):
    """The customers of a registry, as an export of another system has them: without ids and times."""
    left_out = {"id", "account_key", "more", "created_at", "updated_at"}
    columns = [column for column in COLUMNS if column not in left_out]
    with open(path, "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow([NAMES.get(column, column) for column in columns] + MORE)
        for customer in Registry(rows).customers():
            row = dict(zip(COLUMNS, customer))
            more = json.loads(row["more"])
            table.writerow([row[column] for column in columns] + [more.get(name) for name in MORE])


def run(command, **options):
    """The seconds that a command takes, and the most memory that it had, in megabytes."""
    started = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, **options)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"{command} failed")
    return time.monotonic() - started, usage.ru_maxrss / 1024


class Limit:
    def __init__(self, file):
        self.file = file

    def import_file(self, file=None):
        """Imports a file, the one of all customers unless another is named, into an empty database."""
        self.fresh()
        return self.import_into(file or self.file)

    def import_into(self, file):
        return run([BINARY, "--database-url", self.url, "import", file], cwd=WORK,
                   stderr=subprocess.DEVNULL)


class Sqlite(Limit):
    name = "sqlite3's .import"

    def __init__(self, file):
        super().__init__(file)
        self.path = WORK / "import.db"
        self.url = f"sqlite://{self.path}"
        self.bare = WORK / "import-bare.db"

    def fresh(self):
        for path in (self.path, self.bare):
            for file in WORK.glob(f"{path.name}*"):
                file.unlink()
        customers("migrate", url=self.url)


    def prepare(self):
        """Writes what an import has written as CSV, and the schema without what sqlite3 lacks: Debian's
        does not know `contentless_delete`."""
        self.import_file()
        connection = sqlite3.connect(self.path)
        names = {table: [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
                 for table in TABLES}
        schema = [sql for (sql,) in connection.execute(
            "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' AND "
            f"tbl_name IN ({', '.join('?' * len(TABLES))}) ORDER BY type = 'index'", TABLES)]
        schema.append("CREATE VIRTUAL TABLE customer_search USING fts5 (searched_text, content = '', "
                      "tokenize = 'trigram case_sensitive 1')")
        staging, filling = [], []
        for table, columns in names.items():
            with open(WORK / f"{table}.csv", "w", newline="", encoding="utf-8") as file:
                csv.writer(file).writerows(connection.execute(f"SELECT * FROM {table} ORDER BY 1"))
            # Text that is empty is what .import makes of NULL.
            nullable = {row[1] for row in connection.execute(f"PRAGMA table_info({table})") if not row[3]}
            values = [f"nullif({name}, '')" if name in nullable else name for name in columns]
            staging.append(f"CREATE TEMP TABLE new_{table} ({', '.join(columns)});")
            staging.append(f".import {WORK / table}.csv new_{table} --schema temp")
            filling.append(f"INSERT INTO {table} SELECT {', '.join(values)} FROM new_{table};")
        filling.append("INSERT INTO customer_search (rowid, searched_text) "
                       "SELECT id, searched_text FROM new_customer_keys;")
        connection.close()
        pragmas = ["PRAGMA journal_mode = WAL;", "PRAGMA synchronous = FULL;", "PRAGMA cache_size = -65536;",
                   "PRAGMA temp_store = MEMORY;", ".mode csv"]
        self.script = "\n".join([*pragmas, *staging, "BEGIN;", *filling, "COMMIT;"])
        # One table alone takes empty text where it is not STRICT; .import writes right into it.
        alone = schema[0].replace("STRICT", "")
        self.alone = "\n".join([*pragmas, f".import {WORK / 'customers.csv'} customers"])
        self.schemas = {self.script: schema, self.alone: [alone]}

    def shell(self, script):
        self.bare.unlink(missing_ok=True)
        for file in WORK.glob(f"{self.bare.name}-*"):
            file.unlink()
        made = sqlite3.connect(self.bare)
        for sql in self.schemas[script]:
            made.execute(sql)
        made.close()
        file = WORK / "script.sql"
        file.write_text(script)
        with open(file) as commands:
            seconds, _ = run(["sqlite3", "-bail", self.bare], stdin=commands)
        made = sqlite3.connect(self.bare)
        (self.count,) = made.execute("SELECT count(*) FROM customers").fetchone()
        made.close()
        return seconds

    def everything(self):
        return self.shell(self.script)

    def table_alone(self):
        return self.shell(self.alone)


class Postgres(Limit):
    name = "COPY"

    def __init__(self, file):
        super().__init__(file)
        self.url = POSTGRES.rsplit("/", 1)[0] + "/bench_import"

    def fresh(self):
        run_psql(POSTGRES, "DROP DATABASE IF EXISTS bench_import WITH (FORCE)")
        run_psql(POSTGRES, "CREATE DATABASE bench_import")
        customers("migrate", url=self.url)
        run_psql(self.url, "CHECKPOINT")


    def prepare(self):
        self.import_file()
        for table in TABLES:
            with open(WORK / f"{table}.csv", "w") as file:
                subprocess.run(psql(self.url, "-c", f"COPY {table} TO STDOUT (FORMAT csv)"), check=True,
                               stdout=file)

    def copy(self, tables):
        self.fresh()
        commands = [f"\\copy {table} FROM '{WORK / table}.csv' (FORMAT csv)" for table in tables]
        arguments = [part for command in commands for part in ("-c", command)]
        seconds, _ = run(psql(self.url, "--single-transaction", *arguments))
        self.count = int(run_psql(self.url, "SELECT count(*) FROM customers")[0])
        return seconds

    def everything(self):
        return self.copy(TABLES)

    def table_alone(self):
        return self.copy(TABLES[:1])


KINDS = {"sqlite": Sqlite, "postgres": Postgres}


def measure_imports(table, name, rows):
    file, small = WORK / "import.csv", WORK / "import-small.csv"
    write_file(file, rows)
    write_file(small, rows // 10)
    limit = KINDS[name](file)
    limit.prepare()
    seconds = in_turns({
        "import": lambda: limit.import_file()[0],
        "everything": limit.everything,
        "alone": limit.table_alone,
    })
    if limit.count != rows:
        raise SystemExit(f"{limit.count} of {rows} customers came in")
    rate = {key: rows / statistics.median(those) for key, those in seconds.items()}
    table.median(f"Import of {rows:,} customers ({rate['import']:,.0f}/s) / {limit.name} of all that is kept "
                 f"of them ({rate['everything']:,.0f}/s)",
                 ratios(seconds["everything"], seconds["import"]), at_least=0.4)
    table.median(f"Import / {limit.name} of the table customers alone ({rate['alone']:,.0f}/s)",
                 ratios(seconds["alone"], seconds["import"]))
    many = limit.import_file()[1]
    again = limit.import_into(file)[0]
    table.line("The same file again, which changes nothing", rows / again, "/s")
    few = limit.import_file(small)[1]
    table.line(f"Resident memory, highest: {rows // 10:,} customers", few, " MB")
    table.line(f"Resident memory, highest: {rows:,} customers", many, " MB")
    limit.fresh()
    for path in (file, small):
        path.unlink()


"""The limits that creates, and reads on PostgreSQL, are held against."""

import re
import subprocess
import time
from pathlib import Path

from databases import POSTGRES_BIN, run_psql
from machine import HERE, SECONDS, TARGET, WORK, Service

RAW = WORK / "raw_sqlite"


class RawSqlite:
    """SQLite, with the statements of a create and nothing around them."""

    def __init__(self, file, source, rows):
        # The library that the service is built with.
        archive = max(TARGET.glob("release/build/libsqlite3-sys-*/out/libsqlite3.a"),
                      key=lambda file: file.stat().st_mtime)
        subprocess.run(["cc", "-O2", "-Wall", "-o", RAW, HERE / "raw_sqlite.c", archive,
                        "-lpthread", "-ldl", "-lm"], check=True)
        self.command = [RAW, file, source, str(rows), str(SECONDS)]

    def rate(self, group):
        """Customers a second, so many in each transaction."""
        run = subprocess.run([*self.command, str(group)], check=True, capture_output=True, text=True)
        return float(run.stdout)


class Statements:
    """What the service sends to PostgreSQL for a read and for some creates. The server tells: it writes
    them into its log."""

    ENTRY = re.compile(r"^[\d-]+ [\d:.]+ \w+ \[\d+\] ", re.MULTILINE)
    PARAMETER = re.compile(r"\$\d+ = (NULL|'(?:[^']|'')*')")

    def __init__(self, database, creates):
        self.log = Path(run_psql(database.url, "SHOW data_directory")[0]).parent / "log"
        setting = f"ALTER DATABASE bench_{database.rows}"
        run_psql(database.url, f"{setting} SET log_statement = 'all'")
        service = Service(database.url, database.rows)
        service.get(f"/api/v1/customers/{database.rows}")
        ids = [service.post(line.split(" ", 1)[1])["id"] for line in creates]
        service.stop()
        run_psql(database.url, f"{setting} RESET log_statement")
        entries = self.ENTRY.split(self.log.read_text())
        executed = [
            (re.sub(r"^LOG: +execute [^:]+: ", "", entry), self.PARAMETER.findall(parameters))
            for entry, parameters in zip(entries, entries[1:]) if entry.startswith("LOG:  execute")]
        reads = [text for text, parameters in executed if parameters == [f"'{database.rows}'"]]
        made = [each for each in executed if each[0].startswith("WITH made AS")]
        self.read = reads[-1].replace("$1", ":id").strip() + ";\n"
        self.creates = [as_script(*each, id_) for each, id_ in zip(made[-len(ids):], ids)]


def as_script(statement, parameters, id_):
    """A create as pgbench makes it again and again, each time with another id."""
    statement = re.sub(r"slot = \$\d+", "slot = :slot", statement)
    account = re.compile(f"cl0*{id_}", re.IGNORECASE)

    def value(match):
        text = parameters[int(match[1]) - 1]
        if text in ("NULL", f"'{id_}'"):
            return "NULL" if text == "NULL" else ":id"
        # pgbench takes what stands behind a colon for a variable.
        parts = [f"E'{part}'" for part in
                 account.split(text[1:-1].replace("\\", "\\\\").replace(":", "\\x3a"))]
        return parts[0] if len(parts) == 1 else f"({parts[0]} || :id || {parts[1]})"

    statement = re.sub(r"\$(\d+)", value, statement)
    return ("\\set n :n + 1\n\\set id :base + :n * 1000 + :client_id\n\\set slot :id % 64\n"
            + " ".join(statement.split("\n\t")).strip() + ";\n")


def pgbench(url, scripts, clients, rows):
    """Transactions a second of scripts, drawn at random, with prepared statements."""
    arguments = []
    for number, script in enumerate(scripts):
        file = WORK / f"pgbench-{number}.sql"
        file.write_text(script)
        arguments += ["-f", file]
    # Ids that were never used before.
    base = 10**14 + int(time.time()) * 10**6
    run = subprocess.run(
        [POSTGRES_BIN / "pgbench", "-n", "-M", "prepared", "-c", str(clients), "-j", "2", "-T",
         str(SECONDS), "-D", "n=0", "-D", f"base={base}", "-D", f"rows={rows}", *arguments, url],
        check=True, capture_output=True, text=True)
    return float(re.search(r"tps = ([\d.]+)", run.stdout)[1])

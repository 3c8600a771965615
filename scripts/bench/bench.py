#!/usr/bin/env python3
"""Measures the service against the limits of this machine, in one run, and prints ratios.

`make bench` builds what is needed and calls this inside scripts/with-postgres. What the figures
mean is told in docs/PERFORMANCE.md. Machines are noisy: each ratio is taken in rounds in which the
limit and the service take turns, and the median is printed with the lowest and the highest.

    BENCH_ROWS=10000,1000000       how many customers there are, in the databases that are measured
    BENCH_ONLY=sqlite,endpoints    only these databases (sqlite, postgres) and parts (start, reads,
                                   writes, endpoints, import)
    BENCH_SECONDS=3                how long each measurement takes
    BENCH_ROUNDS=3                 how many there are of each
"""

import os
import shutil
import statistics
import subprocess
import sys
import time

from databases import Postgres, Sqlite, filled
from endpoints import measure_endpoints
from imports import measure_imports
from machine import BINARY, ROUNDS, SECONDS, WORK, Service
from postgres import postgres_loads
from reads import sqlite_reads
from table import Table, say
from writes import creates, sqlite_writes

ROWS = [int(rows) for rows in os.environ.get("BENCH_ROWS", "10000,100000,1000000").split(",")]
# Of which an import takes a while that is long enough.
MOST_IMPORTED = 200_000
DATABASES = {"sqlite": Sqlite, "postgres": Postgres}
PARTS = ["start", "reads", "writes", "endpoints", "import"]


def chosen():
    """The databases and the parts that are asked for: all of a kind of which none is named."""
    only = [word for word in os.environ.get("BENCH_ONLY", "").split(",") if word]
    if unknown := set(only) - set(DATABASES) - set(PARTS):
        sys.exit(f"BENCH_ONLY knows {', '.join([*DATABASES, *PARTS])}, but not {', '.join(unknown)}")
    return ([name for name in DATABASES if name in only] or list(DATABASES),
            [part for part in PARTS if part in only] or PARTS)


# What starting took is given back after so many seconds.
IDLE = 40


def start(table, services):
    time.sleep(IDLE)
    for rows, service in services.items():
        table.line(f"{rows:,}: resident memory, idle", service.memory()[0], " MB", at_most=25)
    large = services[max(services)]
    times = []
    for _ in range(ROUNDS):
        another = Service(large.url, large.rows)
        times.append(another.milliseconds_to_ready)
        another.stop()
    table.median(f"{large.rows:,}: start to ready", times, " ms", at_most=150)


def measure(table, name, parts):
    kind = DATABASES[name]
    table.heading(kind.name)
    if "import" in parts:
        say(f"{kind.name}: imports …")
        measure_imports(table, name, min(max(ROWS), MOST_IMPORTED))
    if not set(parts) - {"import"}:
        return
    databases = {rows: filled(kind, rows, table) for rows in ROWS}
    large = databases[max(ROWS)]
    raw_file = WORK / "raw.db"
    if name == "sqlite" and "writes" in parts:
        large.copy(raw_file)
    services = {rows: Service(database.url, rows) for rows, database in databases.items()}
    fixed_rate = None
    if "start" in parts:
        start(table, services)
    if name == "sqlite" and {"reads", "writes"} & set(parts):
        say(f"{kind.name}: reads …")
        fixed_rate = sqlite_reads(table, services)
    if "endpoints" in parts:
        say(f"{kind.name}: endpoints …")
        measure_endpoints(table, kind, services, creates(max(ROWS)))
    if name == "sqlite" and "writes" in parts:
        say(f"{kind.name}: writes …")
        sqlite_writes(table, large, services[large.rows], fixed_rate, raw_file)
    if name == "postgres" and {"reads", "writes"} & set(parts):
        say(f"{kind.name}: reads and writes …")
        postgres_loads(table, large, services[large.rows], creates(large.rows))
    for service in services.values():
        service.stop()
    for rows, database in databases.items():
        database.remove(rows)
    raw_file.unlink(missing_ok=True)


def main():
    if missing := [tool for tool in ("wrk", "sqlite3") if not shutil.which(tool)]:
        missing = " ".join(missing)
        sys.exit(f"make bench needs {missing}; on Debian: apt-get install {missing}")
    databases, parts = chosen()
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    started = time.monotonic()
    wrk = subprocess.run(["wrk", "-v"], capture_output=True, text=True).stdout.split("\n")[0]
    table = Table({
        "Load": f"{wrk}",
        "Rounds": f"{ROUNDS} of {SECONDS} s; {os.cpu_count()} cores, shared with the load; "
                  f"load average at the start {os.getloadavg()[0]:.1f}",
        "Size of the binary": f"{BINARY.stat().st_size / 2**20:.1f} MB",
    })
    for name in databases:
        measure(table, name, parts)
    table.note("Load average at the end, minutes taken",
               f"{os.getloadavg()[0]:.1f}, {(time.monotonic() - started) / 60:.0f}")
    file = WORK / "bench.json"
    table.save(file)
    print(f"\nThe same as JSON: {file}")


if __name__ == "__main__":
    main()

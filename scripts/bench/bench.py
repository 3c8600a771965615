#!/usr/bin/env python3
"""Measures the service against the limits of this machine, in one run, and prints ratios.

`make bench` builds what is needed and calls this inside scripts/with-postgres. What the figures
mean is told in docs/PERFORMANCE.md. Machines are noisy: each ratio is taken in rounds in which the
limit and the service take turns, and the median is printed.

    BENCH_ROWS=10000,1000000   how many customers there are, in the databases that are measured
    BENCH_SECONDS=5            how long each measurement takes
    BENCH_ROUNDS=3             how many there are of each
"""

import http.client
import json
import os
import re
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
WORK = TARGET / "bench"
BINARY = TARGET / "release" / "customers"
FIXED = TARGET / "release" / "examples" / "fixed_bytes"
RAW = WORK / "raw_sqlite"
ROWS = [int(rows) for rows in os.environ.get("BENCH_ROWS", "10000,100000,1000000").split(",")]
SECONDS = int(os.environ.get("BENCH_SECONDS", "5"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
POSTGRES = os.environ["TEST_POSTGRES_URL"]
POSTGRES_BIN = Path(os.environ["TEST_POSTGRES_BIN"])

TIME = 1_785_840_147_000_000
FILL = {
    "sqlite": """
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
        INSERT INTO customers (id, brand_id, customer_account, account_key, name,
            registration_number, main_address_line1, main_address_city, active, is_reseller,
            reseller_level, charge_vat, apply_vat_auto_reverse_operators, on_call_duty, vip,
            created_at, updated_at)
        SELECT i, 1, printf('CL%06d', i), printf('cl%06d', i), 'Société ' || i, '832104175',
            '12 rue de la Paix', 'Paris', 1, 0, 0, 1, 0, 0, 0, {time} + i, {time} + i FROM n""",
    "postgres": """
        INSERT INTO customers (id, brand_id, customer_account, account_key, name,
            registration_number, main_address_line1, main_address_city, active, is_reseller,
            reseller_level, charge_vat, apply_vat_auto_reverse_operators, on_call_duty, vip,
            created_at, updated_at)
        SELECT nextval('customers_id'), 1, 'CL' || lpad(i::text, greatest(6, length(i::text)), '0'),
            'cl' || lpad(i::text, greatest(6, length(i::text)), '0'), 'Société ' || i, '832104175',
            '12 rue de la Paix', 'Paris', true, false, 0, true, false, false, false,
            {time} + i, {time} + i FROM generate_series(1, {rows}) AS i""",
}

results = {"rounds": ROUNDS, "seconds": SECONDS, "lines": []}


def say(text):
    print(text, file=sys.stderr, flush=True)


def report(what, value, target, unit="", higher_is_better=True):
    """A line of the table, and of the JSON file."""
    met = value >= target if higher_is_better else value <= target
    sign = "≥" if higher_is_better else "≤"
    shown = f"{value:.2f}" if value < 100 else f"{value:,.0f}"
    line = f"{what:<74} {shown:>9}{unit:<4} {sign} {target:g}{unit} {'' if met else '  MISSED'}"
    print(line, flush=True)
    results["lines"].append({"what": what, "value": value, "unit": unit, "target": target, "met": met})


def note(what, text):
    print(f"{what:<74} {text}", flush=True)
    results["lines"].append({"what": what, "text": text})


class Server:
    """The service, or the bare framework, as a process of its own."""

    def __init__(self, arguments, port, **environment):
        self.port = port
        self.log = open(WORK / f"log-{port}", "w")
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            [str(argument) for argument in arguments],
            env={"PATH": os.environ["PATH"], **environment},
            cwd=WORK, stdout=subprocess.DEVNULL, stderr=self.log,
        )

    def wait(self, path):
        while True:
            if self.process.poll() is not None:
                sys.exit(f"{self.process.args[0]} did not start; see {self.log.name}")
            try:
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
                connection.request("GET", path)
                if connection.getresponse().status == 200:
                    return (time.monotonic() - self.started) * 1000
            except OSError:
                pass
            time.sleep(0.001)

    def memory(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024

    def get(self, path, token):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        connection.request("GET", path, headers={"authorization": f"Bearer {token}"})
        return connection.getresponse().read()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()
        self.log.close()


def wrk(port, kind, connections, rows=1, token="", pause=None, seconds=SECONDS):
    """Requests a second, p50 and p99 in milliseconds."""
    threads = min(2, connections)
    command = ["wrk", f"-t{threads}", f"-c{connections}", f"-d{seconds}", "--timeout", "10s",
               "-s", str(HERE / "load.lua"), f"http://127.0.0.1:{port}/", "--", kind, str(rows)]
    command += [str(pause)] if pause else []
    run = subprocess.run(command, env={**os.environ, "BENCH_TOKEN": token},
                         capture_output=True, text=True)
    figures = re.search(r"BENCH (\d+) (\d+) (\d+) (\d+) (\d+)", run.stdout)
    if not figures:
        sys.exit(f"{' '.join(command)}\n{run.stdout}{run.stderr}")
    requests, micros, failed, p50, p99 = (int(figure) for figure in figures.groups())
    if failed:
        sys.exit(f"{failed} of {requests} requests failed: {' '.join(command)}")
    return requests / micros * 1e6, p50 / 1000, p99 / 1000


def median(round_):
    return statistics.median(round_() for _ in range(ROUNDS))


def turns(one, other):
    """The median of how many times faster `one` is than `other`, which take turns."""
    return median(lambda: (lambda limit: one() / limit)(other()))


def customers(*arguments, url):
    return subprocess.run([BINARY, "--database-url", url, *arguments], check=True, cwd=WORK,
                          capture_output=True, text=True).stdout


def database(kind, rows):
    """A migrated database with so many customers."""
    if kind == "sqlite":
        path = WORK / f"{rows}.db"
        for file in WORK.glob(f"{rows}.db*"):
            file.unlink()
        url = f"sqlite://{path}"
        customers("migrate", url=url)
        connection = sqlite3.connect(path)
        connection.execute(FILL[kind].format(rows=rows, time=TIME))
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
    else:
        name = f"bench_{rows}"
        psql(POSTGRES, f"DROP DATABASE IF EXISTS {name}")
        psql(POSTGRES, f"CREATE DATABASE {name}")
        url = POSTGRES.rsplit("/", 1)[0] + f"/{name}"
        customers("migrate", url=url)
        psql(url, FILL[kind].format(rows=rows, time=TIME))
        psql(url, "VACUUM ANALYZE customers")
    return url


def psql(url, sql):
    subprocess.run([POSTGRES_BIN / "psql", "-q", "-v", "ON_ERROR_STOP=1", url, "-c", sql], check=True)


def pgbench(url, script, clients):
    """Transactions a second of a script with prepared statements."""
    file = WORK / "pgbench.sql"
    file.write_text(script)
    run = subprocess.run(
        [POSTGRES_BIN / "pgbench", "-n", "-M", "prepared", "-c", str(clients), "-j", "2",
         "-T", str(SECONDS), "-f", file, url], check=True, capture_output=True, text=True)
    return float(re.search(r"tps = ([\d.]+)", run.stdout)[1])


def serve(url, port=18080):
    token = customers("token", "create", "--name", f"bench-{time.time_ns()}", url=url).split()[-1]
    server = Server([BINARY, "serve", "--bind", f"127.0.0.1:{port}"], port, DATABASE_URL=url)
    return server, server.wait("/health/ready"), token


def bench_sqlite():
    rates = {}
    for rows in ROWS:
        say(f"SQLite, {rows:,} customers …")
        url = database("sqlite", rows)
        server, ready, token = serve(url)
        report(f"SQLite, {rows:,} customers: start to ready", ready, 150, " ms", False)
        report(f"SQLite, {rows:,} customers: resident memory, idle", server.memory(), 25, " MB", False)
        size = len(server.get("/api/v1/customers/1", token))
        fixed = Server([FIXED, "127.0.0.1:18081", size], 18081)
        fixed.wait("/")
        limit = lambda: wrk(18081, "fixed", 32)[0]
        for kind in ["id", "account"]:
            one = lambda: wrk(18080, kind, 32, rows, token)[0]
            rates[kind, rows] = median(one)
            report(f"SQLite, {rows:,} customers: GET by {kind}, 32 connections / fixed bytes",
                   turns(one, limit), 0.65)
            note("", f"{rates[kind, rows]:,.0f}/s")
        report(f"SQLite, {rows:,} customers: resident memory, reading", server.memory(), 80, " MB", False)
        rate, p50, p99 = wrk(18080, "id", 32, rows, token, pause=1)
        note(f"SQLite, {rows:,} customers: GET by id at {rate:,.0f}/s", f"p50 {p50:.2f} ms, p99 {p99:.2f} ms")
        fixed.stop()
        if rows == max(ROWS):
            bench_sqlite_writes(server, url, rows, token)
        server.stop()
    small, large = min(ROWS), max(ROWS)
    for kind in ["id", "account"]:
        report(f"SQLite: GET by {kind}, {small:,} customers / {large:,}",
               rates[kind, small] / rates[kind, large], 1.3, "×", False)


def bench_sqlite_writes(server, url, rows, token):
    say("SQLite, creates …")
    many = lambda: wrk(18080, "create", 64, rows, token)[0]
    rate = median(many)
    report("SQLite: creates, 64 connections / 1 connection",
           turns(many, lambda: wrk(18080, "create", 1, rows, token)[0]), 8, "×")
    note("", f"{rate:,.0f}/s")
    raw_url = database("sqlite", 10_001)
    raw = lambda: float(subprocess.run([RAW, raw_url.removeprefix("sqlite://"), str(SECONDS)],
                                       check=True, capture_output=True, text=True).stdout)
    report("SQLite: creates, 64 connections / raw SQLite in groups of 64", turns(many, raw), 0.5)
    report("SQLite: resident memory, writing", server.memory(), 80, " MB", False)
    writing = subprocess.Popen(
        ["wrk", "-t1", "-c64", f"-d{SECONDS + 2}", "-s", str(HERE / "load.lua"),
         "http://127.0.0.1:18080/", "--", "create", str(rows)],
        env={**os.environ, "BENCH_TOKEN": token}, stdout=subprocess.DEVNULL)
    time.sleep(1)
    rate, p50, p99 = wrk(18080, "id", 8, rows, token, pause=1)
    writing.wait()
    report(f"SQLite: p99 of reads ({rate:,.0f}/s) while 64 connections write", p99, 10, " ms", False)
    wal = Path(url.removeprefix("sqlite://") + "-wal")
    note("SQLite: size of the WAL after all that", f"{wal.stat().st_size / 2**20:.1f} MB")


def bench_postgres():
    for rows in ROWS:
        say(f"PostgreSQL, {rows:,} customers …")
        url = database("postgres", rows)
        server, ready, token = serve(url)
        report(f"PostgreSQL, {rows:,} customers: start to ready", ready, 150, " ms", False)
        read = f"\\set id random(1, {rows})\nSELECT * FROM customers WHERE id = :id AND deleted_at IS NULL;\n"
        one = lambda: wrk(18080, "id", 32, rows, token)[0]
        rate = median(one)
        report(f"PostgreSQL, {rows:,} customers: GET by id, 32 connections / pgbench",
               turns(one, lambda: pgbench(url, read, 32)), 0.5)
        note("", f"{rate:,.0f}/s")
        if rows == max(ROWS):
            write = FILL["postgres"].split("SELECT")[0] + f"""
                SELECT i, 1, 'X' || i, 'x' || i, 'Société ' || i, '832104175', '12 rue de la Paix',
                'Paris', true, false, 0, true, false, false, false, {TIME}, {TIME}
                FROM (SELECT nextval('customers_id') AS i) AS drawn ON CONFLICT (account_key) DO NOTHING;
                """.replace("\n", " ")
            many = lambda: wrk(18080, "create", 32, rows, token)[0]
            rate = median(many)
            report("PostgreSQL: creates, 32 connections / pgbench",
                   turns(many, lambda: pgbench(url, " ".join(write.split()) + "\n", 32)), 0.6)
            note("", f"{rate:,.0f}/s")
            report("PostgreSQL: resident memory, after reading and writing", server.memory(), 80, " MB", False)
        server.stop()


def main():
    if not shutil.which("wrk"):
        sys.exit("make bench needs wrk; on Debian: apt-get install wrk")
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    archive = max(TARGET.glob("release/build/libsqlite3-sys-*/out/libsqlite3.a"),
                  key=lambda file: file.stat().st_mtime)
    subprocess.run(["cc", "-O2", "-o", RAW, HERE / "raw_sqlite.c", archive, "-lpthread", "-ldl", "-lm"],
                   check=True)
    version = subprocess.run(["wrk", "-v"], capture_output=True, text=True).stdout.split("\n")[0]
    note("Load", f"{version}; {ROUNDS} rounds of {SECONDS} s; {os.cpu_count()} cores, shared with the load")
    results["load"] = version
    note("Size of the binary", f"{BINARY.stat().st_size / 2**20:.1f} MB")
    bench_sqlite()
    bench_postgres()
    file = WORK / "bench.json"
    file.write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n")
    print(f"\nThe same as JSON: {file}")
    for database_file in WORK.glob("*.db*"):
        database_file.unlink()


if __name__ == "__main__":
    main()

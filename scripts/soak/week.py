#!/usr/bin/env python3
"""Simulates a week of a registry in a few minutes, and reports what its clients noticed.

Steady traffic creates, changes, reads, lists and searches customers all the while. Every day brings what
happens beside it: expired answers to idempotency keys by the hundred thousand, imports, exports, backups
or pg_dump, erasures, restarts and a crash. Reported are the longest answer, and the longest time without
a good answer, of each kind of request; errors; memory; the write-ahead log. At the end `customers check`
looks for drift. The exit code is 1 where there is any, or where a request failed, except while its server
was restarted.

    make soak-week WEEK="--customers 1000000 --day 60"

Run it inside scripts/with-postgres. It ends by itself: after --at-most seconds a database at the latest.
The program is the one of BENCH_BINARY, else the release build.
"""

import argparse
import http.client
import json
import os
import random
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter, defaultdict
from contextlib import contextmanager, nullcontext
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bench"))

from databases import POSTGRES_BIN, Postgres, Sqlite, run_psql  # noqa: E402
from imports import write_file  # noqa: E402
from machine import BINARY, WORK, customers  # noqa: E402
from registry import SURNAMES  # noqa: E402

# A request is given up after so many seconds: longer than the service waits for anything.
PATIENCE = 60
# Erased on each of the days that erase.
ERASED = 20
# Expired answers are planted so many at a time.
PLANTED = 5_000
WRITES = ("create", "update")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


class Server:
    """One process of the service, which may be restarted."""

    def __init__(self, name, url):
        self.name, self.url = name, url
        self.port, self.metrics_port = free_port(), free_port()
        self.log = open(WORK / f"week-{name}.log", "w")
        self.process, self.peak = None, 0.0
        # Set while requests are to be answered.
        self.is_up = threading.Event()

    def start(self):
        self.process = subprocess.Popen(
            [BINARY, "serve", "--bind", f"127.0.0.1:{self.port}",
             "--metrics-bind", f"127.0.0.1:{self.metrics_port}"],
            # Expired answers are removed at once, not after an hour of a steady clock.
            env={"PATH": os.environ["PATH"], "DATABASE_URL": self.url, "CLOCK_STEADY": "1s"}, cwd=WORK,
            stdout=subprocess.DEVNULL, stderr=self.log)
        deadline = time.monotonic() + PATIENCE * 5
        while not self.is_ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"the service did not start; see {self.log.name}")
            time.sleep(0.05)
        self.is_up.set()

    def is_ready(self):
        try:
            return self.ask(self.port, "/health/ready").status == 200
        except OSError:
            return False

    @staticmethod
    def ask(port, path):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("GET", path)
        return connection.getresponse()

    def stop(self, how=signal.SIGTERM):
        self.is_up.clear()
        self.look()
        self.process.send_signal(how)
        self.process.wait(PATIENCE)

    def look(self):
        """Notes the most memory that the process has had."""
        try:
            status = Path(f"/proc/{self.process.pid}/status").read_text()
        except OSError:
            return
        for line in status.splitlines():
            if line.startswith("VmHWM"):
                self.peak = max(self.peak, int(line.split()[1]) / 1024)

    def metrics(self):
        page = self.ask(self.metrics_port, "/metrics").read().decode()
        return {name: float(value) for name, value in
                (line.rsplit(" ", 1) for line in page.splitlines() if not line.startswith("#"))}


class Notes:
    """What clients noticed."""

    def __init__(self):
        self.lock = threading.Lock()
        self.started = time.monotonic()
        self.took = defaultdict(list)
        self.errors = Counter()
        self.restarts = Counter()
        # Of each kind: the longest answer and gap, and what happened meanwhile.
        self.longest = defaultdict(lambda: (0.0, ""))
        self.gap = defaultdict(lambda: (0.0, ""))
        self.last = {}
        # The ids of customers that were answered to be created.
        self.created = set()
        self.happening = Counter()
        # What fails on its own account, in words.
        self.failures = []

    @contextmanager
    def during(self, what):
        print(f"  {time.monotonic() - self.started:6.0f} s  {what}", flush=True)
        with self.lock:
            self.happening[what] += 1
        try:
            yield
        finally:
            with self.lock:
                self.happening[what] -= 1

    def now(self):
        return ", ".join(what for what, count in self.happening.items() if count) or "nothing else"

    def good(self, kind, seconds):
        now = time.monotonic()
        with self.lock:
            self.took[kind].append(seconds)
            if seconds > self.longest[kind][0]:
                self.longest[kind] = (seconds, self.now())
            gap = now - self.last.get(kind, now)
            if gap > self.gap[kind][0]:
                self.gap[kind] = (gap, self.now())
            self.last[kind] = now

    def bad(self, kind, what, is_restart):
        with self.lock:
            (self.restarts if is_restart else self.errors)[f"{kind}: {what}"] += 1


class Client(threading.Thread):
    """Makes requests of one kind, so many a second at most, at whichever server is up."""

    def __init__(self, kind, rate, week):
        super().__init__(daemon=True)
        self.kind, self.pause, self.week = kind, 1 / rate, week
        self.random = random.Random(f"{kind}-{rate}")
        self.server = self.connection = None

    def run(self):
        next_ = time.monotonic()
        while not self.week.is_over.is_set():
            next_ = max(next_ + self.pause, time.monotonic())
            self.request()
            time.sleep(max(0.0, next_ - time.monotonic()))

    def connect(self):
        up = [server for server in self.week.servers if server.is_up.is_set()]
        if not up:
            time.sleep(0.01)
            return False
        self.server = self.random.choice(up)
        self.connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=PATIENCE)
        return True

    def request(self):
        if self.connection is None and not self.connect():
            return
        server, notes = self.server, self.week.notes
        method, path, body, statuses = self.what()
        headers = {"authorization": f"Bearer {self.week.token}", "content-type": "application/json"}
        if self.kind == "create":
            headers["idempotency-key"] = str(uuid.uuid4())
        started = time.monotonic()
        try:
            self.connection.request(method, path, body and json.dumps(body), headers)
            answer = self.connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self.connection = None
            # A restart is under way, or was when the request was made.
            is_restart = not server.is_up.wait(0.2) or self.week.restarted_since(started)
            notes.bad(self.kind, type(error).__name__, is_restart)
            return
        if answer.status in statuses:
            notes.good(self.kind, time.monotonic() - started)
            if self.kind == "create":
                notes.created.add(json.loads(content)["id"])
        else:
            notes.bad(self.kind, answer.status, self.week.restarted_since(started))
        if answer.getheader("connection") == "close" or not server.is_up.is_set():
            self.connection.close()
            self.connection = None

    def what(self):
        some = self.random.randint(1, self.week.rows)
        match self.kind:
            case "create":
                name = f"{self.random.choice(SURNAMES)} {some}"
                body = {"name": name, "phone": f"01{some:08}", "mainAddressCity": "Orléans"}
                return "POST", "/api/v1/customers", body, (201,)
            case "update":
                # An erased customer may be deleted, too.
                body = {"comment": f"Rappel {time.time_ns()}", "phone": f"02{some:08}"}
                return "PATCH", f"/api/v1/customers/{some}", body, (200, 404)
            case "read":
                return "GET", f"/api/v1/customers/{some}", None, (200, 404)
            case "list":
                sort = self.random.choice(["name", "-updated_at", "id", "customerAccount"])
                return "GET", f"/api/v1/customers?sort={sort}&per_page=20", None, (200,)
            case "search":
                term = self.random.choice(["Quetzalc", "01000001", "rleans", "Dupont"])
                return "GET", f"/api/v1/customers/search?term={term}", None, (200,)


class Week:
    """Seven days on one database."""

    def __init__(self, kind, options):
        self.options, self.rows = options, options.customers
        self.database = kind()
        self.is_sqlite = kind is Sqlite
        self.is_over = threading.Event()
        self.restarted = []
        self.wal = 0.0

    def restarted_since(self, moment):
        return any(end is None or end + 1 > moment for _, end in self.restarted)

    def run(self):
        database = self.database
        print(f"{database.name}: {self.rows:,} customers are filled in", flush=True)
        database.create(self.rows)
        customers("migrate", url=database.url)
        self.file = WORK / "week.csv"
        write_file(self.file, max(1_000, self.rows // 20))
        self.token = customers("token", "create", "--name", "week", url=database.url).split()[-1]
        self.servers = [Server(f"{database.name}-{number}", database.url)
                        for number in range(1 if self.is_sqlite else 2)]
        watchdog = threading.Timer(self.options.at_most, self.give_up)
        watchdog.daemon = True
        watchdog.start()
        for server in self.servers:
            server.start()
        self.notes = Notes()
        if not self.is_sqlite:
            self.wal_start = run_psql(database.url, "SELECT pg_current_wal_lsn()")[0]
        rates = {"create": 20, "update": 20, "read": 40, "list": 10, "search": 5}
        clients = [Client(kind, rate, self) for kind, rate in rates.items() for _ in range(2)]
        for client in clients:
            client.start()
        watcher = threading.Thread(target=self.watch, daemon=True)
        watcher.start()
        days = [self.monday, self.tuesday, self.wednesday, self.thursday, self.friday, self.saturday,
                self.sunday]
        for day in days:
            begun = time.monotonic()
            day()
            time.sleep(max(0.0, begun + self.options.day - time.monotonic()))
        self.is_over.set()
        for client in clients:
            client.join(PATIENCE)
        well = self.report()
        for server in self.servers:
            server.stop()
        watchdog.cancel()
        database.remove(self.rows)
        return well

    def give_up(self):
        print(f"the week took longer than {self.options.at_most} s; it ends here", flush=True)
        for server in self.servers:
            if server.process:
                server.process.kill()
        os._exit(2)

    def watch(self):
        while not self.is_over.wait(1):
            for server in self.servers:
                server.look()
            try:
                self.wal = max(self.wal, self.wal_megabytes())
            except (OSError, subprocess.CalledProcessError):
                pass

    def wal_megabytes(self):
        if self.is_sqlite:
            return self.database.wal_megabytes()
        return int(run_psql(self.database.url, "SELECT sum(size) FROM pg_ls_waldir()")[0]) / 2**20

    # What happens on each day.

    def monday(self):
        self.expire(self.options.expired // 2)

    def tuesday(self):
        self.bring_in()

    def wednesday(self):
        self.export()
        self.copy()

    def thursday(self):
        self.together(self.erase, self.copy)

    def friday(self):
        self.restart(signal.SIGTERM)
        self.restart(signal.SIGKILL)

    def saturday(self):
        self.together(lambda: self.expire(self.options.expired // 2), self.export)

    def sunday(self):
        self.together(self.bring_in, self.copy, self.erase, lambda: self.restart(signal.SIGTERM))

    @staticmethod
    def together(*those):
        threads = [threading.Thread(target=one, daemon=True) for one in those]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def expire(self, count):
        """Answers to idempotency keys that a weekend has left; the service sweeps them every minute."""
        with self.notes.during(f"{count:,} expired answers"):
            if self.is_sqlite:
                connection = sqlite3.connect(self.database.path, timeout=30, isolation_level=None)
                for start in range(0, count, PLANTED):
                    connection.execute(
                        """WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
                           INSERT INTO idempotency_keys (key, fingerprint, answer, customer_id, expires_at)
                           SELECT randomblob(32), randomblob(32), randomblob(300), 1, 1 FROM n""",
                        (min(PLANTED, count - start),))
                    time.sleep(0.05)
                connection.close()
            else:
                for start in range(0, count, PLANTED):
                    run_psql(self.database.url, f"""
                        INSERT INTO idempotency_keys (key, fingerprint, answer, customer_id, expires_at)
                        SELECT sha256(gen_random_uuid()::text::bytea), 'x', repeat('x', 300)::bytea, 1, 1
                        FROM generate_series(1, {min(PLANTED, count - start)})""")

    def command(self, what, arguments, codes=(0,)):
        with self.notes.during(what) if what else nullcontext():
            done = subprocess.run(
                arguments, cwd=WORK, capture_output=True, text=True, timeout=self.options.at_most,
                env={"PATH": os.environ["PATH"], "DATABASE_URL": self.database.url})
        if done.returncode not in codes:
            self.notes.failures.append(f"{what or arguments[1]}: {done.returncode}: {done.stderr.strip()[-300:]}")

    def bring_in(self):
        # Its rows were changed by clients meanwhile: they are changed back.
        self.command("import", [BINARY, "import", self.file, "--on-conflict", "update"])

    def export(self):
        self.command("export", [BINARY, "export", "--format", "ndjson", WORK / "week.ndjson"])

    def copy(self):
        copy = WORK / "week.copy"
        copy.unlink(missing_ok=True)
        if self.is_sqlite:
            self.command("backup", [BINARY, "backup", copy])
        else:
            self.command("pg_dump", [POSTGRES_BIN / "pg_dump", "-Fc", "-f", copy, self.database.url])
        copy.unlink(missing_ok=True)

    def erase(self):
        with self.notes.during(f"{ERASED} erasures"):
            for id_ in random.sample(range(1, self.rows + 1), ERASED):
                self.command("", [BINARY, "erase", str(id_), "--yes"])

    def restart(self, how):
        """One server after the other."""
        for server in self.servers:
            with self.notes.during(f"restart by {how.name}"):
                self.restarted.append((time.monotonic(), None))
                server.stop(how)
                server.start()
                self.restarted[-1] = (self.restarted[-1][0], time.monotonic())

    def report(self):
        notes = self.notes
        print(f"\n{self.database.name}: {self.rows:,} customers, {self.options.day} s a day")
        for kind in sorted(notes.took):
            took = sorted(notes.took[kind])
            p99 = took[int(len(took) * 0.99)] * 1000
            (longest, during), (gap, at) = notes.longest[kind], notes.gap[kind]
            print(f"  {kind:6} {len(took):7,} answers, p50 {statistics.median(took) * 1000:6.1f} ms, "
                  f"p99 {p99:7.1f} ms; longest {longest:5.2f} s ({during}); "
                  f"longest without one {gap:5.2f} s ({at})")
        for what, kinds in (("write", WRITES), ("read", set(notes.took) - set(WRITES))):
            longest = max(notes.longest[kind] for kind in kinds)
            print(f"  longest pause of a {what}: {longest[0]:.2f} s ({longest[1]})")
        peaks = ", ".join(f"{server.peak:.0f} MB" for server in self.servers)
        print(f"  memory at most: {peaks}; write-ahead log at most: {self.wal:.0f} MB")
        mended = sum(value for server in self.servers for name, value in server.metrics().items()
                     if name.startswith("customers_mended_total"))
        left = self.count("idempotency_keys WHERE expires_at = 1")
        print(f"  mended by writes: {mended:.0f}; expired answers left: {left:,}")
        for what, counted in (("failed", notes.errors), ("failed by a restart", notes.restarts)):
            for name, count in sorted(counted.items()):
                print(f"  {what}: {name}, {count} times")
        for failure in notes.failures:
            print(f"  {failure}")
        check = subprocess.run(
            [BINARY, "check", "--bind", "127.0.0.1:0"], cwd=WORK, capture_output=True, text=True,
            env={"PATH": os.environ["PATH"], "DATABASE_URL": self.database.url})
        print("  " + check.stdout.strip().replace("\n", "\n  "))
        subjects = ("keys", "phones", "totals", "search", "customers", "indexes", "integrity")
        # The first line names the database.
        drift = [line for line in check.stdout.splitlines()[1:]
                 if not line.startswith("ok") and line.split()[1].rstrip(":") in subjects]
        there = self.count("customers") - self.rows
        lost = max(0, len(notes.created) - there)
        print(f"  created: {len(notes.created):,}, of which lost: {lost:,}")
        well = not (drift or notes.errors or notes.failures or mended or lost or check.returncode)
        print(f"  {'well' if well else 'NOT WELL'}\n", flush=True)
        return well

    def count(self, rows):
        query = f"SELECT count(*) FROM {rows}"
        if self.is_sqlite:
            connection = sqlite3.connect(self.database.path, timeout=30)
            count = connection.execute(query).fetchone()[0]
            connection.close()
            return count
        return int(run_psql(self.database.url, query)[0])


def main():
    parser = argparse.ArgumentParser(description="Simulate a week of a registry.")
    parser.add_argument("--databases", default="sqlite,postgres")
    parser.add_argument("--customers", type=int, default=100_000)
    parser.add_argument("--expired", type=int, default=300_000,
                        help="expired answers to idempotency keys, in all")
    parser.add_argument("--day", type=int, default=20, help="seconds a day, at least")
    parser.add_argument("--at-most", type=int, default=3_600, help="seconds a database")
    options = parser.parse_args()
    WORK.mkdir(parents=True, exist_ok=True)
    kinds = {"sqlite": Sqlite, "postgres": Postgres}
    weeks = [Week(kinds[name], options).run() for name in options.databases.split(",")]
    sys.exit(0 if all(weeks) else 1)


if __name__ == "__main__":
    main()

"""The programs of a measurement: the service, its limits, and what makes the load."""

import atexit
import http.client
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
WORK = TARGET / "bench"
BINARY = Path(os.environ.get("BENCH_BINARY", TARGET / "release" / "customers")).resolve()
FIXED = TARGET / "release" / "examples" / "fixed_bytes"
SECONDS = int(os.environ.get("BENCH_SECONDS", "3"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))


class Process:
    """A server as a process of its own, listening on a free port."""

    def __init__(self, command, ready, **environment):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        command = [str(part).replace("{address}", f"127.0.0.1:{self.port}") for part in command]
        self.log = open(WORK / f"log-{self.port}", "w")
        started = time.monotonic()
        self.process = subprocess.Popen(
            command, env={"PATH": os.environ["PATH"], **environment}, cwd=WORK,
            stdout=subprocess.DEVNULL, stderr=self.log)
        # Where a measurement fails, nothing is left running.
        atexit.register(self.process.kill)
        while not self.answers(ready):
            if self.process.poll() is not None:
                sys.exit(f"{command[0]} did not start; see {self.log.name}")
            time.sleep(0.001)
        self.milliseconds_to_ready = (time.monotonic() - started) * 1000

    def answers(self, path):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            connection.request("GET", path)
            return connection.getresponse().status == 200
        except OSError:
            return False

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()
        atexit.unregister(self.process.kill)
        self.log.close()
        Path(self.log.name).unlink()


class Service(Process):
    """The service on a database of so many customers."""

    def __init__(self, url, rows, under=()):
        """`under` is a command that runs it."""
        self.url, self.rows = url, rows
        name = f"bench-{time.time_ns()}"
        self.token = customers("token", "create", "--name", name, url=url).split()[-1]
        super().__init__([*under, BINARY, "serve", "--bind", "{address}"], "/health/ready", DATABASE_URL=url)

    def ask(self, method, path):
        """The body of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request(method, path, headers={"authorization": f"Bearer {self.token}"})
        answer = connection.getresponse()
        body = answer.read()
        if answer.status not in (200, 201):
            sys.exit(f"{method} {path}: {answer.status} {body}")
        return body

    def get(self, path):
        return self.ask("GET", path)

    def get_json(self, path):
        return json.loads(self.ask("GET", path))

    def post(self, path):
        return json.loads(self.ask("POST", path))

    def memory(self):
        """Resident megabytes: now, and the most since `forget_memory`."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return [int(re.search(rf"{name}:\s+(\d+)", status)[1]) / 1024 for name in ("VmRSS", "VmHWM")]

    def forget_memory(self):
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def load(self, lines, connections, seconds=SECONDS, pause=None):
        return wrk(self.port, lines, connections, self.rows, self.token, seconds, pause)


class FixedBytes(Process):
    """A bare actix-web that answers the same requests, each with so many fixed bytes: the limit of every
    answer of that size."""

    def __init__(self, size):
        super().__init__([FIXED, "{address}", size], "/")

    def load(self, lines, connections, rows):
        return wrk(self.port, lines, connections, rows)


class Load:
    """What wrk has measured."""

    def __init__(self, rate, p50, p99):
        self.rate, self.p50, self.p99 = rate, p50, p99


def wrk_command(port, lines, connections, rows, seconds, pause=None):
    # A name of its own: several may run at once.
    file = WORK / f"requests-{port}-{abs(hash(tuple(lines)))}"
    file.write_text("".join(f"{line}\n" for line in lines))
    command = ["wrk", f"-t{min(2, connections)}", f"-c{connections}", f"-d{seconds}", "--timeout", "10s",
               "-s", HERE / "load.lua", f"http://127.0.0.1:{port}/", "--", file, str(rows)]
    return command + ([str(pause)] if pause else [])


def wrk(port, lines, connections, rows=1, token="", seconds=SECONDS, pause=None):
    """Requests a second, p50 and p99 in milliseconds."""
    command = wrk_command(port, lines, connections, rows, seconds, pause)
    run = subprocess.run(command, env={**os.environ, "BENCH_TOKEN": token},
                         capture_output=True, text=True)
    figures = re.search(r"BENCH (\d+) (\d+) (\d+) (\d+) (\d+)", run.stdout)
    if not figures:
        sys.exit(f"{command}\n{run.stdout}{run.stderr}")
    requests, micros, failed, p50, p99 = (int(figure) for figure in figures.groups())
    if failed or not requests:
        sys.exit(f"{failed} of {requests} requests failed: {lines[0]} …\n{run.stdout}")
    return Load(requests / micros * 1e6, p50 / 1000, p99 / 1000)


class Background:
    """A load beside which something else is measured."""

    def __init__(self, service, lines, connections, seconds):
        command = wrk_command(service.port, lines, connections, service.rows, seconds)
        self.process = subprocess.Popen(
            command, env={**os.environ, "BENCH_TOKEN": service.token}, stdout=subprocess.DEVNULL)

    def wait(self):
        self.process.wait()


def customers(*arguments, url):
    """Runs a command of the service."""
    return subprocess.run([BINARY, "--database-url", url, *arguments], check=True, cwd=WORK,
                          capture_output=True, text=True).stdout


def in_turns(measurements):
    """The results of measurements, by their keys, of rounds in which all take turns."""
    results = {key: [] for key in measurements}
    for _ in range(ROUNDS):
        for key, measure in measurements.items():
            results[key].append(measure())
    return results


def ratios(those, others):
    """How many times as much one was as the other, in each round."""
    return [one / other for one, other in zip(those, others)]


def rates(loads):
    return [load.rate for load in loads]


def median_rate(loads):
    return statistics.median(rates(loads))

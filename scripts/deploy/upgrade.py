"""Upgrades two servers behind HAProxy, one after the other, from the program OLD to the program NEW.

Eight clients create, read, change and list customers all the while. Each create is sent twice under one
idempotency key. Each change is made at the ETag that was read, of a customer of the client's own and of
one that all clients count up. Ends with 1 where a request failed, a second create made another customer,
or a change was lost. A 412 is no failure: both versions may name the same state by other tags.
Run by scripts/deploy/upgrade-test, which says in TEST_POSTGRES_URL where there is an empty database.
"""

import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

CONFIGURATION = Path(__file__).with_name("haproxy.cfg")
CLIENTS = 8
# Of load, in seconds, with each mixture of versions.
PERIOD = 8


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def wait_for(what: str, is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        if time.monotonic() > deadline:
            sys.exit(f"upgrade: waited for {what}")
        time.sleep(0.05)


class Server:
    """One of the servers, as haproxy.cfg calls it, in whichever version it runs."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder
        self.port = free_port()

    def environment(self) -> dict[str, str]:
        return {
            "DATABASE_URL": os.environ["TEST_POSTGRES_URL"],
            "BIND": f"127.0.0.1:{self.port}",
            "DRAIN": "5s",
        }

    def start(self, program: str) -> None:
        log = (self.folder / f"{self.name}.log").open("a")
        self.process = subprocess.Popen(
            [program, "serve"], env=self.environment(), cwd=self.folder, stdout=log, stderr=log
        )
        wait_for(f"{self.name} to be ready", self.is_ready)

    def is_ready(self) -> bool:
        if self.process.poll() is not None:
            sys.exit((self.folder / f"{self.name}.log").read_text())
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/health/ready")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def stop(self) -> None:
        self.process.terminate()
        if self.process.wait(60) != 0:
            sys.exit(f"upgrade: {self.name} did not end well")


class Balancer:
    """HAProxy, in front of the servers."""

    def __init__(self, servers: list[Server], folder: Path) -> None:
        self.port = free_port()
        self.socket = str(folder / "admin.sock")
        configuration = CONFIGURATION.read_text()
        for known, own in [
            ("/run/haproxy/admin.sock", self.socket),
            ("bind :80\n", f"bind 127.0.0.1:{self.port}\n"),
            ("10.0.0.11:8080", f"127.0.0.1:{servers[0].port}"),
            ("10.0.0.12:8080", f"127.0.0.1:{servers[1].port}"),
        ]:
            assert known in configuration
            configuration = configuration.replace(known, own)
        file = folder / "haproxy.cfg"
        file.write_text(configuration)
        with (folder / "haproxy.log").open("w") as log:
            command = ["haproxy", "-db", "-f", str(file)]
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        wait_for("HAProxy", lambda: os.path.exists(self.socket))

    def tell(self, command: str) -> str:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(self.socket)
            connection.sendall(f"{command}\n".encode())
            with connection.makefile() as answer:
                return answer.read()

    def status(self, server: Server) -> list[str]:
        lines = self.tell("show stat").splitlines()
        return next(line.split(",") for line in lines if line.startswith(f"customers,{server.name},"))

    def take_out(self, server: Server) -> None:
        """An older version may not know DRAIN, so it is taken out by hand."""
        self.tell(f"set server customers/{server.name} state drain")
        wait_for(f"{server.name} to be idle", lambda: self.status(server)[4] == "0")

    def put_back(self, server: Server) -> None:
        self.tell(f"set server customers/{server.name} state ready")
        self.wait_until_up(server)

    def wait_until_up(self, server: Server) -> None:
        wait_for(f"HAProxy to find {server.name}", lambda: self.status(server)[17] == "UP")


class Load:
    """Clients, each with one request at a time."""

    def __init__(self, port: int, token: str) -> None:
        self.port = port
        self.headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        self.is_over = threading.Event()
        self.lock = threading.Lock()
        self.answered = 0
        # How often a customer that nobody else changes had another ETag than the one just read.
        self.refused = 0
        # How often the customer that all clients change was counted up.
        self.counted = 0
        self.failed: list[str] = []
        self.threads = [threading.Thread(target=self.run, args=[n]) for n in range(CLIENTS)]
        self.shared = self.create_shared()
        for thread in self.threads:
            thread.start()

    def create_shared(self) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("POST", "/api/v1/customers", json.dumps({"name": "shared"}), self.headers)
        return f"/{json.load(connection.getresponse())['id']}"

    def run(self, client: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

        def call(
            method: str,
            path: str,
            status: int,
            body: dict[str, object] | None = None,
            headers: dict[str, str] | None = None,
        ) -> tuple[dict, str]:
            """What was answered, and its ETag; nothing where the request failed or is refused by 412."""
            text = None if body is None else json.dumps(body)
            is_refused = False
            try:
                headers = {**self.headers, **(headers or {})}
                connection.request(method, f"/api/v1/customers{path}", text, headers)
                answer = connection.getresponse()
                answer_text = answer.read().decode()
                is_refused = "if-match" in headers and answer.status == 412
                is_answered = answer.status == status or is_refused
                failure = None if is_answered else f"{answer.status} {answer_text}"
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                failure = repr(error)
            with self.lock:
                self.answered += failure is None
                if failure is not None:
                    self.failed.append(f"{method} {path}: {failure}")
            if failure is not None or is_refused:
                return {}, ""
            return json.loads(answer_text), answer.headers.get("etag", "")

        number = 0
        while not self.is_over.is_set():
            number += 1
            name = f"client {client} customer {number}"
            once = {"idempotency-key": name}
            created, _ = call("POST", "", 201, {"name": name}, once)
            again, _ = call("POST", "", 201, {"name": name}, once)
            if created and again and created != again:
                with self.lock:
                    self.failed.append(f"one key has made {created} and {again}")
            if created:
                path = f"/{created['id']}"
                _, etag = call("GET", path, 200)
                changed, _ = call("PATCH", path, 200, {"brand": "B"}, {"if-match": etag})
                with self.lock:
                    self.refused += not changed
            shared, etag = call("GET", self.shared, 200)
            if shared:
                zone = {"zone": shared["zone"] + 1}
                counted, _ = call("PATCH", self.shared, 200, zone, {"if-match": etag})
                with self.lock:
                    self.counted += bool(counted)
            call("GET", "?sort=-id&per_page=5", 200)

    def check_shared(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("GET", f"/api/v1/customers{self.shared}", None, self.headers)
        zone = json.load(connection.getresponse())["zone"]
        print(f"the shared customer was counted up {self.counted} times, and is at {zone}", flush=True)
        if zone != self.counted:
            self.failed.append(f"{self.counted} changes have counted up to {zone}")

    def tell(self, what: str) -> None:
        with self.lock:
            print(
                f"{what}: {self.answered} requests answered, {len(self.failed)} failed, "
                f"{self.refused} changes to be made again",
                flush=True,
            )

    def stop(self) -> None:
        self.is_over.set()
        for thread in self.threads:
            thread.join()


def upgrade(old: str, new: str, folder: Path) -> list[str]:
    servers = [Server(name, folder) for name in ["one", "two"]]
    for server in servers:
        server.start(old)
    command = [old, "token", "create", "--name", "upgrade"]
    printed = subprocess.check_output(command, env=servers[0].environment(), cwd=folder, text=True)
    balancer = Balancer(servers, folder)
    try:
        for server in servers:
            balancer.wait_until_up(server)
        load = Load(balancer.port, printed.split()[-1])
        try:
            time.sleep(PERIOD)
            load.tell("both are old")
            for server in servers:
                balancer.take_out(server)
                server.stop()
                server.start(new)
                balancer.put_back(server)
                time.sleep(PERIOD)
                load.tell(f"{server.name} is new")
            for server in servers:
                server.stop()
                server.start(new)
                balancer.wait_until_up(server)
                load.tell(f"{server.name} was restarted by DRAIN alone")
        finally:
            load.stop()
        load.tell("in all")
        load.check_shared()
        return load.failed
    finally:
        balancer.process.kill()
        for server in servers:
            server.process.kill()


def main() -> None:
    old, new = (str(Path(program).resolve()) for program in sys.argv[1:])
    with tempfile.TemporaryDirectory() as folder:
        failed = upgrade(old, new, Path(folder))
    if failed:
        sys.exit("\n".join(failed[:10]))


main()

#!/usr/bin/env python3
"""Counts the instructions of a read, of a page and of a create on SQLite, and tells where they go.

`make bench-instructions` builds what is needed and calls this. valgrind's callgrind counts what the
service executes itself, without the kernel; noise does not move it. Each kind of request is counted
twice, so many times and four times as often, and the difference is what the further ones took."""

import http.client
import re
import shutil
import subprocess
import sys

from databases import Sqlite
from machine import WORK, Service, customers
from writes import creates

ROWS = 10_000
FEW, MANY = 64, 256

# Where an instruction is, by the first pattern that its file and function match.
PLACES = [
    ("memory: allocating, copying, comparing",
     r"/malloc/|sysdeps|mem(cpy|set|move|cmp)|malloc|__rust_(re)?alloc|raw_vec|alloc::alloc"),
    ("SQLite", r"sqlite3|fts5|/sqlite"),
    ("diesel", r"diesel|r2d2"),
    ("log line", r"env_logger|log::|logging|jiff"),
    ("regular expression for slashes", r"regex"),
    ("digests, in software: valgrind hides the processor's own", r"sha2|sha256|base64"),
    ("folding", r"icu|fold"),
    ("JSON", r"serde|itoa|ryu|zmij|json"),
    ("customers' own code", r"customers_"),
    ("HTTP: actix-web, tokio", r"actix|http|tokio|mio|bytes|h1|futures|moka|parking_lot|indexmap|hashbrown|smallvec|utoipa|uuid|core::|std::|alloc::"),
]


class Counted(Service):
    """The service under callgrind."""

    def __init__(self, database, out):
        self.out = out
        super().__init__(database.url, database.rows, [
            "valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", "--separate-threads=no"])

    def ask_often(self, lines, count, at_once):
        connections = [http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
                       for _ in range(at_once)]
        for start in range(0, count, at_once):
            for number, connection in enumerate(connections):
                method, path = lines[(start + number) % len(lines)].split(" ", 1)
                connection.request(method, path, headers={"authorization": f"Bearer {self.token}"})
            for connection in connections:
                answer = connection.getresponse()
                answer.read()
                if answer.status not in (200, 201):
                    sys.exit(f"{answer.status} under callgrind")

    def counts(self):
        """The instructions of each function."""
        self.stop()
        run = subprocess.run(["callgrind_annotate", "--threshold=100", "--show-percs=no", "--auto=no", "--tree=none",
                              self.out],
                             check=True, capture_output=True, text=True)
        lines = re.findall(r"^ *([\d,]+) +([^=\s].*?)(?: \[[^]]*\])?$", run.stdout, re.MULTILINE)
        counts = {}
        for count, function in lines:
            counts[function] = counts.get(function, 0) + int(count.replace(",", ""))
        return counts


def count(name, lines, at_once):
    counted = []
    for often in (FEW, MANY):
        database = Sqlite()
        database.create(ROWS)
        customers("migrate", url=database.url)
        service = Counted(database, WORK / f"callgrind-{often}")
        service.ask_often(lines, often, at_once)
        counted.append(service.counts())
        database.remove(ROWS)
    few, many = counted
    total_name = next(function for function in many if function.startswith("PROGRAM TOTALS"))
    total = (many.pop(total_name) - few.pop(total_name)) / (MANY - FEW)
    each = {function: (many[function] - few.get(function, 0)) / (MANY - FEW) for function in many}
    print(f"\n{name}: {total:,.0f} instructions", flush=True)
    places = {}
    for function, instructions in each.items():
        place = next((place for place, pattern in PLACES if re.search(pattern, function)), "other")
        places[place] = places.get(place, 0) + instructions
    for place, instructions in sorted(places.items(), key=lambda it: -it[1]):
        print(f"  {place:<58} {instructions:>10,.0f} {instructions / total:>6.1%}")
    print("  The functions in which most are:")
    for function, instructions in sorted(each.items(), key=lambda it: -it[1])[:15]:
        print(f"    {instructions:>9,.0f}  {function[:110]}")


def main():
    for program in ("valgrind", "callgrind_annotate"):
        if not shutil.which(program):
            sys.exit(f"make bench-instructions needs {program}; on Debian: apt-get install valgrind")
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    ids = [f"GET /api/v1/customers/{(number * 7919) % ROWS + 1}" for number in range(ROWS)]
    count("GET by id", ids, 1)
    count("Page of 20", ["GET /api/v1/customers"], 1)
    count("Create, alone in its transaction", creates(ROWS), 1)
    count("Create, one of 64 in a transaction", creates(ROWS), 64)


if __name__ == "__main__":
    main()

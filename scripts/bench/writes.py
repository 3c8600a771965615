"""Creates on SQLite under load, against SQLite itself, and reads beside them."""

import subprocess

from limits import RawSqlite
from machine import SECONDS, Background, in_turns, median_rate, rates, ratios
from reads import BY_ID, beside_alternative
from registry import Registry


def creates(rows):
    return [f"POST /api/v1/customers?{query}" for query in Registry(rows, seed=11).queries(2_000)]


def sqlite_writes(table, database, service, fixed_rate, raw_file):
    lines = creates(service.rows)
    # What the limit inserts is what the service has inserted before.
    service.load(lines, 64, seconds=1)
    raw = RawSqlite(raw_file, database.path, service.rows)
    service.forget_memory()
    loads = in_turns({
        "many": lambda: service.load(lines, 64),
        "one": lambda: service.load(lines, 1),
        "raw": lambda: raw.rate(64),
        "raw one": lambda: raw.rate(1),
    })
    many = rates(loads["many"])
    table.median(f"Creates, 64 connections / 1 connection ({median_rate(loads['many']):,.0f}/s)",
                 ratios(many, rates(loads["one"])), "×", at_least=4)
    table.median("The same of raw SQLite: groups of 64 / one by one",
                 ratios(loads["raw"], loads["raw one"]), "×")
    table.median("Creates, 64 connections / raw SQLite, the same statements in groups of 64",
                 ratios(many, loads["raw"]), at_least=0.5)
    beside_alternative(table, "Creates", "creates", median_rate(loads["many"]), fixed_rate, 4)
    table.median("Creates, 64 connections: p99", [load.p99 for load in loads["many"]], " ms")
    table.line("Resident memory, highest while writing", service.memory()[1], " MB", at_most=80)

    def read_beside_writes():
        writing = Background(service, lines, 64, SECONDS + 2)
        load = service.load(BY_ID, 8, pause=1)
        writing.wait()
        return load

    beside = in_turns({"reads": read_beside_writes})["reads"]
    table.median(f"GET by id ({median_rate(beside):,.0f}/s) while 64 connections write: p99",
                 [load.p99 for load in beside], " ms", at_most=10)
    table.line("Size of the WAL after all that", database.wal_megabytes(), " MB", at_most=64)

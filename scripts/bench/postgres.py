"""Reads and creates on PostgreSQL under load, against pgbench with the same statements."""

from limits import Statements, pgbench
from machine import FixedBytes, in_turns, median_rate, rates, ratios
from reads import BY_ID, PAGE

# So many different creates pgbench makes.
SAMPLES = 20


def postgres_loads(table, database, service, creates):
    statements = Statements(database, creates[:SAMPLES])
    read = f"\\set id random(1, :rows)\n{statements.read}"
    page = FixedBytes(len(service.get("/api/v1/customers")))
    service.forget_memory()
    loads = in_turns({
        "read": lambda: service.load(BY_ID, 32),
        "pgbench read": lambda: pgbench(database.url, [read], 32, service.rows),
        "create": lambda: service.load(creates, 32),
        "pgbench create": lambda: pgbench(database.url, statements.creates, 32, service.rows),
        "page": lambda: service.load(PAGE, 32),
        "fixed page": lambda: page.load(PAGE, 32, service.rows),
    })
    page.stop()
    table.median(f"GET by id, 32 connections / pgbench ({median_rate(loads['read']):,.0f}/s)",
                 ratios(rates(loads["read"]), loads["pgbench read"]), at_least=0.5)
    table.median(f"Creates, 32 connections / pgbench ({median_rate(loads['create']):,.0f}/s)",
                 ratios(rates(loads["create"]), loads["pgbench create"]), at_least=0.6)
    table.median(f"Page of 20, 32 connections / fixed bytes of that size "
                 f"({median_rate(loads['page']):,.0f}/s)",
                 ratios(rates(loads["page"]), rates(loads["fixed page"])))
    table.line("Resident memory, highest of these loads", service.memory()[1], " MB", at_most=80)

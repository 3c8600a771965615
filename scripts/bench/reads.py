"""Reads under load, against fixed bytes from a bare actix-web."""

from machine import FixedBytes, in_turns, median_rate, rates, ratios

BY_ID = ["GET /api/v1/customers/{row}"]
BY_ACCOUNT = ["GET /api/v1/customerAccounts/{account}"]
PAGE = ["GET /api/v1/customers"]

# What the best hand-written alternative did where fixed bytes did 74,000 to 88,000 a second: fastify
# with better-sqlite3, the same table, token check and synchronous=FULL.
ALTERNATIVE = {"gets": 24_000, "pages": 6_300, "creates": 1_900}
ALTERNATIVE_FIXED = 81_000


def beside_alternative(table, what, kind, rate, fixed_rate, target):
    """Beside what the alternative would do here, if it grew as fixed bytes do."""
    there = ALTERNATIVE[kind] * fixed_rate / ALTERNATIVE_FIXED
    table.line(f"{what}: {rate:,.0f}/s, times the alternative's {there:,.0f}/s", rate / there,
               at_least=target)


def sqlite_reads(table, services):
    small, large = min(services), max(services)
    customer = FixedBytes(len(services[large].get("/api/v1/customers/1")))
    page_size = len(services[large].get("/api/v1/customers"))
    page = FixedBytes(page_size)
    asked = {"fixed": lambda: customer.load(BY_ID, 32, large),
             "fixed page": lambda: page.load(PAGE, 32, large)}
    for rows, service in services.items():
        for kind, lines in [("id", BY_ID), ("account", BY_ACCOUNT), ("page", PAGE)]:
            asked[kind, rows] = lambda service=service, lines=lines: service.load(lines, 32)
    loads = in_turns(asked)
    fixed = rates(loads["fixed"])
    table.note("Fixed bytes of the size of a customer, and of a page",
               f"{median_rate(loads['fixed']):,.0f}/s, {median_rate(loads['fixed page']):,.0f}/s "
               f"of {page_size:,} bytes")
    for rows in services:
        for kind in ["id", "account"]:
            table.median(f"{rows:,}: GET by {kind}, 32 connections / fixed bytes "
                         f"({median_rate(loads[kind, rows]):,.0f}/s)",
                         ratios(rates(loads[kind, rows]), fixed), at_least=0.65)
        table.median(f"{rows:,}: page of 20, 32 connections / fixed bytes of that size "
                     f"({median_rate(loads['page', rows]):,.0f}/s)",
                     ratios(rates(loads["page", rows]), rates(loads["fixed page"])), at_least=0.2)
    if small != large:
        for kind in ["id", "account", "page"]:
            table.median(f"{kind}: rate at {small:,} / rate at {large:,}",
                         ratios(rates(loads[kind, small]), rates(loads[kind, large])), "×", at_most=1.3)
    fixed_rate = median_rate(loads["fixed"])
    for rows in services:
        gets, pages = (median_rate(loads[kind, rows]) for kind in ("id", "page"))
        beside_alternative(table, f"{rows:,}: GET by id", "gets", gets, fixed_rate, 2)
        beside_alternative(table, f"{rows:,}: pages of 20", "pages", pages, fixed_rate, 2)
    gets, pages = (median_rate(loads[kind, large]) for kind in ("id", "page"))
    half_of_peak(table, services[large], "GET by id", BY_ID, gets)
    half_of_peak(table, services[large], "Page of 20", PAGE, pages)
    customer.stop()
    page.stop()
    return fixed_rate


def half_of_peak(table, service, what, lines, peak):
    """How long answers take at half of the rate that is possible."""
    # Each connection pauses for a millisecond after each answer: so many reach about that rate.
    connections = max(1, round(peak / 2 / 1000))
    reached = service.load(lines, connections, seconds=1, pause=1).rate
    connections = max(1, round(connections * peak / 2 / reached))
    loads = in_turns({"half": lambda: service.load(lines, connections, pause=1)})["half"]
    share = f"{median_rate(loads) / peak:.0%} of the peak"
    table.median(f"{what} at {share}: p50", [load.p50 for load in loads], " ms")
    table.median(f"{what} at {share}: p99", [load.p99 for load in loads], " ms", at_most=10)

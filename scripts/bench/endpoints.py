"""How long each endpoint takes, one request at a time, with few customers and with many."""

import statistics

from machine import in_turns
from registry import RARE
from reads import BY_ACCOUNT, BY_ID
from urllib.parse import quote

# A list is walked in pages of this size to get at cursors deep in it.
STRIDE = 500

# What an endpoint may cost more with a million customers than with ten thousand.
POINT, LIST = 1.3, 3


def listed(query):
    return [f"GET /api/v1/customers?{query}"]


def endpoints(service):
    """The name of each endpoint, what it may cost more, and what is asked for."""
    half, tenth = "filter[type]=sas", "filter[mainAddressCity]=Orl%C3%A9ans"
    search = "GET /api/v1/customers/search?term="
    return [
        ("GET by id", POINT, BY_ID),
        ("GET by account", POINT, BY_ACCOUNT),
        ("History", POINT, ["GET /api/v1/customers/{row}/history"]),
        ("List", LIST, listed("")),
        ("List: page 3", LIST, listed("page=3")),
        ("List: first by cursor", LIST, listed("pagination=cursor")),
        ("List: deep cursors", LIST, deep_cursors(service, "")),
        ("List: page in the middle", None, listed(f"page={service.rows // 40}")),
        ("Filter that half match, by cursor", LIST, listed(f"{half}&pagination=cursor")),
        ("Filter that 1 in 40 match, by cursor", LIST, listed(f"{tenth}&pagination=cursor")),
        ("Filter that half match, with the total", None, listed(half)),
        ("Sort by name", LIST, listed("sort=name")),
        ("Sort by time of creation, latest first", LIST, listed("sort=-created_at")),
        ("Sort by name: deep cursors", LIST, deep_cursors(service, "sort=name")),
        ("Filter that half match, sorted by name, by cursor", LIST,
         listed(f"{half}&sort=name&pagination=cursor")),
        ("Filter that 1 in 40 match, sorted by name, by cursor", LIST,
         listed(f"{tenth}&sort=name&pagination=cursor")),
        ("Filter by phone number", None, listed("filter[phone]=%2B33{number}0")),
        ("Search: rare", None, [search + quote(RARE.lower())]),
        ("Search: in every tenth name", None, [search + "electricite"]),
        ("Search: two words, in one of a thousand", None, [search + "martin%20libr"]),
        ("Search: two letters", None, [search + "te"]),
        ("Search: one letter", None, [search + "m"]),
        ("PATCH", None, ["PATCH /api/v1/customers/{row}?phone=01{number}&comment=n%C2%B0%20{number}"]),
        ("Upsert", None, ["PUT /api/v1/customerAccounts/{account}?fax=01{number}"]),
        ("DELETE and restore", None,
         ["DELETE /api/v1/customers/{row}\tPOST /api/v1/customers/{row}/restore"]),
        ("Create", None, None),
    ]


def deep_cursors(service, query):
    """Pages of 20 from places in the second half of a list."""
    path = f"/api/v1/customers?{query}&pagination=cursor&per_page="
    cursors, cursor, walked = [], "", 0
    while walked < service.rows * 0.55:
        page = service.get_json(f"{path}{STRIDE}{cursor}")
        cursor = f"&cursor={quote(page['next_cursor'])}"
        walked += STRIDE
        if walked > service.rows / 2:
            cursors.append(f"GET {path}20{cursor}")
    return cursors


def one_at_a_time(service, lines):
    load = service.load(lines, 1, seconds=1)
    # The load ends wherever it is: somebody may be left deleted.
    for customer in service.get_json("/api/v1/customers?filter[trashed]=only")["data"]:
        service.post(f"/api/v1/customers/{customer['id']}/restore")
    return load


def measure_endpoints(table, kind, services, creates):
    """A table of p50 with fewest and with most customers."""
    small, large = min(services), max(services)
    for service in services.values():
        service.forget_memory()
    found = {rows: endpoints(services[rows]) for rows in {small, large}}
    for position, (name, most, _) in enumerate(found[large]):
        asked = {rows: found[rows][position][2] or creates for rows in found}
        loads = in_turns({
            rows: lambda rows=rows: one_at_a_time(services[rows], asked[rows]) for rows in asked})
        p50 = {rows: statistics.median(load.p50 for load in loads[rows]) for rows in loads}
        p99 = statistics.median(load.p99 for load in loads[large])
        each = [many.p50 / few.p50 for many, few in zip(loads[large], loads[small])]
        table.median(f"{name}: {p50[small]:.2f} ms, {p50[large]:.2f} ms (p99 {p99:.2f} ms)", each, "×",
                     at_most=most)
        is_found_by_index = name.startswith("Search") and "letter" not in name
        if is_found_by_index:
            table.line(f"{name}, {large:,}: p99", p99, " ms", at_most=20)
        if name == "Filter that half match, with the total":
            table.line(f"One filter's total, half of {large:,}", p50[large], " ms",
                       at_most={"SQLite": 60, "PostgreSQL": 300}[kind.name])
    table.line("Resident memory, highest while all of these were asked for",
               services[large].memory()[1], " MB", at_most=80)

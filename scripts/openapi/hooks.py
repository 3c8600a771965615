"""What is not sent to the service."""

import requests
import schemathesis

# The longest URL that reaches the application; docs/API.md says what becomes of longer ones.
MAX_URL = 65_534

# Headers under which nearly every call would come to the same: that somebody else was faster, or
# that the key is used.
DECISIVE = {"If-Match", "If-None-Match", "Idempotency-Key"}


@schemathesis.hook
def filter_case(context, case):
    arguments = case.as_transport_kwargs()
    request = requests.Request("GET", arguments["url"], params=arguments.get("params"))
    return len(request.prepare().path_url) <= MAX_URL


@schemathesis.hook
def map_case(context, case):
    """Of decisive headers, a case of the coverage phase sends only the one that it is about."""
    if case.meta is not None and case.meta.phase.name.value == "coverage":
        for header in DECISIVE - {case.meta.phase.data.parameter}:
            case.headers.pop(header, None)
    return case

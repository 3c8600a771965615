"""What is not sent to the service."""

from collections.abc import MutableMapping

import requests
import schemathesis

# The longest URL that reaches the application; docs/API.md says what becomes of longer ones.
MAX_URL = 65_534

# Parameters under which nearly every call would come to the same: that somebody else was faster, or
# that the key or the account is taken.
DECISIVE = {"If-Match", "If-None-Match", "Idempotency-Key", "customerAccount"}


@schemathesis.hook
def filter_case(context, case):
    arguments = case.as_transport_kwargs()
    request = requests.Request("GET", arguments["url"], params=arguments.get("params"))
    return len(request.prepare().path_url) <= MAX_URL


@schemathesis.hook
def map_case(context, case):
    """Of what is decisive, a case of the coverage phase sends only what it is about."""
    if case.meta is not None and case.meta.phase.name.value == "coverage":
        for name in DECISIVE - {case.meta.phase.data.parameter}:
            for parameters in [case.headers, case.query, case.body]:
                if isinstance(parameters, MutableMapping):
                    parameters.pop(name, None)
    return case

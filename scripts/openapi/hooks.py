"""What is not sent to the service."""

import requests
import schemathesis

# The longest URL that reaches the application; docs/API.md says what becomes of longer ones.
MAX_URL = 65_534


@schemathesis.hook
def filter_case(context, case):
    arguments = case.as_transport_kwargs()
    request = requests.Request("GET", arguments["url"], params=arguments.get("params"))
    return len(request.prepare().path_url) <= MAX_URL

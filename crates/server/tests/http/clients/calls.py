"""Makes the documented calls of the service at URL with TOKEN, and prints what it is answered."""

import sys
from typing import TypeVar

from customers_api_client import AuthenticatedClient, Client
from customers_api_client.api.customers import (
    create_customer,
    delete_customer,
    get_customer,
    get_customer_by_account,
    get_customer_history,
    list_customers,
    put_customer_by_account,
    restore_customer,
    search_customers,
    update_customer,
)
from customers_api_client.api.login import login
from customers_api_client.models import (
    Conflict,
    Credentials,
    CustomerChanges,
    CustomerCursorPage,
    CustomerInput,
    CustomerPage,
    Problem,
)

T = TypeVar("T")


def got(answer: T | Problem | None) -> T:
    assert answer is not None and not isinstance(answer, Problem), answer
    return answer


def refused(answer: object) -> Problem:
    assert isinstance(answer, Problem), answer
    return answer


def say(what: str, *words: object) -> None:
    """Prints a problem by its status and code, and others as JSON writes them."""
    for word in words:
        match word:
            case Problem():
                what += f" {word.status} {word.code}"
            case bool():
                what += f" {str(word).lower()}"
            case None:
                what += " null"
            case _:
                what += f" {word}"
    print(what)


_, url, token = sys.argv
api = AuthenticatedClient(base_url=url, token=token)

body = CustomerInput(name="Société", customer_account="a/b", vip=True)
answer = create_customer.sync_detailed(client=api, body=body)
created, etag = got(answer.parsed), answer.headers["etag"]
say("created:", created.name, created.customer_account, created.vip)
say("by id:", got(get_customer.sync(str(created.id), client=api)).name)
say("by account:", got(get_customer_by_account.sync("a/b", client=api)).name)

brand = CustomerChanges(brand="Marque")
say("changed:", got(update_customer.sync(created.id, client=api, body=brand)).brand)
vip = CustomerChanges(vip=False)
say("stale:", refused(update_customer.sync(created.id, client=api, body=vip, if_match=etag)))
city = CustomerChanges(main_address_city="Paris")
say("put:", got(put_customer_by_account.sync("a/b", client=api, body=city)).main_address_city)

taken = refused(create_customer.sync(client=api, body=body))
say("taken:", taken, isinstance(taken.conflict, Conflict) and taken.conflict.id == created.id)
invalid = refused(create_customer.sync(client=api, body=CustomerInput(name="")))
say("invalid:", invalid, invalid.errors["name"][0] if invalid.errors else None)
say("unknown:", refused(get_customer.sync("nobody", client=api)))
anonymous = AuthenticatedClient(base_url=url, token="none", prefix="Other")
say("anonymous:", refused(list_customers.sync(client=anonymous)))

for number in range(1, 5):
    page_body = CustomerInput(name=f"Page {number}")
    key = f"page-{number}"
    first = got(create_customer.sync(client=api, body=page_body, idempotency_key=key))
    again = got(create_customer.sync(client=api, body=page_body, idempotency_key=key))
    assert first.id == again.id
page = got(list_customers.sync(client=api, filtername="page", sort="-name", per_page=3))
assert isinstance(page, CustomerPage)
say("page:", ",".join(it.name for it in page.data), "of", page.total)
walked: list[str] = []
cursor: str | None = ""
while cursor is not None:
    part = got(
        list_customers.sync(
            client=api, filtername="page", sort="-name", per_page=3, cursor=cursor
        )
    )
    assert isinstance(part, CustomerCursorPage)
    walked += [it.name for it in part.data]
    cursor = part.next_cursor
say("walked:", ",".join(walked))
accounts = f"a/b,{page.data[0].customer_account}"
either = got(list_customers.sync(client=api, filtercustomer_account=accounts))
assert isinstance(either, CustomerPage)
say("either:", len(either.data))
say("found:", got(search_customers.sync(client=api, term="MARQUE")).total)

deleted = delete_customer.sync_detailed(created.id, client=api)
say("deleted:", deleted.status_code.value)
say("gone:", refused(get_customer.sync(str(created.id), client=api)))
say("restored:", got(restore_customer.sync(created.id, client=api)).name)
history = got(get_customer_history.sync(created.id, client=api)).data
say("history:", ",".join(str(entry.action) for entry in history))
say("city was:", history[2].changes["mainAddressCity"].from_)

right = Credentials(email="zoe@example.com", password="correct horse battery staple")
say("logged in:", got(login.sync(client=Client(base_url=url), body=right)).user.name)
wrong = Credentials(email="zoe@example.com", password="wrong")
say("wrong password:", refused(login.sync(client=Client(base_url=url), body=wrong)))

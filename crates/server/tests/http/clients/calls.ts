// Makes the documented calls of the service at URL with TOKEN, and prints what it is answered.
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.d.ts";

const [url, token] = process.argv.slice(2) as [string, string];
const headers = { authorization: `Bearer ${token}` };
const api = createClient<paths>({ baseUrl: url, headers });

type Problem = components["schemas"]["Problem"];

function got<T>({ data, error }: { data?: T; error?: Problem }): T {
  if (data === undefined) throw new Error(JSON.stringify(error));
  return data;
}

function refused({ error }: { error?: Problem }): string {
  if (error === undefined) throw new Error("not refused");
  return `${error.status} ${error.code}`;
}

const body = { name: "Société", customerAccount: "a/b", vip: true };
const created = await api.POST("/api/v1/customers", { body });
const { id } = got(created);
const etag = created.response.headers.get("etag")!;
console.log("created:", got(created).name, got(created).customerAccount, got(created).vip);
const byId = { params: { path: { customer: String(id) } } };
const one = { params: { path: { customer: id } } };
console.log("by id:", got(await api.GET("/api/v1/customers/{customer}", byId)).name);
const byAccount = { params: { path: { customerAccount: "a/b" } } };
const account = "/api/v1/customerAccounts/{customerAccount}";
console.log("by account:", got(await api.GET(account, byAccount)).name);

const brand = { ...one, body: { brand: "Marque" } };
console.log("changed:", got(await api.PATCH("/api/v1/customers/{customer}", brand)).brand);
const stale = { body: { vip: false }, params: { ...one.params, header: { "If-Match": etag } } };
console.log("stale:", refused(await api.PATCH("/api/v1/customers/{customer}", stale)));
const put = { ...byAccount, body: { mainAddressCity: "Paris" } };
console.log("put:", got(await api.PUT(account, put)).mainAddressCity);

const taken = await api.POST("/api/v1/customers", { body });
console.log("taken:", refused(taken), taken.error?.conflict?.id === id);
const invalid = await api.POST("/api/v1/customers", { body: { ...body, name: "" } });
console.log("invalid:", refused(invalid), invalid.error?.errors?.["name"]?.[0]);
const nobody = { params: { path: { customer: "nobody" } } };
console.log("unknown:", refused(await api.GET("/api/v1/customers/{customer}", nobody)));
const anonymous = createClient<paths>({ baseUrl: url });
console.log("anonymous:", refused(await anonymous.GET("/api/v1/customers", {})));

for (const number of [1, 2, 3, 4]) {
  const params = { header: { "Idempotency-Key": `page-${number}` } };
  const page = { params, body: { name: `Page ${number}` } };
  const first = got(await api.POST("/api/v1/customers", page));
  const again = got(await api.POST("/api/v1/customers", page));
  if (first.id !== again.id) throw new Error("created twice");
}
const filter = { "filter[name]": "page", sort: "-name", per_page: 3 };
const page = got(await api.GET("/api/v1/customers", { params: { query: filter } }));
if (!("total" in page)) throw new Error("no numbered page");
console.log("page:", page.data.map(({ name }) => name).join(), "of", page.total);
const walked: string[] = [];
let cursor: string | null | undefined;
do {
  const query = { ...filter, pagination: "cursor" as const, cursor: cursor ?? undefined };
  const part = got(await api.GET("/api/v1/customers", { params: { query } }));
  if (!("next_cursor" in part)) throw new Error("no page by cursor");
  walked.push(...part.data.map(({ name }) => name));
  cursor = part.next_cursor;
} while (cursor);
console.log("walked:", walked.join());
const either = { "filter[customerAccount]": `a/b,${page.data[0]!.customerAccount}` };
const both = got(await api.GET("/api/v1/customers", { params: { query: either } }));
console.log("either:", both.data.length);
const search = { params: { query: { term: "MARQUE" } } };
console.log("found:", got(await api.GET("/api/v1/customers/search", search)).total);

const deleted = await api.DELETE("/api/v1/customers/{customer}", one);
console.log("deleted:", deleted.response.status);
console.log("gone:", refused(await api.GET("/api/v1/customers/{customer}", byId)));
const restored = await api.POST("/api/v1/customers/{customer}/restore", one);
console.log("restored:", got(restored).name);
const history = got(await api.GET("/api/v1/customers/{customer}/history", one));
console.log("history:", history.data.map(({ action }) => action).join());
console.log("city was:", history.data[2]?.changes["mainAddressCity"]?.from);

const credentials = { email: "zoe@example.com", password: "correct horse battery staple" };
console.log("logged in:", got(await api.POST("/api/login", { body: credentials })).user.name);
const wrong = { body: { ...credentials, password: "wrong" } };
console.log("wrong password:", refused(await api.POST("/api/login", wrong)));

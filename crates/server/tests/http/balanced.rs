//! Several servers on one PostgreSQL, behind a balancer.

use serde_json::json;
use tokio::task::JoinSet;

use crate::support::balancer::{Balancer, SERVERS};
use crate::support::load::{Load, assert_found, assert_kept_once};
use crate::support::{Client, Home, Program, until};

cases! {
    postgres: [
        what_one_server_does_is_right_at_the_other,
        servers_are_restarted_one_after_the_other_without_a_failed_request,
    ]
}

/// Two servers, and a client of whichever the balancer chooses.
struct Servers {
    balancer: Balancer,
    programs: [Program; 2],
    client: Client,
    home: Home,
}

impl Servers {
    async fn start(home: Home) -> Self {
        let token = home.token(&["--name", "balanced"]);
        let serve = || home.serve(&[], &[("DRAIN", "5s")]);
        let programs = [serve(), serve()];
        let balancer = Balancer::start(programs.each_ref().map(Program::address)).await;
        let client = Client::new(balancer.address(), &token);
        Self { balancer, programs, client, home }
    }

    /// A client of each server, past the balancer.
    fn each(&self) -> [Client; 2] {
        let client = |program: &Program| Client::new(program.address(), self.client.token());
        self.programs.each_ref().map(client)
    }

    /// Restarts a server, as an upgrade does.
    async fn restart(&mut self, number: usize) {
        let address = self.programs[number].address();
        self.programs[number].signal("TERM");
        self.balancer.until_left(SERVERS[number]).await;
        assert!(self.programs[number].wait().success());
        let variables = [("DRAIN", "5s"), ("BIND", &address.to_string())];
        self.programs[number] = self.home.serve(&[], &variables);
        self.balancer.until_ready(SERVERS[number]).await;
    }
}

async fn what_one_server_does_is_right_at_the_other(home: Home) {
    let servers = Servers::start(home).await;
    let client = &servers.client;

    // Of many requests with the same key one creates the customer, at whichever server they arrive.
    let mut twins = JoinSet::new();
    for _ in 0..32 {
        let create = client.post("/api/v1/customers").header("idempotency-key", "once");
        twins.spawn(create.json(&json!({ "name": "A" })).into_future());
    }
    let twins = twins.join_all().await;
    let customer = twins[0].expect(201);
    assert!(twins.iter().all(|twin| twin.expect(201) == customer));
    let made = twins.iter().filter(|twin| twin.header("idempotent-replayed").is_none());
    assert_eq!(made.count(), 1);
    for program in &servers.programs {
        program.wait_for_log(|line| line.contains("/api/v1/customers "));
    }

    // Totals are exact at both, and what is changed or deleted at one is so at the other.
    let load = Load::start(client, 8);
    load.until_created(100).await;
    let created = load.stop().await.created;
    let path = format!("/api/v1/customers/{}", customer["id"]);
    let [one, two] = servers.each();
    for server in [&one, &two] {
        let page = server.get("/api/v1/customers").await.expect(200);
        assert_eq!(page["total"], created.len() + 1);
    }
    let changed = one.patch(&path).json(&json!({ "vip": true })).await.expect(200);
    assert_eq!(two.get(&path).await.expect(200), changed);
    assert_eq!(two.delete(&path).await.status, 204);
    assert_eq!(one.get(&path).await.status, 404);

    // What is logged out, or revoked on the command line, is so everywhere.
    for revocation in ["logout", "revoke"] {
        let token = servers.home.token(&["--name", revocation]);
        let [one, two] = [&one, &two].map(|server| server.with_token(&token));
        for server in [&one, &two] {
            server.get("/api/v1/customers").await.expect(200);
        }
        match revocation {
            "logout" => assert_eq!(one.post("/api/logout").await.status, 204),
            _ => drop(servers.home.run_well(&["token", "revoke", revocation])),
        }
        for server in [one, two] {
            let is_refused = async || server.get("/api/v1/customers").await.status == 401;
            until("the revocation", is_refused).await;
        }
    }
}

async fn servers_are_restarted_one_after_the_other_without_a_failed_request(home: Home) {
    let mut servers = Servers::start(home).await;
    let load = Load::start(&servers.client, 8);
    load.until_created(100).await;
    for number in 0..SERVERS.len() {
        servers.restart(number).await;
        load.until_created(100).await;
    }
    let outcome = load.stop().await;
    assert_eq!((outcome.refused, outcome.unanswered), (0, 0));
    assert_found(&servers.client, &outcome.created).await;
    assert_kept_once(&servers.home.database, &outcome.created);
}

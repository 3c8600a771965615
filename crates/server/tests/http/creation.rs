//! What a created customer is.

use serde_json::{Map, Value, json};

use crate::support::{Call, TestServer, encode};

cases! {
    both: [
        a_customer_of_only_a_name_has_every_default,
        every_attribute_is_kept_whatever_way_it_is_sent,
        what_is_made_is_found_by_id_and_by_account,
        accounts_are_made_of_the_id_and_pass_by_those_that_are_taken,
        the_numbering_of_accounts_can_be_configured,
        what_is_refused_is_not_kept,
        an_answer_can_be_sent_back_with_another_account,
    ]
}

/// Every attribute with a value that is not its default, in the order of the contract.
pub fn full_customer() -> Value {
    serde_json::from_str(include_str!("creation/full_customer.json")).expect("JSON")
}

/// The value as somebody types it into a form.
pub fn typed(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The members as a query or a form.
pub fn encoded(members: &Map<String, Value>) -> String {
    let pairs = members.iter().map(|(name, value)| format!("{name}={}", encode(&typed(value))));
    pairs.collect::<Vec<_>>().join("&")
}

async fn a_customer_of_only_a_name_has_every_default(server: TestServer) {
    let answer = server.post("/api/v1/customers?name=Soci%C3%A9t%C3%A9").await;
    let customer = answer.expect(201);
    let (id, created_at) = (&customer["id"], &customer["created_at"]);
    // As text: the order of the members is promised, and so is how they are written.
    let expected = format!(
        concat!(
            r#"{{"id":{id},"brand_id":1,"representative_id":null,"customerAccount":"CL{id:0>6}","#,
            r#""accountsReference":null,"name":"Société","brand":null,"mainContactFirstName":null,"#,
            r#""mainContactLastName":null,"registrationNumber":null,"taxRegistrationNumber":null,"#,
            r#""activityCode":null,"type":null,"capital":null,"mainAddressLine1":null,"#,
            r#""mainAddressLine2":null,"mainAddressPostalCode":null,"mainAddressCity":null,"#,
            r#""mainAddressCountry":null,"emailAddress":null,"accountEmailAddress":null,"#,
            r#""phone":null,"mobilePhone":null,"fax":null,"website":null,"logo":null,"#,
            r#""activity":null,"category":null,"qualification":null,"sector_id":null,"#,
            r#""origin_id":null,"prospection_code_id":1,"zone":0,"language":null,"language_id":1,"#,
            r#""cluster":null,"numberForEligibility":null,"abroad":false,"active":true,"#,
            r#""isReseller":false,"resellerLevel":0,"chargeVAT":true,"#,
            r#""applyVATAutoReverseOperators":false,"onCallDuty":false,"vip":false,"#,
            r#""acceptEmails":true,"acceptCalls":true,"canSendSms":false,"smsAuthorisation":null,"#,
            r#""sms_expeditor_name":null,"mergeInvoices":false,"isGroupingAccount":false,"#,
            r#""chargeGroupingAccount":null,"isPayer":false,"balance":null,"#,
            r#""motive_for_balance":null,"supplier":0,"suppliers":"","quickSearchIndex":false,"#,
            r#""technical_url":null,"custom_note":null,"comment":null,"created_at":{created_at},"#,
            r#""updated_at":{created_at},"deleted_at":null}}"#
        ),
        id = id.as_i64().expect("a number as id"),
        created_at = created_at,
    );
    assert_eq!(answer.text(), expected);
    assert_eq!(answer.header("location"), Some(&*format!("/api/v1/customers/{id}")));
    assert_eq!(answer.header("content-type"), Some("application/json"));

    // 2026-08-04T10:42:27.000000Z, and of this minute.
    let created_at = created_at.as_str().expect("a text as time");
    let digits = created_at.replace(|c: char| c.is_ascii_digit(), "0");
    assert_eq!(digits, "0000-00-00T00:00:00.000000Z");
    let now = server.home.run_well(&["token", "list"]);
    assert!(now.contains(&created_at[..10]), "{created_at} is not the day of {now}");

    let found = server.get(&format!("/api/v1/customers/{id}")).await;
    assert_eq!(found.text(), expected);
}

async fn every_attribute_is_kept_whatever_way_it_is_sent(server: TestServer) {
    let sent = full_customer();
    let members = sent.as_object().expect("an object");
    let typed: Vec<_> = members.iter().map(|(name, value)| (name.as_str(), typed(value))).collect();
    let parts: Vec<_> = typed.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let post = || server.post("/api/v1/customers");
    let ways: [(&str, Call); 5] = [
        ("query", server.post(&format!("/api/v1/customers?{}", encoded(members)))),
        ("JSON", post().json(&sent)),
        ("+json", post().body("application/vnd.example+json; charset=utf-8", sent.to_string())),
        ("form", post().form(encoded(members))),
        ("multipart", post().multipart(&parts)),
    ];
    for (way, call) in ways {
        let customer = call.await.expect(201);
        let id = customer["id"].as_i64().expect("an id");
        let answered: Vec<_> = customer.as_object().expect("an object").iter().collect();
        let expected: Vec<_> = members.iter().collect();
        assert_eq!(answered[1..answered.len() - 3], expected, "{way}");
        assert_eq!(server.get(&format!("/api/v1/customers/{id}")).await.expect(200), customer);
        // The same account must do for each way.
        server
            .home
            .database
            .execute(&format!("UPDATE customers SET account_key = 'renamed {id}' WHERE id = {id}"));
    }
}

async fn what_is_made_is_found_by_id_and_by_account(server: TestServer) {
    let mut made = Vec::new();
    for name in ["a", "b", "c"] {
        made.push(server.create(&json!({ "name": name })).await);
    }
    let ids: Vec<_> = made.iter().map(|customer| customer["id"].as_i64().expect("an id")).collect();
    assert!(ids[0] > 0 && ids.is_sorted_by(|one, next| one < next), "{ids:?}");
    for customer in made {
        let account = customer["customerAccount"].as_str().expect("an account");
        for target in [
            format!("/api/v1/customers/{}", customer["id"]),
            format!("/api/v1/customers/{account}"),
            format!("/api/v1/customerAccounts/{account}"),
        ] {
            assert_eq!(server.get(&target).await.expect(200), customer, "{target}");
        }
    }
}

async fn accounts_are_made_of_the_id_and_pass_by_those_that_are_taken(server: TestServer) {
    let first = server.create(&json!({ "name": "first" })).await["id"].as_i64().expect("an id");
    // Taken by hand, in another case: the accounts of the customers to come.
    for number in first + 2..first + 30 {
        let account = format!("cl{number:06}");
        server.create(&json!({ "name": "by hand", "customerAccount": account })).await;
    }
    let mut accounts = Vec::new();
    for _ in 0..40 {
        let customer = server.create(&json!({ "name": "made" })).await;
        let account = customer["customerAccount"].as_str().expect("an account").to_owned();
        let digits = account.strip_prefix("CL").expect("the prefix");
        assert!(digits.len() >= 6 && digits.bytes().all(|b| b.is_ascii_digit()), "{account}");
        accounts.push(account.to_lowercase());
    }
    accounts.sort();
    accounts.dedup();
    assert_eq!(accounts.len(), 40);
    assert!(accounts.iter().all(|it| it[2..].parse::<i64>().expect("digits") >= first + 30));
}

async fn the_numbering_of_accounts_can_be_configured(mut server: TestServer) {
    server.program.kill();
    let settings = [("ACCOUNT_PREFIX", "Kunde "), ("ACCOUNT_WIDTH", "3")];
    server.program = server.home.serve(&[], &settings);
    let client = crate::support::Client::new(server.program.address(), server.token());
    let customer = client.create(&json!({ "name": "A" })).await;
    let id = customer["id"].as_i64().expect("an id");
    assert_eq!(customer["customerAccount"], format!("Kunde {id:03}"));
}

async fn what_is_refused_is_not_kept(server: TestServer) {
    server.post("/api/v1/customers?name=A&customerAccount=X&vip=maybe").await.expect(422);
    server.get("/api/v1/customerAccounts/X").await.expect(404);
    server.create(&json!({ "name": "A", "customerAccount": "X" })).await;
    server.post("/api/v1/customers?name=B&customerAccount=x").await.expect(409);
    assert_eq!(server.home.database.count("customers"), 1);
}

async fn an_answer_can_be_sent_back_with_another_account(server: TestServer) {
    let full = server.create(&full_customer()).await;
    let sparse = server.create(&json!({ "name": "A", "customerAccount": "sparse" })).await;
    for (number, original) in [full, sparse].into_iter().enumerate() {
        for preference in ["handling=lenient", "handling=strict"] {
            let account = format!("copy {number} {preference}");
            let mut copy = original.clone();
            copy["customerAccount"] = json!(account);
            let post = server.post("/api/v1/customers").header("prefer", preference);
            let answered = post.json(&copy).await.expect(201);
            // Its own are what identifies it and its times.
            for name in ["id", "created_at", "updated_at"] {
                assert_ne!(answered[name], copy[name], "{name}");
                copy[name] = answered[name].clone();
            }
            assert_eq!(answered, copy, "{preference}");
        }
    }
}

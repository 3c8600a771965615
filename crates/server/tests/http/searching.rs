//! Searching while somebody types.

use serde_json::{Value, json};

use crate::support::{Client, TestServer, encode};

cases! {
    both: [
        case_accents_and_ligatures_do_not_matter,
        all_words_must_occur_in_any_of_the_searched_attributes,
        the_best_hits_come_first,
        a_change_is_found_by_the_next_search,
        every_character_is_taken_as_it_is,
        without_a_term_nothing_is_found,
        a_term_that_cannot_be_is_refused,
        hits_come_in_pages,
    ]
}

const SEARCH: &str = "/api/v1/customers/search";

async fn search(client: &Client, term: &str) -> Vec<String> {
    let page = client.get(&format!("{SEARCH}?term={}", encode(term))).await.expect(200);
    let hits = page["data"].as_array().expect("data");
    assert_eq!(page["total"], hits.len(), "{term}");
    hits.iter().map(|hit| hit["name"].as_str().expect("a name").to_owned()).collect()
}

async fn case_accents_and_ligatures_do_not_matter(server: TestServer) {
    let names = [
        "Société Générale de Téléphonie",
        "Crêperie « Le Cœur »",
        "Straßenbau GmbH",
        "L’Œil de l'Été",
        "Ærøskøbing Þórr Łódź",
        "ﬁnance ＦＵＬＬ",
    ];
    for name in names {
        server.create(&json!({ "name": name })).await;
    }
    for (term, found) in [
        ("societe", 0),
        ("SOCIÉTÉ", 0),
        ("Socie\u{301}te\u{301} telephonie", 0),
        ("generale societe", 0),
        ("coeur", 1),
        ("CŒUR", 1),
        ("creperie coe", 1),
        ("strassen", 2),
        ("STRAẞENBAU", 2),
        ("oeil ete", 3),
        ("aeroskobing", 4),
        ("thorr lodz", 4),
        ("finance full", 5),
        ("ﬁn", 5),
    ] {
        assert_eq!(search(&server, term).await, [names[found]], "{term}");
    }
    assert!(search(&server, "societe coeur").await.is_empty());
}

async fn all_words_must_occur_in_any_of_the_searched_attributes(server: TestServer) {
    let customer = json!({
        "name": "Nomen",
        "brand": "Marque",
        "customerAccount": "COMPTE-1",
        "accountsReference": "411REF",
        "registrationNumber": "83210417500012",
        "taxRegistrationNumber": "FR12832104175",
        "emailAddress": "contact@exemple.fr",
        "phone": "+33 1 02 03 04 05",
        "mobilePhone": "06.12.13.14.15",
        "fax": "0044 20 7946 0000",
        "comment": "hidden",
        "website": "https://hidden.example",
    });
    server.create(&customer).await;
    for term in [
        "nom",
        "omen",
        "marque compte",
        "411ref nomen",
        "321041750001",
        "fr12832",
        "exemple.fr",
        "0102030405",
        "+33102030405",
        "01 02 03 04 05",
        "33 1 02 03 04 05",
        "0612131415 nomen",
        "02079460000",
        "+44 20 7946 0000",
    ] {
        assert_eq!(search(&server, term).await, ["Nomen"], "{term}");
    }
    for term in ["hidden", "nomen hidden", "nomenmarque", "0102030406", "999"] {
        assert!(search(&server, term).await.is_empty(), "{term}");
    }
}

async fn the_best_hits_come_first(server: TestServer) {
    for (name, account) in [
        ("rest of abc", "1"),
        ("ABC second name", "2"),
        ("x", "abc 12"),
        ("ábc first name", "3"),
        ("exact", "Abc"),
        ("y", "ABC 1"),
    ] {
        server.create(&json!({ "name": name, "customerAccount": account })).await;
    }
    let expected = ["exact", "x", "y", "ABC second name", "ábc first name", "rest of abc"];
    assert_eq!(search(&server, "abc").await, expected);
    // The whole term is what an account is or begins with, its words are what must occur.
    assert_eq!(search(&server, "abc 1").await, ["y", "x", "rest of abc"]);
    // One or two letters find beginnings only, and narrow what longer words find.
    let beginnings = ["x", "exact", "y", "ABC second name", "ábc first name"];
    assert_eq!(search(&server, "ab").await, beginnings);
    assert_eq!(search(&server, "of").await, [""; 0]);
    assert_eq!(search(&server, "abc of").await, ["rest of abc"]);
}

async fn a_change_is_found_by_the_next_search(server: TestServer) {
    let customer = server.create(&json!({ "name": "Anfang" })).await;
    let target = format!("/api/v1/customers/{}", customer["id"]);
    assert_eq!(search(&server, "anfang").await, ["Anfang"]);
    server
        .patch(&target)
        .json(&json!({ "name": "Wechsel", "phone": "0612131415" }))
        .await
        .expect(200);
    assert!(search(&server, "anfang").await.is_empty());
    assert_eq!(search(&server, "echse").await, ["Wechsel"]);
    assert_eq!(search(&server, "+33612131415").await, ["Wechsel"]);
    server.patch(&target).json(&json!({ "phone": null })).await.expect(200);
    assert!(search(&server, "0612131415").await.is_empty());
    server.delete(&target).await;
    assert!(search(&server, "wechsel").await.is_empty());
    server.post(&format!("{target}/restore")).await.expect(200);
    assert_eq!(search(&server, "wechsel").await, ["Wechsel"]);
    server.put("/api/v1/customerAccounts/neu?name=Ankunft").await.expect(201);
    assert_eq!(search(&server, "ankunft").await, ["Ankunft"]);
}

async fn every_character_is_taken_as_it_is(server: TestServer) {
    let names =
        ["100%_ \"quoted\" OR", "100 percent", "a\\b*c", "NEAR(x y)", "l'été; DROP", "☎️ 電話番号"];
    for name in names {
        server.create(&json!({ "name": name })).await;
    }
    for (term, found) in [
        ("100%_", 0),
        ("\"quoted\"", 0),
        ("quoted or", 0),
        ("%%%", 9),
        ("___", 9),
        ("a\\b*", 2),
        ("near(x", 3),
        ("l'ete;", 4),
        ("'; drop table", 9),
        ("電話番", 5),
        ("☎️", 5),
        ("\"", 9),
        ("*", 9),
    ] {
        let expected: Vec<&str> = names.get(found).copied().into_iter().collect();
        assert_eq!(search(&server, term).await, expected, "{term}");
    }
}

async fn without_a_term_nothing_is_found(server: TestServer) {
    server.create(&json!({ "name": "A" })).await;
    for query in ["", "?term", "?term=", "?term=%20%C2%A0", "?term=%CC%81", "?q=A", "?page=3"] {
        let page = server.get(&format!("{SEARCH}{query}")).await.expect(200);
        assert_eq!((&page["total"], &page["data"]), (&json!(0), &json!([])), "{query}");
        assert_eq!(page["last_page"], page["current_page"], "{query}");
        assert_eq!(page["next_page_url"], Value::Null, "{query}");
    }
}

async fn a_term_that_cannot_be_is_refused(server: TestServer) {
    for (term, sentence) in [
        (
            &*format!("term={}", encode(&"é".repeat(256))),
            "The term field must not be greater than 255 characters.",
        ),
        ("term=a%00b", "The term field must not contain control characters."),
        ("term=a%0Ab", "The term field must not contain control characters."),
        ("term[]=a", "The term field must be a string."),
    ] {
        let problem = server.get(&format!("{SEARCH}?{term}")).await.expect(422);
        assert_eq!(problem["errors"], json!({ "term": [sentence] }), "{term}");
    }
    let longest = server.get(&format!("{SEARCH}?term={}", encode(&"é".repeat(255)))).await;
    assert_eq!(longest.expect(200)["total"], 0);
    assert_eq!(
        server.get(&format!("{SEARCH}?term=%ff")).await.expect(400)["code"],
        "malformed_request"
    );
    // There is no other call of this path.
    for method in ["POST", "PUT", "PATCH", "DELETE"] {
        let answer = server.call(method, SEARCH).await;
        assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD")), "{method}");
    }
}

async fn hits_come_in_pages(server: TestServer) {
    for number in 1..=5 {
        server.create(&json!({ "name": format!("Nachname {number}") })).await;
    }
    let page = server.get(&format!("{SEARCH}?term=nachname+&per_page=2&page=2")).await.expect(200);
    let shown = ["total", "current_page", "last_page", "from", "to"].map(|name| page[name].clone());
    assert_eq!(shown, [5, 2, 3, 3, 4].map(|number| json!(number)));
    let url = format!("http://{}{SEARCH}?term=nachname+&per_page=2&page=3", server.address());
    assert_eq!(page["next_page_url"], url);
    assert_eq!(page["data"][0]["name"], "Nachname 3");
    let beyond =
        server.get(&format!("{SEARCH}?term=nachname&page=9007199254740991&per_page=500")).await;
    let beyond = beyond.expect(200);
    assert_eq!((&beyond["total"], &beyond["data"]), (&json!(5), &json!([])));
    // An account of this name is reached by its own path.
    server.create(&json!({ "name": "S", "customerAccount": "search" })).await;
    let customer = server.get("/api/v1/customerAccounts/search").await.expect(200);
    assert_eq!(customer["name"], "S");
}

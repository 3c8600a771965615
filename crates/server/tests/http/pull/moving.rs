//! Lists with numbered pages that change while they are read, and lists that do not end.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::json;

use super::listed::Listed;
use super::{Puller, pulled};
use crate::support::Home;

cases! {
    both: [whoever_moves_to_an_earlier_page_comes_in]
    sqlite: [
        a_list_that_never_stays_is_given_up_on,
        a_list_that_moved_between_two_runs_is_read_from_its_start,
        pages_that_come_again_end_it,
        an_empty_url_ends_the_list,
        a_cursor_that_fits_in_no_url_is_told,
        a_page_beyond_all_bounds_ends_it,
    ]
}

/// Ten customers of those with these numbers, as a page says it that has a number.
fn page(ids: &[u32], target: &str) -> String {
    let number = target.split(['?', '&']).find_map(|it| it.strip_prefix("page=")?.parse().ok());
    let number: usize = number.unwrap_or(1);
    let customer = |id: &u32| json!({ "id": id, "customerAccount": format!("M{id}"), "name": "M" });
    let data: Vec<_> = ids.iter().skip(10 * (number - 1)).take(10).map(customer).collect();
    let last_page = ids.len().div_ceil(10);
    let next = (number < last_page).then(|| format!("http://x/?page={}", number + 1));
    json!({
        "data": data, "current_page": number, "last_page": last_page, "total": ids.len(),
        "next_page_url": next,
    })
    .to_string()
}

async fn whoever_moves_to_an_earlier_page_comes_in(home: Home) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (ids, targets) = (Mutex::new((1..=40).collect::<Vec<u32>>()), asked.clone());
    let system = Listed::by(move |target| {
        let mut ids = ids.lock().expect("no panic");
        let answer = page(&ids, target);
        targets.lock().expect("no panic").push(target.to_owned());
        // Three of the first page go when the second has been answered.
        if target.contains("page=2&") || target.ends_with("page=2") {
            ids.retain(|id| ![2, 5, 9].contains(id));
        }
        Some(answer)
    });
    let ran = Puller::made_up(home, &system);
    let told = ran.pull(&[]);
    pulled(&told, 0, "40 created");
    assert!(
        told.stderr.contains("the list changed while it was read; it is read again"),
        "{told:?}"
    );
    assert_eq!(ran.home.database.count("customers"), 40);
    // Four pages, of which the second once more, and then all four.
    let asked = asked.lock().expect("no panic").len();
    assert_eq!(asked, 3 + 3 + 4, "{told:?}");
}

async fn a_list_that_never_stays_is_given_up_on(home: Home) {
    let asked = Arc::new(AtomicU32::new(0));
    let count = asked.clone();
    let system = Listed::by(move |target| {
        let more = count.fetch_add(1, Ordering::Relaxed);
        Some(page(&(1..=40 + more % 2).collect::<Vec<_>>(), target))
    });
    let to = Puller::made_up(home, &system);
    let how = ["--resume", "place.json"];
    for (how, kept) in [(&how[..], "what came in is kept"), (&["--all-or-nothing"], "")] {
        let ran = to.pull(how);
        assert_eq!(ran.code, 3, "{ran:?}");
        let told = "error: the list changed while it was read; run it again";
        assert!(ran.stderr.contains(told), "{kept}: {ran:?}");
    }
    assert!(asked.load(Ordering::Relaxed) <= 2 * 5 * 15);
    assert!(!to.home.folder().join("place.json").exists());
}

async fn a_list_that_moved_between_two_runs_is_read_from_its_start(home: Home) {
    let ids = Mutex::new((1..=40).collect::<Vec<u32>>());
    let system = Listed::by(move |target| {
        let mut ids = ids.lock().expect("no panic");
        let answer = page(&ids, target);
        ids.retain(|id| *id != 1);
        Some(answer)
    });
    let to = Puller::made_up(home, &system);
    let of = format!("{} live into {}", to.url, to.home.database.url());
    let kept = json!({ "of": of, "place": { "page": 3 }, "size": { "total": 41, "last_page": 5 } });
    std::fs::write(to.home.folder().join("place.json"), kept.to_string()).expect("a place");
    let ran = to.pull(&["--resume", "place.json"]);
    pulled(&ran, 0, " created");
    // All that are there now.
    assert_eq!(to.home.database.count("customers WHERE id > 1"), 39, "{ran:?}");
}

async fn pages_that_come_again_end_it(home: Home) {
    let customer = |id: u32| json!({ "id": id, "customerAccount": format!("E{id}"), "name": "E" });
    let bare = move |id: u32| json!({ "data": [customer(id)] }).to_string();
    let by_cursor = move |id: u32, next: &str| {
        json!({ "data": [customer(id)], "next_cursor": next, "total": 9 }).to_string()
    };
    let number = |target: &str| -> u32 {
        target.split(['?', '&']).find_map(|it| it.strip_prefix("page=")?.parse().ok()).unwrap_or(1)
    };
    type Answer = Box<dyn Fn(&str) -> Option<String> + Send>;
    let endless = AtomicU32::new(10);
    let cursors = AtomicU32::new(1);
    let systems: [(&str, Answer); 5] = [
        (
            "the 100 pages before the cursor 100 are empty",
            Box::new(move |_| {
                let next = cursors.fetch_add(1, Ordering::Relaxed).to_string();
                Some(json!({ "data": [], "next_cursor": next, "total": 9 }).to_string())
            }),
        ),
        ("at page 2 there are only customers of pages before it", Box::new(move |_| Some(bare(1)))),
        (
            "at page 4 there are only customers of pages before it",
            Box::new(move |target| Some(bare(number(target).min(3)))),
        ),
        (
            "behind the cursor b it goes on at the cursor a",
            Box::new(move |target| {
                let next = if target.contains("cursor=a") { "b" } else { "a" };
                Some(by_cursor(endless.fetch_add(1, Ordering::Relaxed), next))
            }),
        ),
        (
            "at page 2 there are only customers of pages before it",
            Box::new(|_| Some(json!({ "data": [{ "name": "E" }] }).to_string())),
        ),
    ];
    let mut to = Puller { home, url: String::new(), token: "cus_x".to_owned() };
    for (told, answer) in systems {
        let asked = Arc::new(AtomicU32::new(0));
        let count = asked.clone();
        let system = Listed::by(move |target| {
            count.fetch_add(1, Ordering::Relaxed);
            answer(target)
        });
        to.url = system.url();
        let ran = to.pull(&[]);
        assert_eq!(ran.code, 1, "{told}: {ran:?}");
        assert!(ran.stderr.contains(&format!("its list never ends: {told}")), "{told}: {ran:?}");
        let most = if told.contains("empty") { 110 } else { 10 };
        assert!(asked.load(Ordering::Relaxed) < most, "{told}");
    }
}

async fn a_cursor_that_fits_in_no_url_is_told(home: Home) {
    let system = Listed::by(|_| {
        let (customer, next) = (json!({ "id": 1, "name": "A" }), "c".repeat(70_000));
        Some(json!({ "data": [customer], "next_cursor": next, "total": 9 }).to_string())
    });
    let ran = Puller::made_up(home, &system).pull(&[]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.contains("it goes on at a cursor of more than 8000 bytes"), "{ran:?}");
}

async fn an_empty_url_ends_the_list(home: Home) {
    let system = Listed::by(|target| {
        let mut page: serde_json::Value = serde_json::from_str(&page(&[1, 2, 3], target)).ok()?;
        (page["next_page_url"], page["last_page"]) = (json!(""), json!(null));
        Some(page.to_string())
    });
    pulled(&Puller::made_up(home, &system).pull(&[]), 0, "3 created");
}

async fn a_page_beyond_all_bounds_ends_it(home: Home) {
    let many = |_: &str| Some(format!("{{\"data\":[{}0]}}", "0,".repeat(20_000)));
    let long = |_: &str| Some(format!("{{\"data\":[{}]}}", " ".repeat(65 << 20)));
    let mut to = Puller { home, url: String::new(), token: "cus_x".to_owned() };
    let systems = [
        (Listed::by(many), "it has more than 10000"),
        (Listed::by(long), "it answers with more than 64 MiB; ask for fewer customers at once"),
    ];
    for (system, told) in systems {
        to.url = system.url();
        let ran = to.pull(&[]);
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(ran.stderr.contains(told), "{ran:?}");
    }
}

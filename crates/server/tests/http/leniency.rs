//! How leniently each kind is read, in each of the ways to send it.

use serde_json::{Value, json};

use crate::support::{Call, TestServer, encode};

cases! {
    both: [
        text_is_read_alike_in_query_form_multipart_and_json,
        json_values_of_other_kinds_are_read_or_refused,
        arrays_objects_and_files_are_refused_for_every_kind,
    ]
}

const INTEGER: &str = "The representative id field must be an integer.";
const AT_LEAST: &str = "The representative id field must be at least 1.";
const AT_MOST: &str = "The representative id field must not be greater than 2147483647.";
const BOOLEAN: &str = "The vip field must be true or false.";
const STRING: &str = "The brand field must be a string.";
const CONTROL: &str = "The brand field must not contain control characters.";
const TOO_LONG: &str = "The brand field must not be greater than 255 characters.";

/// What becomes of a value: it is answered so, or refused with this sentence.
enum Becomes {
    Value(Value),
    Error(&'static str),
}
use Becomes::{Error, Value as Is};

// One attribute of each kind.
const TEXT: &str = "brand";
const INT: &str = "representative_id";
const BOOL: &str = "vip";

fn texts() -> Vec<(&'static str, String, Becomes)> {
    let mut rows = vec![
        (TEXT, "plain".into(), Is(json!("plain"))),
        (TEXT, "0".into(), Is(json!("0"))),
        (TEXT, "007".into(), Is(json!("007"))),
        (TEXT, "true".into(), Is(json!("true"))),
        (TEXT, "null".into(), Is(json!("null"))),
        (TEXT, "[]".into(), Is(json!("[]"))),
        (TEXT, "'; DROP TABLE customers; --".into(), Is(json!("'; DROP TABLE customers; --"))),
        (TEXT, "<b>%s \\ \u{1f600}</b>".into(), Is(json!("<b>%s \\ \u{1f600}</b>"))),
        // Kept as it is written: only accounts are normalized.
        (TEXT, "e\u{301}\u{ad}".into(), Is(json!("e\u{301}\u{ad}"))),
        (TEXT, "é".repeat(255), Is(json!("é".repeat(255)))),
        (TEXT, "\u{10ffff}".repeat(255), Is(json!("\u{10ffff}".repeat(255)))),
        (TEXT, "é".repeat(256), Error(TOO_LONG)),
        (TEXT, "a\u{0}b".into(), Error(CONTROL)),
        (TEXT, "a\tb".into(), Error(CONTROL)),
        (TEXT, "a\nb".into(), Error(CONTROL)),
        (TEXT, "a\u{7f}b".into(), Error(CONTROL)),
        (TEXT, "a\u{85}b".into(), Error(CONTROL)),
    ];
    for (text, number) in [("1", 1), ("42", 42), (" 7 ", 7), ("2147483647", i32::MAX)] {
        rows.push((INT, text.into(), Is(json!(number))));
    }
    for text in ["3.0", "3e0", "+1", "01", "0x1", "1 2", "1,5", "٣", "--1", "-", "true", "NaN"] {
        rows.push((INT, text.into(), Error(INTEGER)));
    }
    for text in ["0", "-1", "-0", "-2147483649", "-99999999999999999999"] {
        rows.push((INT, text.into(), Error(AT_LEAST)));
    }
    for text in ["2147483648", "4294967297", "18446744073709551617"] {
        rows.push((INT, text.into(), Error(AT_MOST)));
    }
    for text in ["true", "TRUE", "True", "1", "on", "ON", "yes", "Yes", " yes\u{a0}"] {
        rows.push((BOOL, text.into(), Is(json!(true))));
    }
    for text in ["false", "FALSE", "0", "off", "Off", "no", "NO"] {
        rows.push((BOOL, text.into(), Is(json!(false))));
    }
    for text in ["2", "-1", "y", "n", "t", "f", "oui", "00", "1.0", "truetrue"] {
        rows.push((BOOL, text.into(), Error(BOOLEAN)));
    }
    rows
}

/// As they are written in JSON.
fn json_values() -> Vec<(&'static str, &'static str, Becomes)> {
    let mut rows = vec![
        // Exactly as it was written.
        (TEXT, "83210", Is(json!("83210"))),
        (TEXT, "1.50", Is(json!("1.50"))),
        (TEXT, "-0", Is(json!("-0"))),
        (TEXT, "1E+3", Is(json!("1E+3"))),
        (TEXT, "12345678901234567890123", Is(json!("12345678901234567890123"))),
        (TEXT, r#""\ud83d\ude00\u00e9\/""#, Is(json!("😀é/"))),
        (TEXT, r#""a\u0000b""#, Error(CONTROL)),
        (TEXT, "null", Is(json!(null))),
        (TEXT, "true", Error(STRING)),
        (TEXT, "false", Error(STRING)),
        (INT, "null", Is(json!(null))),
        (INT, "true", Error(INTEGER)),
        (BOOL, "true", Is(json!(true))),
        (BOOL, "false", Is(json!(false))),
        (BOOL, "null", Is(json!(false))),
        (BOOL, "1", Is(json!(true))),
        (BOOL, "0", Is(json!(false))),
        (BOOL, "2", Error(BOOLEAN)),
        (BOOL, "-1", Error(BOOLEAN)),
        (BOOL, "1e400", Error(BOOLEAN)),
    ];
    let three = ["3", "3.0", "3e0", "3.000", "30e-1", "0.3E1", "0.03e+2"];
    rows.extend(three.map(|written| (INT, written, Is(json!(3)))));
    rows.push((INT, "2147483647.0", Is(json!(i32::MAX))));
    let broken = ["3.5", "1e-1", "0.999999999999999999999", "2147483647.5", "1e-400"];
    rows.extend(broken.map(|written| (INT, written, Error(INTEGER))));
    let low = ["0", "-1", "0.0", "-0.0", "0e400", "-2147483649", "-1e400"];
    rows.extend(low.map(|written| (INT, written, Error(AT_LEAST))));
    let high = ["2147483648", "1e10", "4294967297", "1e400", "1e99999999999999999999"];
    rows.extend(high.map(|written| (INT, written, Error(AT_MOST))));
    rows
}

/// Makes the call and sees what became of this attribute.
async fn check(call: Call, what: &str, attribute: &str, becomes: &Becomes) {
    let answer = call.await;
    match becomes {
        Is(value) => {
            assert_eq!(answer.status, 201, "{what}: {}", answer.text());
            assert_eq!(answer.json()[attribute], *value, "{what}");
        }
        Error(sentence) => {
            assert_eq!(answer.status, 422, "{what}: {}", answer.text());
            let problem = answer.json();
            assert_eq!(problem["errors"], json!({ attribute: [sentence] }), "{what}");
            assert_eq!(problem["message"], *sentence, "{what}");
        }
    }
}

async fn text_is_read_alike_in_query_form_multipart_and_json(server: TestServer) {
    for (attribute, text, becomes) in texts() {
        let pair = format!("{attribute}={}", encode(&text));
        let post = || server.post("/api/v1/customers?name=A");
        let json = json!({ attribute: text });
        for (way, call) in [
            ("query", server.post(&format!("/api/v1/customers?name=A&{pair}"))),
            ("form", post().form(pair.clone())),
            ("multipart", post().multipart(&[(attribute, &text)])),
            ("JSON", post().json(&json)),
        ] {
            check(call, &format!("{way} {json:.200}"), attribute, &becomes).await;
        }
    }
}

async fn json_values_of_other_kinds_are_read_or_refused(server: TestServer) {
    for (attribute, written, becomes) in json_values() {
        let json = format!(r#"{{"{attribute}": {written}}}"#);
        let call = server.post("/api/v1/customers?name=A").json_text(json.clone());
        check(call, &json, attribute, &becomes).await;
    }
}

async fn arrays_objects_and_files_are_refused_for_every_kind(server: TestServer) {
    let target = "/api/v1/customers?name=A";
    for (attribute, sentence) in [(TEXT, STRING), (INT, INTEGER), (BOOL, BOOLEAN)] {
        let post = || server.post(target);
        for value in ["[]", "{}", "[1]", r#"["a"]"#, r#"{"a": 1}"#] {
            let json = format!(r#"{{"{attribute}": {value}}}"#);
            check(post().json_text(json.clone()), &json, attribute, &Error(sentence)).await;
        }
        for key in ["[]", "[0]", "[a]", "[a][b]", "%5B%5D"] {
            let pair = format!("{attribute}{key}=1");
            let query = server.post(&format!("{target}&{pair}"));
            check(query, &pair, attribute, &Error(sentence)).await;
            check(post().form(pair.clone()), &pair, attribute, &Error(sentence)).await;
        }
        let array = post().multipart(&[(&format!("{attribute}[]"), "1")]);
        check(array, "multipart", attribute, &Error(sentence)).await;

        let file = format!(
            "--b\r\nContent-Disposition: form-data; name=\"{attribute}\"; filename=\"a.txt\"\r\n\
             Content-Type: text/plain\r\n\r\n1\r\n--b--\r\n"
        );
        let answer = post().body("multipart/form-data; boundary=b", file).await;
        let errors = &answer.expect(422)["errors"];
        assert!(errors[attribute].is_array(), "{errors}");
    }
}

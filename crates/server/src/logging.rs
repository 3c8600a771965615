//! The log: one line per event on stderr, as text or as JSON.

use std::fmt::Write as _;
use std::io::{self, Write};

use env_logger::fmt::Formatter;
use log::Record;
use log::kv::{Error, Key, Value, VisitSource};
use serde_json::{Map, json};

use crate::config::{LogFormat, Logging};

/// Starts logging. Only the first call of a process counts.
pub fn start(settings: &Logging) {
    let mut builder = env_logger::Builder::new();
    builder.parse_filters(&settings.rust_log);
    match settings.log_format {
        LogFormat::Text => builder.format(text),
        LogFormat::Json => builder.format(json),
    };
    // A second logger can only be one that a test has started.
    let _ = builder.try_init();
}

/// `time LEVEL message key=value …`, where what is not a plain word is quoted: nothing that is
/// logged can look like another line.
fn text(buffer: &mut Formatter, record: &Record<'_>) -> io::Result<()> {
    let mut line = format!("{} {:5} ", buffer.timestamp_millis(), record.level());
    let message = record.args().to_string();
    // Lines about requests have no message: their target says it.
    line.push_str(if message.is_empty() { record.target() } else { "" });
    line.extend(message.chars().map(|c| if c.is_control() { ' ' } else { c }));
    struct Pairs<'a>(&'a mut String);
    impl<'kvs> VisitSource<'kvs> for Pairs<'_> {
        fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
            let value = value.to_string();
            let is_plain = !value.is_empty()
                && value
                    .chars()
                    .all(|c| !c.is_control() && !c.is_whitespace() && !"\"=".contains(c));
            let written = match is_plain {
                true => write!(self.0, " {key}={value}"),
                false => write!(self.0, " {key}={value:?}"),
            };
            written.map_err(Error::from)
        }
    }
    record.key_values().visit(&mut Pairs(&mut line)).map_err(io::Error::other)?;
    line.push('\n');
    buffer.write_all(line.as_bytes())
}

/// One object: time, level, target, message and the event's own keys.
fn json(buffer: &mut Formatter, record: &Record<'_>) -> io::Result<()> {
    struct Members(Map<String, serde_json::Value>);
    impl<'kvs> VisitSource<'kvs> for Members {
        fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
            let json = value
                .to_bool()
                .map(|boolean| json!(boolean))
                .or_else(|| value.to_i64().map(|number| json!(number)))
                .or_else(|| value.to_f64().map(|number| json!(number)))
                .unwrap_or_else(|| json!(value.to_string()));
            self.0.insert(key.as_str().to_owned(), json);
            Ok(())
        }
    }
    let mut members = Members(Map::new());
    members.0.insert("time".into(), json!(buffer.timestamp_millis().to_string()));
    members.0.insert("level".into(), json!(record.level().as_str()));
    members.0.insert("target".into(), json!(record.target()));
    members.0.insert("message".into(), json!(record.args().to_string()));
    record.key_values().visit(&mut members).map_err(io::Error::other)?;
    writeln!(buffer, "{}", serde_json::Value::Object(members.0))
}

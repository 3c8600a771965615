//! The log: one line per event on stderr, as text or as JSON.

use std::fmt::Write as _;
use std::io::{self, Write};

use env_logger::fmt::Formatter;
use log::Record;
use log::kv::{Error, Key, Value, VisitSource};
use serde_json::{Map, json};

use crate::config::{LogFormat, Logging};

/// Most lines are no longer than so many bytes.
const LINE: usize = 256;

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
    let mut line = String::with_capacity(LINE);
    let write = |line: &mut String| {
        write!(line, "{} {:5} ", buffer.timestamp_millis(), record.level())?;
        let start = line.len();
        line.write_fmt(*record.args())?;
        // Lines about requests have no message: their target says it.
        if line.len() == start {
            line.push_str(record.target());
        }
        if line[start..].contains(char::is_control) {
            let message = line.split_off(start);
            line.extend(message.chars().map(|c| if c.is_control() { ' ' } else { c }));
        }
        record.key_values().visit(&mut Pairs(line))
    };
    write(&mut line).map_err(io::Error::other)?;
    line.push('\n');
    buffer.write_all(line.as_bytes())
}

/// Writes keys and their values behind what is there.
struct Pairs<'a>(&'a mut String);

impl<'kvs> VisitSource<'kvs> for Pairs<'_> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        let Self(line) = self;
        write!(line, " {key}=")?;
        let start = line.len();
        // Hardly any value has to be quoted: it is quicker to write it and look than to look first.
        match value.to_borrowed_str() {
            Some(text) => line.push_str(text),
            None => write!(line, "{value}")?,
        }
        if !is_plain(&line[start..]) {
            let value = line.split_off(start);
            write!(line, "{value:?}")?;
        }
        Ok(())
    }
}

fn is_plain(value: &str) -> bool {
    let is_plain = |c: char| !c.is_control() && !c.is_whitespace() && !"\"=".contains(c);
    !value.is_empty() && value.chars().all(is_plain)
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

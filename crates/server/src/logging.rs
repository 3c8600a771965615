//! The log: one line per event on stderr, as text or as JSON.
//!
//! A thread of its own writes the lines, so that a log that nothing reads holds up neither a request nor
//! the end of the process.

mod queue;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::Cell;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::panic::PanicHookInfo;
use std::time::Duration;

use env_logger::Target;
use env_logger::fmt::Formatter;
use log::kv::{Error, Key, Value, VisitSource};
use log::{Level, Log, Metadata, Record};
use serde_json::{Map, json};

use crate::config::{LogFormat, Logging};
use queue::Queue;

/// Most lines are no longer than so many bytes.
const LINE: usize = 256;

/// The longest that the end of the process waits for the log to be read.
const FLUSHED_FOR: Duration = Duration::from_secs(5);

/// The longest that it waits where a second signal asks for the end at once.
const FLUSHED_AT_ONCE_FOR: Duration = Duration::from_millis(500);

/// The target of the lines about the log itself.
const TARGET: &str = "log";

/// The lines of the process. The logger, the panic hook and the metrics have no other way to share them.
static QUEUE: Queue = Queue::new();

/// Starts logging. Only the first call of a process counts.
pub fn start(settings: &Logging) -> io::Result<()> {
    let stderr = File::from(io::stderr().as_fd().try_clone_to_owned()?);
    let mut builder = env_logger::Builder::new();
    builder.parse_filters(&settings.rust_log);
    match settings.log_format {
        LogFormat::Text => builder.format(text),
        LogFormat::Json => builder.format(json),
    };
    builder.target(Target::Pipe(Box::new(Lines)));
    let logger = builder.build();
    log::set_max_level(logger.filter());
    if log::set_boxed_logger(Box::new(Queued(logger))).is_ok() {
        QUEUE.expect_writer();
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || QUEUE.write_to(stderr, report_dropped))?;
        std::panic::set_hook(Box::new(log_panic));
    }
    Ok(())
}

/// Waits until the log is written, as long as a server may take to end: until `drain` is over, if
/// there is one, and never for more than 5 seconds.
pub fn finish(drain: Option<Duration>) {
    let drain = drain.filter(|drain| !drain.is_zero());
    QUEUE.flush(drain.unwrap_or(FLUSHED_FOR).min(FLUSHED_FOR));
}

/// Ends the process without waiting for what it does.
pub fn exit_at_once(code: u8) -> ! {
    QUEUE.flush(FLUSHED_AT_ONCE_FOR);
    std::process::exit(code.into());
}

/// Prints why the process ends behind the lines of the log.
pub fn print_last(text: &str) {
    if QUEUE.has_writer() {
        QUEUE.push(text.as_bytes(), true);
    } else {
        // The exit code tells it where stderr cannot.
        let _ = std::io::stderr().write_all(text.as_bytes());
    }
}

/// How many lines were dropped because the log was not read.
pub fn dropped() -> u64 {
    QUEUE.dropped()
}

fn report_dropped(dropped: u64) {
    log::error!(target: TARGET, dropped; "lines were dropped because the log was not read");
}

/// Logs a panic. The standard library would write it to stderr itself, and wait for that.
fn log_panic(panic: &PanicHookInfo<'_>) {
    const TARGET: &str = "panic";
    if !log::log_enabled!(target: TARGET, Level::Error) {
        QUEUE.push(format!("{panic}\n").as_bytes(), false);
        return;
    }
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or("unnamed");
    let location = panic.location().map(ToString::to_string).unwrap_or_default();
    let payload = panic.payload();
    let message = payload.downcast_ref::<&str>().copied();
    let message = message.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let message = message.unwrap_or("of unknown cause");
    let backtrace = Backtrace::capture();
    if backtrace.status() == BacktraceStatus::Captured {
        log::error!(target: TARGET, thread, location, backtrace:%; "panic: {message}");
    } else {
        log::error!(target: TARGET, thread, location; "panic: {message}");
    }
    if thread == "main" {
        // It ends the process.
        QUEUE.flush(FLUSHED_FOR);
    }
}

/// Formats and filters what is logged, for the queue.
struct Queued(env_logger::Logger);

thread_local! {
    /// Whether the line that this thread is about to log may take the reserve.
    static IS_IMPORTANT: Cell<bool> = const { Cell::new(false) };
}

impl Log for Queued {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.0.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        // An error means that the thread ends.
        let _ = IS_IMPORTANT.try_with(|it| it.set(is_important(record)));
        self.0.log(record);
    }

    fn flush(&self) {
        QUEUE.flush(FLUSHED_FOR);
    }
}

/// Whether a flood of other lines must not hide the line: it is about logins, tokens, administration, the
/// start and the end of the process, or the log itself.
fn is_important(record: &Record<'_>) -> bool {
    if record.target() != customers_api::REQUEST_LOG {
        // The modules of this crate say little, and nothing for each request.
        let module = record.target().strip_prefix(env!("CARGO_CRATE_NAME"));
        return record.target() == TARGET
            || module.is_some_and(|module| module.is_empty() || module.starts_with("::"));
    }
    let route = record.key_values().get(Key::from_str("route"));
    let route = route.as_ref().and_then(Value::to_borrowed_str);
    route.is_some_and(customers_api::is_administrative)
}

/// What `env_logger` writes each line to, whole.
struct Lines;

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        QUEUE.push(line, IS_IMPORTANT.try_with(Cell::get).unwrap_or_default());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
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

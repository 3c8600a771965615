//! What Prometheus is told, under an address of its own.

use std::net::SocketAddr;
use std::sync::Arc;

use actix_web::dev::Server;
use actix_web::http::header::ContentType;
use actix_web::{App, HttpResponse, guard, web};
use customers_api::{Answered, Observer};
use customers_storage::{Instrumented, MendedStatistics, PoolStatistics, WriterStatistics};
use prometheus::proto::{Bucket, Counter, Gauge, Histogram, LabelPair, Metric};
use prometheus::proto::{MetricFamily, MetricType};
use prometheus::{HistogramOpts, HistogramVec, IntCounter, Registry, TextEncoder};

use crate::http::{self, Limits};
use crate::{Failure, connections, logging};

/// In seconds: a read takes a hundred microseconds, a write some milliseconds, and nothing more than
/// half a minute.
const LATENCIES: [f64; 16] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0,
];

/// The methods that are told apart. Anybody can think of more, and each would be kept for ever.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"];

/// What is counted while the process runs.
pub struct Metrics {
    registry: Registry,
    requests: HistogramVec,
    failed_logins: IntCounter,
    instrumented: Arc<dyn Instrumented>,
    /// Which database it is.
    database: &'static str,
}

impl Metrics {
    /// Counts from now on; what the store tells is asked for with each page.
    pub fn new(
        instrumented: Arc<dyn Instrumented>,
        database: &'static str,
    ) -> Result<Self, prometheus::Error> {
        let requests = HistogramOpts::new(
            "customers_http_request_duration_seconds",
            "Requests by method, route and status, and how long they took.",
        );
        let metrics = Self {
            registry: Registry::new(),
            requests: HistogramVec::new(
                requests.buckets(LATENCIES.to_vec()),
                &["method", "route", "status"],
            )?,
            failed_logins: IntCounter::new(
                "customers_logins_failed_total",
                "Logins that were refused for their e-mail address or password.",
            )?,
            instrumented,
            database,
        };
        metrics.registry.register(Box::new(metrics.requests.clone()))?;
        metrics.registry.register(Box::new(metrics.failed_logins.clone()))?;
        #[cfg(target_os = "linux")]
        metrics
            .registry
            .register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
        Ok(metrics)
    }

    /// All figures, as Prometheus reads them.
    fn page(&self) -> Result<String, prometheus::Error> {
        let mut families = self.registry.gather();
        families.push(self.build_info());
        families.push(counter(
            "customers_log_lines_dropped_total",
            "Lines of the log that were dropped because it was not read.",
            vec![count(&[], logging::dropped() as f64)],
        ));
        let statistics = self.instrumented.statistics();
        families.extend(pools(&statistics.pools));
        if let Some(statistics) = &statistics.writer {
            families.extend(writer(statistics));
        }
        families.push(mended(&statistics.mended));
        families.push(family(
            "customers_indexes_missing",
            "Indexes that there should be, and are not.",
            vec![gauge(&[], statistics.missing_indexes as f64)],
        ));
        TextEncoder::new().encode_to_string(&families)
    }

    fn build_info(&self) -> MetricFamily {
        let labels = [("version", env!("CARGO_PKG_VERSION")), ("database", self.database)];
        let one = gauge(&labels, 1.0);
        family("customers_build_info", "Which version runs, on which database.", vec![one])
    }
}

impl Observer for Metrics {
    fn answered(&self, answered: Answered<'_>) {
        let Answered { method, route, status, took } = answered;
        let method = if METHODS.contains(&method) { method } else { "other" };
        let mut digits = [0; 3];
        let status = in_digits(status, &mut digits);
        let labels = [method, route.unwrap_or("none"), status];
        self.requests.with_label_values(&labels).observe(took.as_secs_f64());
    }

    fn login_failed(&self) {
        self.failed_logins.inc();
    }
}

/// A status, which has three digits, without memory from the heap.
fn in_digits(status: u16, digits: &mut [u8; 3]) -> &str {
    for (digit, unit) in digits.iter_mut().zip([100, 10, 1]) {
        *digit = b'0' + (status / unit % 10) as u8;
    }
    std::str::from_utf8(digits).unwrap_or_default()
}

fn pools(pools: &[PoolStatistics]) -> Vec<MetricFamily> {
    type Figure = (&'static str, &'static str, fn(&PoolStatistics) -> u32);
    const FIGURES: [Figure; 4] = [
        ("connections_max", "The most connections to the database.", |pool| pool.size),
        ("connections", "Open connections to the database.", |pool| pool.open),
        ("connections_used", "Connections to the database that are in use.", |pool| pool.used),
        ("waiting", "Requests that wait for a connection to the database.", |pool| pool.waiting),
    ];
    let family = |(name, help, figure): Figure| {
        let each = pools.iter().map(|pool| gauge(&[("pool", pool.name)], figure(pool).into()));
        family(&format!("customers_database_{name}"), help, each.collect())
    };
    FIGURES.map(family).into()
}

fn writer(writer: &WriterStatistics) -> Vec<MetricFamily> {
    let plain = |name, help, value| family(name, help, vec![gauge(&[], value)]);
    vec![
        plain("customers_writer_queue", "Writes that wait.", writer.queued as f64),
        plain(
            "customers_writer_queue_max",
            "The most writes that may wait.",
            writer.capacity as f64,
        ),
        plain(
            "customers_wal_bytes",
            "The length of SQLite's write-ahead log.",
            writer.wal_bytes as f64,
        ),
        groups(writer),
    ]
}

fn groups(writer: &WriterStatistics) -> MetricFamily {
    let mut total = 0;
    let cumulative = |(at_most, count): &(u64, u64)| {
        total += count;
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(*at_most as f64);
        bucket.set_cumulative_count(total);
        bucket
    };
    let buckets = writer.groups.iter().map(cumulative).collect();
    let mut histogram = Histogram::default();
    histogram.set_bucket(buckets);
    histogram.set_sample_count(total);
    histogram.set_sample_sum(writer.writes as f64);
    let mut metric = Metric::default();
    metric.set_histogram(histogram);
    let help = "Transactions by the number of writes that share them.";
    let mut family = family("customers_writer_group_size", help, vec![metric]);
    family.set_field_type(MetricType::HISTOGRAM);
    family
}

fn mended(mended: &MendedStatistics) -> MetricFamily {
    let MendedStatistics { keys, phones, totals } = *mended;
    let each = [("keys", keys), ("phones", phones), ("totals", totals)];
    let each = each.map(|(what, times)| count(&[("what", what)], times as f64));
    let help = "Rows beside a customer that a write has found missing, and put back.";
    counter("customers_mended_total", help, each.into())
}

fn count(labels: &[(&str, &str)], value: f64) -> Metric {
    let mut counter = Counter::default();
    counter.set_value(value);
    let mut metric = labeled(labels);
    metric.set_counter(counter);
    metric
}

fn gauge(labels: &[(&str, &str)], value: f64) -> Metric {
    let mut gauge = Gauge::default();
    gauge.set_value(value);
    let mut metric = labeled(labels);
    metric.set_gauge(gauge);
    metric
}

fn labeled(labels: &[(&str, &str)]) -> Metric {
    let label = |(name, value): &(&str, &str)| {
        let mut label = LabelPair::default();
        label.set_name((*name).to_owned());
        label.set_value((*value).to_owned());
        label
    };
    let mut metric = Metric::default();
    metric.set_label(labels.iter().map(label).collect());
    metric
}

fn counter(name: &str, help: &str, counts: Vec<Metric>) -> MetricFamily {
    let mut family = family(name, help, counts);
    family.set_field_type(MetricType::COUNTER);
    family
}

fn family(name: &str, help: &str, metrics: Vec<Metric>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(MetricType::GAUGE);
    family.set_metric(metrics);
    family
}

/// Serves the page to everybody who can reach the address; returns the server and its address.
pub fn serve(metrics: Arc<Metrics>, address: SocketAddr) -> Result<(Server, SocketAddr), Failure> {
    let failure = |source| Failure::BindMetrics { address, source };
    let listener = http::bind(address).map_err(failure)?;
    let bound = listener.local_addr().map_err(failure)?;
    let options = http::Options {
        tls: None,
        workers: 1,
        connections_per_worker: connections::FOR_METRICS,
        limits: Limits::default(),
        // It ends with the process.
        shutdown_timeout: 0,
    };
    let server = http::serve(listener, options, move || {
        let page = web::route().guard(guard::Any(guard::Get()).or(guard::Head())).to(page);
        App::new().app_data(web::Data::from(metrics.clone())).route("/metrics", page)
    });
    Ok((server.map_err(failure)?, bound))
}

async fn page(metrics: web::Data<Metrics>) -> HttpResponse {
    match metrics.page() {
        Ok(page) => HttpResponse::Ok().content_type(prometheus::TEXT_FORMAT).body(page),
        Err(error) => {
            log::error!("the metrics cannot be written: {error}");
            HttpResponse::InternalServerError().content_type(ContentType::plaintext()).finish()
        }
    }
}

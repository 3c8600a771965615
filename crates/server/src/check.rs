//! `customers check`: says what is wrong before anything is served.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};

use customers_storage::{Finding, Verdict};

use crate::Failure;
use crate::config::{Database, Serve};
use crate::output::print;
use crate::tls::Pair;

/// Looks at the settings, the database and its disk, and prints a line for each thing.
pub fn run(database: &Database, settings: &Serve) -> Result<(), Failure> {
    let url = database.url()?;
    let options = database.options()?;
    let mut findings = check_settings(settings);
    findings.extend(customers_storage::check(&url, options.replica.as_ref()));
    print(&format!("{url}"))?;
    for Finding { subject, verdict, text } in &findings {
        let verdict = match verdict {
            Verdict::Good => "ok",
            Verdict::Doubtful => "warning",
            Verdict::Bad => "problem",
        };
        print(&format!("{verdict:7}  {subject}: {text}"))?;
    }
    match findings.iter().filter(|finding| finding.verdict == Verdict::Bad).count() {
        0 => Ok(()),
        1 => Err(Failure::other("there is a problem")),
        problems => Err(Failure::other(format!("there are {problems} problems"))),
    }
}

fn check_settings(settings: &Serve) -> Vec<Finding> {
    let mut findings = vec![check_address(settings.bind, "BIND")];
    findings.extend(settings.metrics_bind.map(|address| check_address(address, "METRICS_BIND")));
    if let Some(files) = settings.tls() {
        findings.push(match Pair::read(files) {
            Ok(_) => Finding::good("TLS", "certificate and key belong together"),
            Err(error) => Finding::bad("TLS", error.to_string()),
        });
    }
    if settings.is_in_clear() {
        findings.push(Finding::doubtful("TLS", crate::serve::IN_CLEAR));
    }
    findings
}

/// Whether the address that this setting names can be listened on.
fn check_address(address: SocketAddr, setting: &str) -> Finding {
    match TcpListener::bind(address) {
        Ok(_) => Finding::good("address", format!("{address} is free")),
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            Finding::doubtful("address", format!("{address} is in use: is it by this service?"))
        }
        Err(error) => {
            let text =
                format!("cannot listen on {address}: {error}; choose another with {setting}");
            Finding::bad("address", text)
        }
    }
}

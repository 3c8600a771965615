//! Starts the service and stops it.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use customers_api::{Api, MintedToken, Observer};
use customers_domain::Name;
use customers_domain::token::{AddTokenError, NewToken, Scope, TokenRepository};

use crate::config::{Database, Serve};
use crate::http::{self, Limits};
use crate::metrics::{self, Metrics};
use crate::signals::{ReloadSignal, StopSignals};
use crate::tls::Pair;
use crate::{Failure, connections, logging, open, output, sweeping, upkeep};

/// Requests under way have so long, in seconds, to be answered after SIGTERM.
const SHUTDOWN_TIMEOUT: u64 = 30;

/// What is told where [`Serve::is_in_clear`].
pub const IN_CLEAR: &str = "tokens travel in clear: set TLS_CERT and TLS_KEY, or listen on 127.0.0.1 \
                            only, or name the proxy that speaks TLS in TRUSTED_PROXIES";

/// Serves until the process is told to stop, and answers what is under way before it returns.
pub async fn serve(database: &Database, settings: Serve) -> Result<(), Failure> {
    let tls = settings.tls().map(Pair::read).transpose()?;
    let url = database.url()?;
    let store = open(database)?;
    let metrics = match settings.metrics_bind {
        Some(address) => {
            let metrics = Metrics::new(store.instrumented.clone(), url.kind());
            Some((Arc::new(metrics.map_err(Failure::other)?), address))
        }
        None => None,
    };
    let observer: Arc<dyn Observer> = match &metrics {
        Some((metrics, _)) => metrics.clone(),
        None => Arc::new(()),
    };
    let bind = |source| Failure::Bind { address: settings.bind, source };
    let listener = http::bind(settings.bind).map_err(bind)?;
    let address = listener.local_addr().map_err(bind)?;
    let api = Api::new(
        store.customers.clone(),
        store.tokens.clone(),
        store.users.clone(),
        observer,
        settings.api(address),
    );
    let metrics = match metrics {
        Some((metrics, address)) => Some(metrics::serve(metrics, address)?),
        None => None,
    };
    let stop = StopSignals::listen()?;
    let config = tls.as_ref().map(Pair::config).transpose()?.map(Arc::new);
    if let Some(pair) = tls {
        actix_web::rt::spawn(pair.reload_on(ReloadSignal::listen()?));
    }
    if settings.is_in_clear() {
        log::warn!("{IN_CLEAR}");
    }

    greet(&*store.tokens, &settings, address).await?;
    let workers = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let served = api.clone();
    let options = http::Options {
        tls: config,
        workers,
        connections_per_worker: connections::per_worker(workers),
        limits: Limits::default(),
        shutdown_timeout: SHUTDOWN_TIMEOUT,
    };
    let server = http::serve(listener, options, move || customers_api::app(&served));
    let server = server.map_err(bind)?;
    actix_web::rt::spawn(sweeping::sweep(store.customers, store.tokens, settings.clock_steady));
    actix_web::rt::spawn(upkeep::look_after(store.upkeep));
    actix_web::rt::spawn(stop_on_signal(server.handle(), api, settings.drain, stop));
    log::info!(version = env!("CARGO_PKG_VERSION"), address:% = address, database:% = url; "listening");
    if let Some((server, address)) = metrics {
        log::info!(address:% = address; "metrics");
        actix_web::rt::spawn(server);
    }
    server.await.map_err(Failure::other)?;
    log::info!("stopped");
    Ok(())
}

async fn stop_on_signal(
    server: ServerHandle,
    api: Api,
    drain: Option<Duration>,
    mut stop: StopSignals,
) {
    stop.next().await;
    if let Some(drain) = drain {
        api.leave();
        log::info!(seconds = drain.as_secs(); "draining: balancers are told to send no more requests");
        // Another signal says that nobody waits for this.
        tokio::select! {
            () = actix_web::rt::time::sleep(drain) => {}
            () = stop.next() => {}
        }
    }
    log::info!("stopping: requests under way are answered, no new ones are taken");
    let graceful = server.stop(true);
    tokio::select! {
        () = graceful => {}
        () = stop.next() => {
            log::warn!("stopping at once");
            // The framework would see the first stop through before it heard of another.
            logging::exit_at_once(1);
        }
    }
}

/// Tells who starts the service for the first time how to make a first call.
async fn greet(
    tokens: &dyn TokenRepository,
    settings: &Serve,
    address: SocketAddr,
) -> Result<(), Failure> {
    if tokens.any().await.map_err(Failure::other)? {
        return Ok(());
    }
    if !settings.first_token.unwrap_or_else(|| std::io::stdout().is_terminal()) {
        log::warn!("there is no token yet; make one with: customers token create --name NAME");
        return Ok(());
    }
    let scheme = if settings.tls().is_some() { "https" } else { "http" };
    let minted = MintedToken::mint().map_err(|error| Failure::other(error.to_string()))?;
    let name: Name = "first".parse().map_err(Failure::other)?;
    let first = NewToken {
        name: name.clone(),
        scope: Scope::Write,
        digest: minted.digest,
        expires_at: None,
    };
    match tokens.add(first).await {
        // Another server that started at the same moment was faster, and has printed its token.
        Err(AddTokenError::NameTaken) => return Ok(()),
        added => added.map_err(Failure::other)?,
    }
    // To stdout and not to the log, where secrets have no place.
    let greeting = format!(
        "\nThe first token, which is shown only now:\n\n  {token}\n\n\
         A first call to paste into another terminal:\n\n  \
         curl --request POST \\\n    \
         --url '{scheme}://{address}/api/v1/customers?name=Soci%C3%A9t%C3%A9&customerAccount=123456' \\\n    \
         --header 'authorization: Bearer {token}'\n\n\
         All calls can be tried at {scheme}://{address}/docs\n",
        token = minted.text
    );
    if let Err(error) = output::show(&greeting) {
        // Nobody knows it, so nobody shall be able to use it.
        tokens.revoke(&name).await.map_err(Failure::other)?;
        return Err(Failure::other(format!("cannot print the first token: {error}")));
    }
    Ok(())
}

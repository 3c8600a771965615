//! Serves an application over HTTP, in clear or over TLS, and bounds how long its clients may take.

mod body;
mod progress;
mod socket;
#[cfg(test)]
mod tests;

use std::fmt::Debug;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;

use actix_http::body::MessageBody;
use actix_http::{HttpServiceBuilder, KeepAlive, Payload, Request};
use actix_server::{GracefulShutdownSignal, Server};
use actix_service::{
    IntoServiceFactory, Service, ServiceFactory, ServiceFactoryExt, apply_fn_factory, fn_factory,
    fn_service, map_config,
};
use actix_web::dev::{AppConfig, Extensions, ServiceResponse};
use actix_web::http::{ConnectionType, header};
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;

use body::Body;
pub use progress::Limits;
use progress::Progress;
use socket::Socket;

/// How many connections the system keeps until they are accepted.
const BACKLOG: u32 = 1024;

/// How an application is served.
pub struct Options {
    /// `None`: in clear.
    pub tls: Option<Arc<ServerConfig>>,
    /// The threads that serve it.
    pub workers: usize,
    /// The connections that each of them has at most. More wait to be accepted.
    pub connections_per_worker: usize,
    pub limits: Limits,
    /// How long, in seconds, requests under way have to be answered after a graceful stop.
    pub shutdown_timeout: u64,
}

/// What the framework reads from and writes to.
type Stream = Either<Socket, Box<TlsStream<Socket>>>;

/// Listens on an address. Connections wait until [`serve`] accepts them.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves an application, of which each worker makes its own, to those who connect.
///
/// This is what actix-web's `HttpServer` does, but over a [`Socket`] that is watched: `HttpServer` has
/// deadlines for the first head of a connection and for idling, and for nothing else.
pub fn serve<F, I, S, B>(listener: TcpListener, options: Options, app: F) -> io::Result<Server>
where
    F: Fn() -> I + Send + Clone + 'static,
    I: IntoServiceFactory<S, Request> + 'static,
    S: ServiceFactory<
            Request,
            Config = AppConfig,
            Response = ServiceResponse<B>,
            Error = actix_web::Error,
        > + 'static,
    S::InitError: Debug,
    S::Service: 'static,
    B: MessageBody + 'static,
{
    let Options { tls, workers, connections_per_worker, limits, shutdown_timeout } = options;
    let builder = Server::build()
        .workers(workers)
        .max_concurrent_connections(connections_per_worker)
        .shutdown_timeout(shutdown_timeout)
        .disable_signals();
    let stopping = builder.graceful_shutdown_signal();
    let tls = tls.map(TlsAcceptor::from);
    let connections = move || {
        let http = http(app(), limits, stopping.clone());
        let (tls, stopping) = (tls.clone(), stopping.clone());
        fn_factory(move || {
            let http = http.new_service(());
            let (tls, stopping) = (tls.clone(), stopping.clone());
            async move {
                let http = Rc::new(http.await?);
                Ok::<_, ()>(fn_service(move |stream| {
                    let (http, tls, stopping) = (http.clone(), tls.clone(), stopping.clone());
                    connection(stream, http, tls, stopping, limits)
                }))
            }
        })
    };
    Ok(builder.listen("http", listener.into_std()?, connections)?.run())
}

/// Serves one connection to its end.
async fn connection<H>(
    stream: TcpStream,
    http: Rc<H>,
    tls: Option<TlsAcceptor>,
    stopping: GracefulShutdownSignal,
    limits: Limits,
) -> Result<(), H::Error>
where
    H: Service<(Stream, Option<SocketAddr>), Response = ()>,
{
    let client = stream.peer_addr().ok();
    #[cfg(target_os = "linux")]
    bound_unacknowledged(&stream, limits);
    let progress = Rc::new(Progress::new(limits));
    let socket = Socket::new(stream, progress.clone());
    // In place: a future that is moved into another takes its memory twice.
    let served = pin!(async {
        let stream = match tls {
            None => Either::Left(socket),
            Some(tls) => tokio::select! {
                accepted = tls.accept(socket) => match accepted {
                    Ok(stream) => Either::Right(Box::new(stream)),
                    // No TLS, or none that both speak.
                    Err(_) => return Ok(()),
                },
                () = stopping.notified() => return Ok(()),
            },
        };
        http.call((stream, client)).await
    });
    progress.watch(served).await.unwrap_or(Ok(()))
}

/// Lets the kernel end a connection whose client acknowledges nothing of an answer.
///
/// The kernel also knows of the part of an answer that it has taken, and that the client does not
/// read.
#[cfg(target_os = "linux")]
fn bound_unacknowledged(stream: &TcpStream, limits: Limits) {
    let milliseconds = u32::try_from(limits.answer.as_millis()).unwrap_or(u32::MAX);
    if let Err(error) = rustix::net::sockopt::set_tcp_user_timeout(stream, milliseconds) {
        log::debug!(error:%; "TCP_USER_TIMEOUT was not set");
    }
}

/// Speaks HTTP/1 with an application.
fn http<I, S, B>(
    app: I,
    limits: Limits,
    stopping: GracefulShutdownSignal,
) -> impl ServiceFactory<
    (Stream, Option<SocketAddr>),
    Config = (),
    Response = (),
    Error = actix_http::error::DispatchError,
    InitError = (),
>
where
    I: IntoServiceFactory<S, Request>,
    S: ServiceFactory<
            Request,
            Config = AppConfig,
            Response = ServiceResponse<B>,
            Error = actix_web::Error,
        > + 'static,
    S::InitError: Debug,
    S::Service: 'static,
    B: MessageBody + 'static,
{
    let app = app.into_factory().map_err(|error: actix_web::Error| error.error_response());
    let app = apply_fn_factory(app, |mut request: Request, app: &_| {
        let progress = request.conn_data::<Rc<Progress>>().cloned();
        let asks_for_upgrade = asks_for_upgrade(&request);
        if let Some(progress) = &progress {
            progress.request(watch_body(&mut request, progress));
        }
        let answer = Service::<Request>::call(app, request);
        async move {
            let mut answer = answer.await;
            let body_is_unread = progress.is_some_and(|progress| progress.answered());
            if asks_for_upgrade || body_is_unread {
                let head = match &mut answer {
                    Ok(answer) => answer.response_mut().head_mut(),
                    Err(failure) => failure.head_mut(),
                };
                head.set_connection_type(ConnectionType::Close);
            }
            answer
        }
    });
    HttpServiceBuilder::default()
        // Without a timer: `Progress` has one for everything.
        .keep_alive(KeepAlive::Os)
        .client_request_timeout(limits.head)
        .client_disconnect_timeout(limits.linger)
        .graceful_shutdown_signal(move || {
            let stopping = stopping.clone();
            async move { stopping.notified().await }
        })
        .on_connect_ext(|stream: &Stream, data: &mut Extensions| {
            let socket = match stream {
                Either::Left(socket) => socket,
                Either::Right(stream) => stream.get_ref().0,
            };
            data.insert(socket.progress().clone());
        })
        .h1(map_config(app, |()| AppConfig::default()))
}

/// Returns whether a client asks for another protocol on this connection.
///
/// The framework cannot keep such a connection, and would answer `Connection: upgrade`. `close` says
/// so to the client, such as Java's, which asks for `h2c` by itself.
fn asks_for_upgrade(request: &Request) -> bool {
    request.head().headers().contains_key(header::UPGRADE)
        || request.head().connection_type() == ConnectionType::Upgrade
}

/// Watches the body of a request; returns whether there is one.
fn watch_body(request: &mut Request, progress: &Rc<Progress>) -> bool {
    let payload = request.take_payload();
    let has_body = !matches!(payload, Payload::None);
    if has_body {
        let body = Body::new(payload, progress.clone());
        *request.payload() = Payload::Stream { payload: Box::pin(body) };
    }
    has_body
}

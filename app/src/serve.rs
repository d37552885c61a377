//! `app serve`: accept, answer, drain.

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::mem::ManuallyDrop;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::HeaderValue;
use axum::http::header::{CONNECTION, HeaderName};
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use opentelemetry_sdk::error::OTelSdkError;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tower::Service;

use crate::config::Settings;
use crate::connections::{Connections, Place, break_when_stalled};
use crate::limits::{Crowded, Limits};
use crate::metrics::Metrics;
use crate::observe::Observed;
use crate::otlp::Export;
use crate::routes::{self, App, ROUTES};
use crate::shutdown::{Drain, Signals};
use crate::spans::{Peer, Spans};
use crate::telemetry::{self, Telemetry};
use crate::{descriptors, process, runtime};

/// Time for a request head to arrive, and so for a connection to stay idle: longer than the 60 s after which common
/// load balancers give up an idle connection, so that they close first and never send into a closing one.
const HEAD_TIMEOUT: Duration = Duration::from_secs(75);

/// The same where there are too many connections already.
const CROWDED_HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// Time in which a client has to take something of the answers that wait for it.
const STALLED: Duration = Duration::from_secs(30);

/// What hyper takes where nothing is said: only then it has room for the headers on the stack.
const DEFAULT_HEADERS: usize = 100;

/// Pause after an accept that failed for want of resources; the backlog holds the clients meanwhile.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

const X_POD: HeaderName = HeaderName::from_static("x-pod");

/// Why `serve` ended other than by a complete drain.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    #[error("cannot listen on `{addr}`")]
    Listen { addr: SocketAddr, source: io::Error },
    #[error("cannot handle signals")]
    Signals(#[source] io::Error),
    #[error("cannot set up metrics")]
    Telemetry(#[from] OTelSdkError),
    #[error("cannot send telemetry")]
    Export(#[source] Box<dyn Error>),
    #[error("second signal ({0}): stopped without draining")]
    Forced(&'static str),
}

/// Serves until a signal, then drains; returns when the last request has been answered or its time is over.
pub(crate) async fn run(mut settings: Settings) -> Result<(), ServeError> {
    let resource = telemetry::resource(&settings.identity, settings.otel.service_name.as_deref());
    let export = Export::start(&settings.otel, &resource).map_err(|error| ServeError::Export(error.into()))?;
    // Dropped here it would wait for its senders, which wait for this thread: whoever ends us at once would wait for seconds.
    let export = ManuallyDrop::new(export);
    telemetry::start_log(settings.log_format, settings.log_level, &export);
    settings.limits.connections = descriptors::afford(settings.limits.connections);
    let mut signals = Signals::install().map_err(ServeError::Signals)?;
    let app = Arc::new(App {
        identity: settings.identity.clone(),
        drain: Drain::default(),
        telemetry: Telemetry::new(resource)?,
    });
    let observed = observed(&settings, &app, export.spans());
    let server = Server::new(&settings, &app, &observed);
    let (listener, address) = listen(settings.addr).await?;
    tracing::info!(
        %address,
        pod = settings.identity.pod,
        namespace = settings.identity.namespace,
        version = env!("CARGO_PKG_VERSION"),
        "listening"
    );
    tokio::select! {
        never = server.accept(&listener) => match never {},
        stop = keep_serving(&mut signals, &app.drain, settings.drain_delay) => stop?,
    }
    drop(listener);
    server.finish(&mut signals, settings.drain_timeout).await?;
    tokio::select! {
        () = ManuallyDrop::into_inner(export).finish() => {}
        // Every request is answered: there is nothing more to fail.
        signal = signals.next() => tracing::warn!(signal, "ended without waiting for telemetry to be sent"),
    }
    Ok(())
}

/// What the layer around the routes works with.
pub(crate) fn observed(settings: &Settings, app: &App, spans: Spans) -> Arc<Observed> {
    Arc::new(Observed {
        metrics: Metrics::new(&app.telemetry.meter(), &settings.identity, &settings.otel.methods),
        methods: settings.otel.methods.clone(),
        routes: &ROUTES,
        limits: settings.limits,
        spans,
    })
}

async fn listen(addr: SocketAddr) -> Result<(TcpListener, SocketAddr), ServeError> {
    let bound = async {
        let listener = TcpListener::bind(addr).await?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    };
    bound.await.map_err(|source| ServeError::Listen { addr, source })
}

/// Resolves when the listener may close: a signal came, readiness went off, and those who route to us had time to see it.
async fn keep_serving(signals: &mut Signals, drain: &Drain, delay: Duration) -> Result<(), ServeError> {
    let signal = signals.next().await;
    drain.begin();
    tracing::info!(
        signal,
        delay_s = delay.as_secs_f64(),
        "draining: not ready, still serving"
    );
    tokio::select! {
        () = tokio::time::sleep(delay) => Ok(()),
        signal = signals.next() => Err(ServeError::Forced(signal)),
    }
}

struct Server {
    router: Router,
    app: Arc<App>,
    limits: Limits,
    /// Whether spans are made, which name the peer.
    traced: bool,
    max_connection_age: Option<Duration>,
    connections: GracefulShutdown,
    places: Arc<Connections>,
}

impl Server {
    fn new(settings: &Settings, app: &Arc<App>, observed: &Arc<Observed>) -> Self {
        let places = Arc::default();
        let meter = app.telemetry.meter();
        process::observe(&meter);
        runtime::observe(&meter, &Handle::current(), &places);
        runtime::build_info(&meter);
        Self {
            router: routes::router(Arc::clone(app), Arc::clone(observed)),
            app: Arc::clone(app),
            limits: settings.limits,
            traced: observed.spans.wanted(),
            max_connection_age: settings.max_connection_age,
            connections: GracefulShutdown::new(),
            places,
        }
    }

    async fn accept(&self, listener: &TcpListener) -> Infallible {
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => {
                    if let Some(place) = self.places.enter(self.limits.connections) {
                        self.start(stream, peer, place);
                    }
                }
                Err(error) if is_of_the_peer(&error) => {
                    tracing::debug!(%error, "connection lost before accept");
                }
                Err(error) => {
                    tracing::error!(%error, "cannot accept");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn start(&self, stream: TcpStream, peer: SocketAddr, place: Place) {
        // Answers are one small write each; waiting to fill a segment only delays them.
        stream.set_nodelay(true).ok();
        break_when_stalled(&stream, STALLED).ok();
        let (app, router, crowded) = (Arc::clone(&self.app), self.router.clone(), place.crowded);
        let (opened, max_age, traced) = (Instant::now(), self.max_connection_age, self.traced);
        let service = service_fn(move |mut request: hyper::Request<Incoming>| {
            if crowded {
                request.extensions_mut().insert(Crowded);
            }
            if traced {
                request.extensions_mut().insert(Peer(peer));
            }
            let answer = router.clone().call(request);
            let app = Arc::clone(&app);
            async move {
                let mut response = answer.await?;
                let aged = max_age.is_some_and(|age| opened.elapsed() >= age);
                mark(&mut response, &app, aged || crowded);
                Ok::<_, Infallible>(response)
            }
        });
        let mut protocol = http1::Builder::new();
        if self.limits.headers != DEFAULT_HEADERS {
            protocol.max_headers(self.limits.headers);
        }
        let connection = protocol
            .timer(TokioTimer::new())
            .header_read_timeout(if crowded { CROWDED_HEAD_TIMEOUT } else { HEAD_TIMEOUT })
            .max_header_size(self.limits.head_bytes)
            .serve_connection(TokioIo::new(stream), service);
        let connection = self.connections.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection ended");
            }
            drop(place);
        });
    }

    /// Lets requests in flight end; what is left after `timeout` is cut off.
    async fn finish(self, signals: &mut Signals, timeout: Duration) -> Result<(), ServeError> {
        let open = self.connections.count();
        tracing::info!(connections = open, "listener closed: finishing requests in flight");
        tokio::select! {
            () = self.connections.shutdown() => tracing::info!("drained"),
            () = tokio::time::sleep(timeout) => {
                tracing::warn!(timeout_s = timeout.as_secs_f64(), "drain timeout: requests in flight were cut off");
            }
            signal = signals.next() => return Err(ServeError::Forced(signal)),
        }
        Ok(())
    }
}

/// Names the pod and, when the connection has had its time, announces the close in the answer: a client that reads it
/// opens the next connection to a pod that is there to stay, and none sends into a closing connection.
fn mark(response: &mut Response, app: &App, last: bool) {
    let headers = response.headers_mut();
    headers.insert(X_POD, app.identity.pod_header.clone());
    if last || app.drain.begun() {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
}

/// Accept reports errors of the new connection, too; those say nothing about the listener.
fn is_of_the_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

//! Listening: three addresses, a task per connection, one pool of connections to what is behind.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, Uri};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::body::{Body, streamed};
use super::call::Gone;
use super::control;
use super::line::{Line, Lost};
use super::{Front, Service};
use crate::error::Error;
use crate::kubeconfig::server;
use crate::say;
use crate::state::{
    AWS_INNER_PORT, AWS_PORT, Dirs, KUBERNETES_FRONT_PORT, NODE_IP, REGISTRY_FRONT_PORT, REGISTRY_PORT,
};

/// Shorter than the 90 s after which Go's servers close a connection that is not used.
const IDLE: Duration = Duration::from_secs(30);
/// A client that does not finish its TLS handshake holds a task for so long.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Addresses and certificates of one front, services in the order of [`Service`].
pub(crate) struct Settings {
    pub(crate) listen: [String; 3],
    pub(crate) upstreams: [String; 3],
    /// PEM files: the CA of the API server, certificate and key of our own.
    pub(crate) ca: String,
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Settings {
    fn of(dirs: &Dirs) -> Self {
        Self {
            listen: [
                format!("127.0.0.1:{AWS_PORT}"),
                format!("{NODE_IP}:{KUBERNETES_FRONT_PORT}"),
                format!("127.0.0.1:{REGISTRY_FRONT_PORT}"),
            ],
            upstreams: [
                format!("http://127.0.0.1:{AWS_INNER_PORT}"),
                server(),
                format!("http://127.0.0.1:{REGISTRY_PORT}"),
            ],
            ca: dirs.text("pki/ca.crt"),
            certificate: dirs.text("pki/front.crt"),
            key: dirs.text("pki/front.key"),
        }
    }
}

/// Serves until it is killed; fails when an address cannot be had.
pub(crate) fn run(dirs: &Dirs) -> Result<Infallible, Error> {
    let settings = Settings::of(dirs);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|e| Error::cannot("start", "the front", e))?;
    runtime.block_on(async {
        let bound = Bound::bind(&settings).await?;
        Ok(bound.serve().await)
    })
}

/// A front whose addresses are taken.
pub(crate) struct Bound {
    front: Arc<Front>,
    listeners: [TcpListener; 3],
    tls: TlsAcceptor,
}

impl Bound {
    pub(crate) async fn bind(settings: &Settings) -> Result<Self, Error> {
        let [aws, kubernetes, registry] = &settings.listen;
        Ok(Self {
            front: Arc::new(Front::new(settings)?),
            listeners: [listen(aws).await?, listen(kubernetes).await?, listen(registry).await?],
            tls: acceptor(settings)?,
        })
    }

    /// The addresses, in the order of [`Service`].
    #[cfg(test)]
    pub(crate) fn addresses(&self) -> [std::net::SocketAddr; 3] {
        self.listeners.each_ref().map(|l| l.local_addr().expect("bound"))
    }

    /// Serves all of them for ever.
    pub(crate) async fn serve(self) -> Infallible {
        let Self { front, listeners, tls } = self;
        let [aws, kubernetes, registry] = listeners;
        let (first, second) = (Arc::clone(&front), Arc::clone(&front));
        tokio::spawn(accept(first, Service::Aws, aws, None));
        tokio::spawn(accept(second, Service::Registry, registry, None));
        accept(front, Service::Kubernetes, kubernetes, Some(tls)).await
    }
}

impl Front {
    fn new(settings: &Settings) -> Result<Self, Error> {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.enforce_http(false);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(trust(&settings.ca)?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .http1_preserve_header_case(true)
            .build(connector);
        let mut upstreams: [Uri; 3] = Default::default();
        for (uri, text) in upstreams.iter_mut().zip(&settings.upstreams) {
            *uri = text.parse().map_err(|e| Error::cannot("use the address", text, e))?;
        }
        Ok(Self {
            upstreams,
            client,
            hold: super::hold::Hold::default(),
            journal: super::journal::Journal::default(),
            faults: super::fault::Faults::default(),
        })
    }
}

async fn listen(address: &str) -> Result<TcpListener, Error> {
    TcpListener::bind(address)
        .await
        .map_err(|e| Error::cannot("listen on", address, e))
}

fn trust(ca: &str) -> Result<ClientConfig, Error> {
    let fail = |e: &dyn std::fmt::Display| Error::cannot("trust the CA", ca, e);
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(ca).map_err(|e| fail(&e))? {
        roots.add(certificate.map_err(|e| fail(&e))?).map_err(|e| fail(&e))?;
    }
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| fail(&e))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

pub(super) fn acceptor(settings: &Settings) -> Result<TlsAcceptor, Error> {
    let fail = |e: &dyn std::fmt::Display| Error::cannot("use the certificate", &settings.certificate, e);
    let chain = CertificateDer::pem_file_iter(&settings.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|e| fail(&e))?;
    let key = PrivateKeyDer::from_pem_file(&settings.key).map_err(|e| fail(&e))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| fail(&e))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|e| fail(&e))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

async fn accept(front: Arc<Front>, service: Service, listener: TcpListener, tls: Option<TlsAcceptor>) -> Infallible {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(connection(Arc::clone(&front), service, stream, tls.clone()));
            }
            Err(error) => {
                // Out of descriptors, for one: some will be free again.
                say::line(&format!("cannot accept for {}: {error}", service.name()));
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn connection(front: Arc<Front>, service: Service, stream: TcpStream, tls: Option<TlsAcceptor>) {
    let lost = Lost::default();
    let Ok(line) = Line::new(stream, lost.clone()) else {
        return;
    };
    match tls {
        None => requests(front, service, line, lost).await,
        Some(tls) => {
            if let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, tls.accept(line)).await {
                requests(front, service, stream, lost).await;
            }
        }
    }
}

/// Serves one connection to its end; when a call gives no answer, the line is marked and reset as it is dropped.
async fn requests<S>(front: Arc<Front>, service: Service, stream: S, lost: Lost)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let answer = service_fn(|request: Request<Incoming>| {
        let (front, lost) = (Arc::clone(&front), lost.clone());
        async move {
            let answer = front.answer(service, request.map(streamed), &lost).await;
            if answer.is_err() {
                lost.mark();
            }
            answer
        }
    });
    // An error is a client that went away, or one of our making.
    let _ = http1::Builder::new()
        .preserve_header_case(true)
        .serve_connection(TokioIo::new(stream), answer)
        .with_upgrades()
        .await;
}

impl Front {
    async fn answer(&self, service: Service, request: Request<Body>, lost: &Lost) -> Result<Response<Body>, Gone> {
        let control = service == Service::Aws && control::owns(request.uri().path());
        if control {
            return self.control(request).await;
        }
        if request.method() == Method::CONNECT {
            // The authenticator's tunnel goes to the AWS endpoint itself.
            return Err(Gone);
        }
        self.call(service, request, lost).await
    }
}

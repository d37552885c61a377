//! A front between raw clients and programs behind it that run in the same process.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::super::body::{Body, read, streamed, whole};
use super::super::serve::{Bound, Settings, acceptor};

/// What came in, as `METHOD /path BODY-LENGTH`, or `METHOD /path broken`.
type Seen = Arc<Mutex<Vec<String>>>;

pub(super) struct World {
    pub(super) aws: SocketAddr,
    kubernetes: SocketAddr,
    pub(super) registry: SocketAddr,
    seen: Seen,
    /// Lets go what waits in the program behind.
    pub(super) go: watch::Sender<bool>,
    root: rustls::pki_types::CertificateDer<'static>,
}

/// A certificate that is its own CA, for the front and for the API server behind it.
struct Certificate {
    folder: tempfile::TempDir,
    root: rustls::pki_types::CertificateDer<'static>,
}

impl Certificate {
    fn make() -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let signed = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("certificate");
        std::fs::write(folder.path().join("crt"), signed.cert.pem()).expect("writes");
        std::fs::write(folder.path().join("key"), signed.signing_key.serialize_pem()).expect("writes");
        Self {
            folder,
            root: signed.cert.der().clone(),
        }
    }

    fn settings(&self, upstreams: [String; 3]) -> Settings {
        let at = |name: &str| self.folder.path().join(name).display().to_string();
        Settings {
            listen: std::array::from_fn(|_| "127.0.0.1:0".to_owned()),
            upstreams,
            ca: at("crt"),
            certificate: at("crt"),
            key: at("key"),
        }
    }
}

/// A front before the same plain program three times: its AWS address.
pub(super) async fn before(behind: &TcpListener) -> SocketAddr {
    let upstream = format!("http://{}", address(behind));
    let certificate = Certificate::make();
    let settings = certificate.settings(std::array::from_fn(|_| upstream.clone()));
    let front = Bound::bind(&settings).await.expect("binds");
    let [aws, ..] = front.addresses();
    tokio::spawn(front.serve());
    aws
}

/// A front before one program that plays AWS and the registry, and the API server over TLS.
pub(super) async fn world() -> World {
    let certificate = Certificate::make();
    let (plain, secret) = (bound().await, bound().await);
    let settings = certificate.settings([
        format!("http://{}", address(&plain)),
        format!("https://{}", address(&secret)),
        format!("http://{}", address(&plain)),
    ]);
    let tls = acceptor(&settings).expect("TLS");
    let (seen, go) = (Seen::default(), watch::Sender::new(false));
    tokio::spawn(upstream(plain, None, Arc::clone(&seen), go.subscribe()));
    tokio::spawn(upstream(secret, Some(tls), Arc::clone(&seen), go.subscribe()));
    let front = Bound::bind(&settings).await.expect("binds");
    let [aws, kubernetes, registry] = front.addresses();
    tokio::spawn(front.serve());
    World {
        aws,
        kubernetes,
        registry,
        seen,
        go,
        root: certificate.root,
    }
}

fn address(listener: &TcpListener) -> SocketAddr {
    listener.local_addr().expect("bound")
}

pub(super) async fn bound() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.expect("binds")
}

async fn upstream(
    listener: TcpListener,
    tls: Option<tokio_rustls::TlsAcceptor>,
    seen: Seen,
    go: watch::Receiver<bool>,
) {
    while let Ok((stream, _)) = listener.accept().await {
        let (tls, seen, go) = (tls.clone(), Arc::clone(&seen), go.clone());
        tokio::spawn(async move {
            match tls {
                None => serve(stream, seen, go).await,
                Some(tls) => serve(tls.accept(stream).await.expect("TLS"), seen, go).await,
            }
        });
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: S, seen: Seen, go: watch::Receiver<bool>) {
    let service = hyper::service::service_fn(|request| play(request, Arc::clone(&seen), go.clone()));
    let _ = hyper::server::conn::http1::Builder::new()
        .preserve_header_case(true)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
}

async fn play(
    mut request: Request<Incoming>,
    seen: Seen,
    mut go: watch::Receiver<bool>,
) -> Result<Response<Body>, std::convert::Infallible> {
    let name = format!("{} {}", request.method(), request.uri());
    let mut response = Response::new(whole("0123456789"));
    if request.headers().contains_key("upgrade") {
        let upgraded = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            let (mut from, mut to) = tokio::io::split(TokioIo::new(upgraded.await.expect("upgrades")));
            tokio::io::copy(&mut from, &mut to).await
        });
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        *response.body_mut() = whole("");
        for header in ["connection", "upgrade"] {
            response
                .headers_mut()
                .insert(header, "Upgrade".parse().expect("a value"));
        }
    }
    let body = read(streamed(request.into_body())).await;
    let said = body
        .as_ref()
        .map_or_else(|_| "broken".to_owned(), |b| b.len().to_string());
    seen.lock().expect("lock").push(format!("{name} {said}"));
    match name.as_str() {
        "GET /_sandbox/requests" => {
            *response.body_mut() =
                whole(json!([{"time": 1.0, "service": "eks", "operation": "ListClusters"}]).to_string());
        }
        "POST /_sandbox/faults" if body.is_ok_and(|b| b.windows(3).any(|w| w == b"bad")) => {
            *response.status_mut() = StatusCode::BAD_REQUEST;
        }
        "GET /_sandbox/faults" => *response.body_mut() = whole("[]"),
        "GET /stream" => {
            *response.body_mut() = http_body_util::BodyExt::boxed_unsync(Slow {
                step: 0,
                go: go.clone(),
            });
        }
        "GET /slow" => {
            let _ = go.wait_for(|go| *go).await;
        }
        _ => {}
    }
    Ok(response)
}

/// One piece at once, the second when it may.
struct Slow {
    step: u8,
    go: watch::Receiver<bool>,
}

impl hyper::body::Body for Slow {
    type Data = hyper::body::Bytes;
    type Error = super::super::body::Failure;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Self::Data>, Self::Error>>> {
        let piece = |text: &'static str| std::task::Poll::Ready(Some(Ok(hyper::body::Frame::data(text.into()))));
        self.step += 1;
        match self.step {
            1 => piece("first"),
            2 | 3 if !*self.go.borrow() => {
                self.step = 1;
                let (waker, mut go) = (context.waker().clone(), self.go.clone());
                tokio::spawn(async move {
                    let _ = go.wait_for(|go| *go).await;
                    waker.wake();
                });
                std::task::Poll::Pending
            }
            2 => piece("second"),
            _ => std::task::Poll::Ready(None),
        }
    }
}

impl World {
    pub(super) fn seen(&self) -> Vec<String> {
        self.seen.lock().expect("lock").clone()
    }

    pub(super) async fn control(&self, method: &str, what: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let answer = ask(self.aws, &request(method, &format!("/_sandbox/{what}"), &body))
            .await
            .expect("an answer");
        let status = answer.split(' ').nth(1).and_then(|s| s.parse().ok()).expect("a status");
        let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
        (status, serde_json::from_str(body).unwrap_or_default())
    }

    pub(super) async fn faults(&self, faults: Value) {
        assert_eq!(self.control("POST", "faults", &faults).await.0, 200, "{faults}");
    }

    /// Waits until `GET /_sandbox/hold` shows what is wanted.
    pub(super) async fn hold_shows(&self, key: &str, value: Value) {
        let wait = async {
            while self.control("GET", "hold", &Value::Null).await.1[key] != value {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(20), wait)
            .await
            .expect("it shows in time");
    }

    pub(super) async fn tls(&self) -> tokio_rustls::client::TlsStream<TcpStream> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.root.clone()).expect("a root");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let stream = TcpStream::connect(self.kubernetes).await.expect("connects");
        let name = rustls::pki_types::ServerName::try_from("127.0.0.1").expect("a name");
        tokio_rustls::TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await
            .expect("TLS")
    }
}

pub(super) fn request(method: &str, path: &str, body: &str) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nHost: signed.example\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// The whole answer as text, or how the connection broke.
pub(super) async fn ask(to: SocketAddr, request: &str) -> Result<String, ErrorKind> {
    let stream = TcpStream::connect(to).await.map_err(|e| e.kind())?;
    ask_on(stream, request).await
}

pub(super) async fn ask_on<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    request: &str,
) -> Result<String, ErrorKind> {
    stream.write_all(request.as_bytes()).await.map_err(|e| e.kind())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.map_err(|e| e.kind())?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

pub(super) async fn read_until(stream: &mut (impl AsyncRead + Unpin), wanted: &str) -> String {
    let mut text = String::new();
    while !text.contains(wanted) {
        let mut piece = [0; 1024];
        let length = stream.read(&mut piece).await.expect("reads");
        assert!(length > 0, "ended before `{wanted}`: {text}");
        text += &String::from_utf8_lossy(&piece[..length]);
    }
    text
}

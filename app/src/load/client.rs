//! HTTP/1.1 connections, one request at a time each, renewed by count and age.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{HOST, HeaderValue, USER_AGENT};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpStream, lookup_host};

use super::answer::{Answer, stays_open};
use super::header::Header;
use super::target::Target;

/// What tells this traffic from that of people, in logs.
const AGENT: HeaderValue =
    HeaderValue::from_static(concat!("app-load/", env!("CARGO_PKG_VERSION"), " (synthetic test)"));

/// The same for telemetry, on its way through all services behind the first: the attribute of the semantic conventions as
/// W3C baggage. <https://opentelemetry.io/docs/specs/semconv/registry/attributes/user-agent/>
const SYNTHETIC: HeaderValue = HeaderValue::from_static("user_agent.synthetic.type=test");

/// When a connection is replaced, and how long a request may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) requests: u32,
    pub(super) age: Duration,
    pub(super) timeout: Duration,
}

/// Why a request got no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum RequestError {
    #[error("cannot resolve `{host}`: {source}")]
    Resolve { host: String, source: io::Error },
    #[error("cannot connect to `{address}`: {source}")]
    Connect { address: String, source: io::Error },
    #[error("no connection within {} s", .0.as_secs_f64())]
    ConnectTimeout(Duration),
    #[error("no answer within {} s", .0.as_secs_f64())]
    Timeout(Duration),
    #[error("connection lost before the answer was complete: {0}")]
    Broken(#[from] hyper::Error),
}

impl RequestError {
    /// Key of the report's `errors`.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Resolve { .. } => "resolve",
            Self::Connect { .. } => "connect",
            Self::ConnectTimeout(_) => "connect_timeout",
            Self::Timeout(_) => "timeout",
            Self::Broken(_) => "broken",
        }
    }
}

/// A request's end: how it went, and the connection if it can carry another.
pub(super) struct Exchange {
    pub(super) result: Result<Answer, RequestError>,
    /// The server had closed the idle connection first chosen before a byte of the request was written to it, so it went
    /// out on a new one.
    pub(super) resent: bool,
    pub(super) connection: Option<Connection>,
}

/// How a connection without a request does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Idle {
    /// It may carry another request.
    Usable,
    /// It has carried enough, or is too old.
    PastItsTime,
    /// The server closed it, unannounced, while it might still have carried another.
    Closed,
}

/// Sends one request to one target, over and over.
#[derive(Debug)]
pub(super) struct Client {
    target: Target,
    limits: Limits,
    request: Request<Empty<Bytes>>,
    opened: AtomicUsize,
}

impl Client {
    pub(super) fn new(target: &Target, headers: &[Header], limits: Limits) -> Arc<Self> {
        let mut request = Request::new(Empty::new());
        *request.uri_mut() = target.path.clone();
        request.headers_mut().insert(HOST, target.authority.clone());
        request.headers_mut().insert(USER_AGENT, AGENT);
        request.headers_mut().insert("baggage", SYNTHETIC);
        for Header { name, value } in headers {
            request.headers_mut().insert(name, value.clone());
        }
        Arc::new(Self {
            target: target.clone(),
            limits,
            request,
            opened: AtomicUsize::new(0),
        })
    }

    /// One request, on `idle` if given and still open, else on a new connection. Never takes longer than the timeout.
    pub(super) async fn exchange(&self, idle: Option<Connection>) -> Exchange {
        let Limits { timeout, .. } = self.limits;
        let connecting = AtomicBool::new(false);
        tokio::time::timeout(timeout, self.attempt(idle, &connecting))
            .await
            .unwrap_or_else(|_| {
                let result = Err(if connecting.into_inner() {
                    RequestError::ConnectTimeout(timeout)
                } else {
                    RequestError::Timeout(timeout)
                });
                Exchange {
                    result,
                    resent: false,
                    connection: None,
                }
            })
    }

    /// `connecting` is true while there is no connection.
    async fn attempt(&self, idle: Option<Connection>, connecting: &AtomicBool) -> Exchange {
        let mut resent = false;
        if let Some(mut connection) = idle {
            match connection.send(&self.request).await {
                Err(Unanswered::Unsent(_)) => resent = true,
                sent => return self.finish(connection, sent, resent).await,
            }
        }
        connecting.store(true, Ordering::Relaxed);
        match self.connect().await {
            Ok(mut connection) => {
                connecting.store(false, Ordering::Relaxed);
                let sent = connection.send(&self.request).await;
                self.finish(connection, sent, resent).await
            }
            Err(error) => Exchange {
                result: Err(error),
                resent,
                connection: None,
            },
        }
    }

    /// Reads the answer to its end and keeps the connection if it has not had its time.
    async fn finish(&self, connection: Connection, sent: Sent, resent: bool) -> Exchange {
        match read(sent).await {
            Ok((answer, open)) => {
                let connection = (open && connection.is_fresh(&self.limits)).then_some(connection);
                Exchange {
                    result: Ok(answer),
                    resent,
                    connection,
                }
            }
            Err(error) => Exchange {
                result: Err(error.into()),
                resent,
                connection: None,
            },
        }
    }

    /// Whether `idle` may carry another request, or why not.
    pub(super) fn look_at(&self, idle: &Connection) -> Idle {
        match (idle.is_fresh(&self.limits), idle.sender.is_closed()) {
            (false, _) => Idle::PastItsTime,
            (true, true) => Idle::Closed,
            (true, false) => Idle::Usable,
        }
    }

    /// Resolves the name anew each time and takes the addresses in turn: pods of a headless Service come and go.
    async fn connect(&self) -> Result<Connection, RequestError> {
        let Target { host, port, .. } = &self.target;
        let resolve = |source| RequestError::Resolve {
            host: host.clone(),
            source,
        };
        let mut addresses: Vec<SocketAddr> = lookup_host((host.as_str(), *port)).await.map_err(resolve)?.collect();
        if !addresses.is_empty() {
            let turn = self.opened.fetch_add(1, Ordering::Relaxed) % addresses.len();
            addresses.rotate_left(turn);
        }
        let connect = |source| RequestError::Connect {
            address: format!("{host}:{port}"),
            source,
        };
        let stream = TcpStream::connect(addresses.as_slice()).await.map_err(connect)?;
        stream.set_nodelay(true).map_err(connect)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // Errors of the connection reach the request that it was to carry.
        tokio::spawn(connection);
        Ok(Connection {
            sender,
            opened: Instant::now(),
            requests: 0,
        })
    }
}

/// An open connection.
pub(super) struct Connection {
    sender: SendRequest<Empty<Bytes>>,
    opened: Instant,
    requests: u32,
}

type Sent = Result<Response<Incoming>, Unanswered>;

/// Where a request was when its connection was lost.
#[derive(Debug)]
enum Unanswered {
    /// No byte of it was written: no server can have acted on it, so any client may send it elsewhere.
    Unsent(hyper::Error),
    /// It was on its way. Nobody can tell a server that never read it from one that died over it, so it is a failure: a
    /// pod that drains badly must not pass for one that drains well.
    Lost(hyper::Error),
}

impl From<Unanswered> for RequestError {
    fn from(unanswered: Unanswered) -> Self {
        let (Unanswered::Unsent(error) | Unanswered::Lost(error)) = unanswered;
        Self::Broken(error)
    }
}

impl Connection {
    async fn send(&mut self, request: &Request<Empty<Bytes>>) -> Sent {
        self.sender.ready().await.map_err(Unanswered::Unsent)?;
        self.requests += 1;
        self.sender
            .try_send_request(request.clone())
            .await
            .map_err(|mut error| {
                // hyper gives the request back where it has not begun to write it.
                let unsent = error.take_message().is_some();
                let error = error.into_error();
                if unsent {
                    Unanswered::Unsent(error)
                } else {
                    Unanswered::Lost(error)
                }
            })
    }

    fn is_fresh(&self, limits: &Limits) -> bool {
        self.requests < limits.requests && self.opened.elapsed() < limits.age
    }
}

/// The answer, and whether the server leaves the connection open.
async fn read(sent: Sent) -> Result<(Answer, bool), Unanswered> {
    let mut response = sent?;
    while let Some(frame) = response.body_mut().frame().await {
        frame.map_err(Unanswered::Lost)?;
    }
    let open = stays_open(&response);
    let pod = response
        .headers()
        .get("x-pod")
        .and_then(|pod| pod.to_str().ok())
        .map(str::to_owned);
    Ok((
        Answer {
            status: response.status().as_u16(),
            pod,
        },
        open,
    ))
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::{Shutdown, TcpListener, TcpStream};
    use std::thread;

    use super::*;

    const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

    /// Reads one head; false at the end of the connection.
    fn asked(stream: &TcpStream) -> bool {
        let lines = BufReader::new(stream).lines().map_while(Result::ok);
        lines.take_while(|line| !line.is_empty()).count() > 0
    }

    /// A server that answers one request of each connection and, when `first` says so, ends the first connection.
    fn server(first: fn(&TcpStream)) -> Arc<Client> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        thread::spawn(move || {
            for (nth, stream) in listener.incoming().map_while(Result::ok).enumerate() {
                assert!(asked(&stream));
                (&stream).write_all(OK).unwrap();
                if nth == 0 {
                    first(&stream);
                }
            }
        });
        let limits = Limits {
            requests: 100,
            age: Duration::from_hours(1),
            timeout: Duration::from_secs(20),
        };
        Client::new(&url.parse().unwrap(), &[], limits)
    }

    #[tokio::test]
    async fn a_connection_that_never_comes_is_told_from_an_answer_that_never_comes() {
        // Nobody takes connections: once the queue is full, the kernel answers no more.
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let limits = Limits {
            requests: 1,
            age: Duration::ZERO,
            timeout: Duration::from_millis(300),
        };
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let client = Client::new(&url.parse().unwrap(), &[], limits);
        let mut kinds = Vec::new();
        let mut queue = Vec::new();
        for _ in 0..4 {
            kinds.push(client.exchange(None).await.result.unwrap_err().kind());
            queue.push(tokio::time::timeout(limits.timeout, client.connect()).await);
        }
        assert_eq!((kinds[0], kinds[3]), ("timeout", "connect_timeout"));
    }

    async fn idle(client: &Client) -> Connection {
        let first = client.exchange(None).await;
        assert_eq!(first.result.unwrap().status, 200);
        first.connection.unwrap()
    }

    #[tokio::test]
    async fn a_request_for_a_connection_that_was_closed_meanwhile_goes_out_on_another() {
        let client = server(|stream| stream.shutdown(Shutdown::Both).unwrap());
        let idle = idle(&client).await;
        while !idle.sender.is_closed() {
            tokio::task::yield_now().await;
        }
        let second = client.exchange(Some(idle)).await;
        assert_eq!((second.result.unwrap().status, second.resent), (200, true));
    }

    #[tokio::test]
    async fn a_request_that_a_server_took_and_lost_is_not_sent_again() {
        let client = server(|stream| {
            assert!(asked(stream));
            stream.shutdown(Shutdown::Both).unwrap();
        });
        let idle = idle(&client).await;
        let second = client.exchange(Some(idle)).await;
        assert_eq!((second.result.unwrap_err().kind(), second.resent), ("broken", false));
    }
}

//! A registry in this process: the part of the distribution specification that a push uses, strict about digests and
//! order, with a record of requests and faults on demand.

mod asked;
mod content;
mod store;
mod tokens;

use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::State;
use axum::http::request::Parts;
use axum::http::{Method, Request, Response, header};
use base64::Engine as _;
use futures::{StreamExt as _, stream};
use provisioner::image::RegistryTarget;

use asked::Asked;
use store::{Store, answer, error, set};
use tokens::Tokens;

/// The repository whose requests are recorded without its name.
pub(crate) const REPOSITORY: &str = "demo/web-app";
/// What references start with.
pub(crate) const BASE: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/demo/web-app";
/// The first password of user `AWS`.
pub(crate) const PASSWORD: &str = "open-sesame";

/// How clients authenticate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Auth {
    Anonymous,
    Basic,
    Bearer,
}

/// What happens instead of the answer.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// This status and body; nothing is done.
    Answer(u16, &'static str),
    /// This status, media type and body; nothing is done.
    Typed(u16, &'static str, &'static str),
    /// It leads to this address; nothing is done.
    Redirect(String),
    /// A list of nothing, which goes on at the same address.
    FirstPage,
    /// The connection closes; nothing is done.
    Cut,
    /// The connection closes once this many percent of the body have come; nothing is done.
    CutAt(usize),
    /// The token of all clients ends before the request is looked at.
    TokenEnds,
    /// 429, and this many seconds to wait.
    Throttle(u32),
    /// 429, and the same as a date, counted from the answer's own.
    ThrottleUntil(u32),
    /// The answer's connection closes once this many percent of its body were sent.
    AnswerEnds(usize),
    /// The same, and the connection stays open.
    AnswerStops(usize),
    /// No answer ever comes; nothing is done.
    Silence,
    /// The request is carried out, then the connection closes without an answer.
    CutAfter,
    /// The answer's `Docker-Content-Digest` is this one.
    Digest(String),
    /// The password changes to this one before the request is looked at.
    NewPassword(&'static str),
    /// The same, and whoever still has the former one is refused as ECR does it: 403, with a body but for `HEAD`.
    PasswordEnds(&'static str),
    /// Somebody else sets the tag to this digest first, and the registry's tags are immutable.
    Overtaken(String),
}

#[derive(Default)]
struct Desk {
    auth: Option<Auth>,
    password: Option<String>,
    /// Whether a password that ended is answered by 403.
    as_ecr: bool,
    tokens: Tokens,
    store: Store,
    requests: Vec<Recorded>,
    faults: Vec<(String, u32, Fault)>,
}

/// One request as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Recorded {
    /// Method and path within the repository; upload numbers are left out.
    pub(crate) line: String,
    /// Size of the body.
    pub(crate) bytes: u64,
}

type Shared = Arc<Mutex<Desk>>;

/// A running registry; it ends with the test's runtime.
pub(crate) struct Registry {
    address: String,
    desk: Shared,
}

impl Registry {
    pub(crate) async fn start(auth: Auth) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address").to_string();
        let desk = Shared::default();
        locked(&desk).auth = Some(auth);
        let router = Router::new().fallback(handle).with_state(desk.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, desk }
    }

    /// `host:port`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Takes blobs over from other repositories from now on.
    pub(crate) fn mounts(&self) {
        locked(&self.desk).store.mounts = true;
    }

    /// Gives nobody a right to `repository`; where `strict`, whoever asks for it gets no token.
    pub(crate) fn deny(&self, repository: &str, strict: bool) {
        let mut desk = locked(&self.desk);
        desk.tokens.denied.push(repository.to_owned());
        desk.tokens.all_or_nothing = strict;
    }

    /// Lists what refers to a manifest from now on; not every registry says so in its answer to that.
    pub(crate) fn lists_referrers(&self, says_subject: bool) {
        let mut desk = locked(&self.desk);
        (desk.store.referrers, desk.store.says_subject) = (true, says_subject);
    }

    /// The target with valid credentials.
    pub(crate) fn target(&self) -> RegistryTarget {
        self.repository(REPOSITORY)
    }

    /// Another repository.
    pub(crate) fn repository(&self, name: &str) -> RegistryTarget {
        let endpoint = format!("http://{}", self.address);
        RegistryTarget::from_endpoint(&endpoint, "AWS".into(), PASSWORD.into(), name, BASE)
            .expect("loopback is accepted")
    }

    /// The next `times` requests whose line starts with `line` meet `fault`.
    pub(crate) fn inject(&self, line: &str, times: u32, fault: Fault) {
        locked(&self.desk).faults.push((line.into(), times, fault));
    }

    pub(crate) fn clear_faults(&self) {
        locked(&self.desk).faults.clear();
    }

    pub(crate) fn set_tag(&self, tag: &str, digest: &str) {
        let mut desk = locked(&self.desk);
        let tags = &mut desk.store.repository(REPOSITORY).tags;
        tags.insert(tag.into(), digest.into());
    }

    /// Where `tag` points to.
    pub(crate) fn tag(&self, tag: &str) -> Option<String> {
        let mut desk = locked(&self.desk);
        desk.store.repository(REPOSITORY).tags.get(tag).cloned()
    }

    /// How many tags, manifests and blobs there are.
    pub(crate) fn counts(&self) -> (usize, usize, usize) {
        self.counts_of(REPOSITORY)
    }

    pub(crate) fn counts_of(&self, name: &str) -> (usize, usize, usize) {
        let mut desk = locked(&self.desk);
        let kept = desk.store.repository(name);
        (kept.tags.len(), kept.manifests.len(), kept.blobs.len())
    }

    /// Stores other bytes under the digest of a blob.
    pub(crate) fn spoil(&self, digest: &str, bytes: &'static [u8]) {
        let mut desk = locked(&self.desk);
        let blobs = &mut desk.store.repository(REPOSITORY).blobs;
        blobs
            .insert(digest.into(), Bytes::from_static(bytes))
            .expect("it was there");
    }

    /// What arrived since the last call.
    pub(crate) fn take_requests(&self) -> Vec<Recorded> {
        std::mem::take(&mut locked(&self.desk).requests)
    }
}

fn locked(desk: &Shared) -> MutexGuard<'_, Desk> {
    desk.lock().expect("no handler panics with the lock")
}

async fn handle(State(desk): State<Shared>, request: Request<Body>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let asked = Asked::of(&parts);
    let fault = locked(&desk).fault(&asked.line);
    let body = match fault {
        Some(Fault::CutAt(percent)) => {
            let length = parts.headers[header::CONTENT_LENGTH].to_str().expect("a number");
            let most = length.parse::<usize>().expect("a number") * percent / 100;
            read_some(body, most).await;
            locked(&desk).requests.push(Recorded {
                line: asked.line,
                bytes: most as u64,
            });
            cut();
        }
        _ => to_bytes(body, usize::MAX).await.expect("a whole body"),
    };
    let partly = match fault {
        Some(Fault::AnswerEnds(percent)) => Some((percent, false)),
        Some(Fault::AnswerStops(percent)) => Some((percent, true)),
        _ => None,
    };
    match (respond(&desk, (&parts, asked), fault, body), partly) {
        (Some(response), Some(partly)) => in_part(response, partly).await,
        (Some(response), None) => response,
        (None, _) => std::future::pending().await,
    }
}

/// `response` with the first part of its body, which then ends or stays open.
async fn in_part(response: Response<Body>, (percent, stays_open): (usize, bool)) -> Response<Body> {
    let (mut head, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.expect("a whole body");
    head.headers.insert(header::CONTENT_LENGTH, body.len().into());
    let first = Ok(body.slice(..body.len() * percent / 100));
    let rest = stream::once(async move {
        if stays_open {
            std::future::pending::<()>().await;
        }
        Err(std::io::Error::other("connection cut"))
    });
    Response::from_parts(head, Body::from_stream(stream::iter([first]).chain(rest)))
}

async fn read_some(body: Body, most: usize) {
    let (mut body, mut read) = (body.into_data_stream(), 0);
    while read < most {
        read += body.next().await.expect("more").expect("a chunk").len();
    }
}

/// The answer; none where none ever comes.
fn respond(
    desk: &Shared,
    (parts, asked): (&Parts, Asked),
    fault: Option<Fault>,
    body: Bytes,
) -> Option<Response<Body>> {
    let text = |name| {
        parts
            .headers
            .get(name)
            .map(|value: &header::HeaderValue| String::from_utf8_lossy(value.as_bytes()))
    };
    let mut guard = locked(desk);
    guard.requests.push(Recorded {
        line: asked.line.clone(),
        bytes: body.len() as u64,
    });
    match fault {
        Some(Fault::Cut) => {
            drop(guard);
            cut();
        }
        Some(Fault::NewPassword(password)) => guard.password = Some(password.to_owned()),
        Some(Fault::PasswordEnds(password)) => {
            (guard.password, guard.as_ecr) = (Some(password.to_owned()), true);
        }
        Some(Fault::TokenEnds) => guard.tokens.ended += 1,
        Some(Fault::Silence) => return None,
        _ => {}
    }
    if let Some(refusal) = guard.refusal(&asked, (&parts.method, &parts.headers)) {
        return Some(refusal);
    }
    let fault = match instead(fault, &asked, &mut guard.store) {
        Ok(response) => return Some(response),
        Err(fault) => fault,
    };
    let mut response = match asked.place.as_str() {
        "/token" => guard.tokens.give(&asked.query),
        "/v2/" => answer(200, "{}"),
        place => guard.store.serve(&store::Request {
            method: &parts.method,
            name: &asked.name,
            place,
            query: &asked.query,
            media_type: &text(header::CONTENT_TYPE).unwrap_or_default(),
            body,
        }),
    };
    drop(guard);
    match fault {
        Some(Fault::CutAfter) => cut(),
        Some(Fault::Digest(digest)) => set(&mut response, "docker-content-digest", &digest),
        _ => {}
    }
    Some(response)
}

/// The answer that a fault gives in the place of the true one, or the fault, where it gives none.
fn instead(fault: Option<Fault>, asked: &Asked, store: &mut store::Store) -> Result<Response<Body>, Option<Fault>> {
    let response = match fault {
        Some(Fault::Answer(code, body)) => answer(code, body),
        Some(Fault::Typed(code, media_type, body)) => {
            let mut response = answer(code, body);
            set(&mut response, "content-type", media_type);
            response
        }
        Some(Fault::FirstPage) => {
            let mut response = answer(200, r#"{"schemaVersion":2,"manifests":[]}"#);
            set(&mut response, "content-type", "application/vnd.oci.image.index.v1+json");
            set(&mut response, "link", r#"<?page=2>; rel="next""#);
            response
        }
        Some(Fault::Redirect(to)) => {
            let mut response = answer(307, "");
            set(&mut response, "location", &to);
            response
        }
        Some(Fault::Throttle(seconds)) => {
            let mut response = answer(429, &error("TOOMANYREQUESTS"));
            set(&mut response, "retry-after", &seconds.to_string());
            response
        }
        Some(Fault::ThrottleUntil(seconds)) => {
            let mut response = answer(429, &error("TOOMANYREQUESTS"));
            set(&mut response, "date", "Wed, 21 Oct 2026 07:28:00 GMT");
            set(
                &mut response,
                "retry-after",
                &format!("Wed, 21 Oct 2026 07:28:{seconds:02} GMT"),
            );
            response
        }
        Some(Fault::Overtaken(digest)) => {
            let tag = asked.place.trim_start_matches("manifests/").to_owned();
            store.repository(&asked.name).tags.insert(tag, digest);
            answer(400, &error("TAG_INVALID"))
        }
        other => return Err(other),
    };
    Ok(response)
}

/// Ends the connection's task without an answer and without a panic message.
fn cut() -> ! {
    std::panic::resume_unwind(Box::new("connection cut"))
}

impl Desk {
    fn fault(&mut self, line: &str) -> Option<Fault> {
        let (_, times, fault) = self
            .faults
            .iter_mut()
            .find(|(start, times, _)| *times > 0 && line.starts_with(start.as_str()))?;
        *times -= 1;
        Some(fault.clone())
    }

    fn refusal(&self, asked: &Asked, (method, headers): (&Method, &header::HeaderMap)) -> Option<Response<Body>> {
        let authorization = headers.get(header::AUTHORIZATION).and_then(|text| text.to_str().ok());
        let password = self.password.as_deref().unwrap_or(PASSWORD);
        let basic = base64::engine::general_purpose::STANDARD.encode(format!("AWS:{password}"));
        let host = headers[header::HOST].to_str().expect("an address");
        let (is_taken, challenge) = match self.auth {
            Some(Auth::Bearer) if asked.place != "/token" => (
                asked.place != "/v2/" && self.tokens.takes(authorization, &asked.rights(method)),
                format!(r#"Bearer realm="http://{host}/token",service="registry""#),
            ),
            Some(Auth::Basic | Auth::Bearer) => (
                authorization == Some(&format!("Basic {basic}")),
                r#"Basic realm="registry""#.to_owned(),
            ),
            _ => return None,
        };
        if !is_taken && self.as_ecr && authorization.is_some() {
            return Some(answer(403, &error("DENIED")));
        }
        (!is_taken).then(|| {
            let mut response = answer(401, &error("UNAUTHORIZED"));
            let challenge = challenge.parse().expect("a header value");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
            response
        })
    }
}

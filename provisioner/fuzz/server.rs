//! A registry that tells the truth, but for some of its answers: bytes on a socket, so that nothing mends them on the way.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex};

use fastrand::Rng;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::image::{Twist, digest};
use crate::mutate;

/// Bytes of an answer that does not end: more than is ever read of one.
const ENDLESS: usize = 64 * 1024 * 1024;

/// What a registry may answer, and what none does.
const STATUSES: [u16; 16] = [
    100, 200, 201, 202, 204, 301, 307, 400, 401, 403, 404, 416, 429, 500, 503, 999,
];

/// What it knows and what came.
pub(crate) struct Store {
    /// Content type and bytes by path below `/v2/team/`: repository, kind and name.
    pub(crate) served: BTreeMap<String, (String, Vec<u8>)>,
    /// Digests of the manifests that were put.
    pub(crate) manifests: Vec<String>,
    /// Blobs that came whole and are not what they were called.
    pub(crate) wrong: Vec<String>,
    /// How often each request came.
    counts: BTreeMap<String, u64>,
    pub(crate) twist: Twist,
    pub(crate) seed: u64,
    pub(crate) token: bool,
}

impl Store {
    pub(crate) fn new(twist: Twist, rng: &mut Rng) -> Self {
        Self {
            served: BTreeMap::new(),
            manifests: Vec::new(),
            wrong: Vec::new(),
            counts: BTreeMap::new(),
            twist,
            seed: rng.u64(..),
            token: rng.bool(),
        }
    }
}

type Shared = Arc<Mutex<Store>>;

/// A running registry.
pub(crate) struct Server {
    pub(crate) address: String,
    pub(crate) store: Shared,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub(crate) async fn start(store: Store) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let store = Arc::new(Mutex::new(store));
        let (shared, at) = (store.clone(), address.clone());
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, shared.clone(), at.clone()));
            }
        });
        Self { address, store, task }
    }
}

/// An answer.
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Answer {
    fn new(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    fn body(mut self, body: &[u8]) -> Self {
        self.body = body.to_vec();
        self
    }

    fn bytes(&self, length: usize, with_body: bool) -> Vec<u8> {
        let mut head = format!(
            "HTTP/1.1 {} X\r\nConnection: close\r\nContent-Length: {length}\r\n",
            self.status
        );
        for (name, value) in &self.headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        head += "\r\n";
        let mut bytes = head.into_bytes();
        if with_body {
            bytes.extend_from_slice(&self.body);
        }
        bytes
    }
}

async fn serve(stream: TcpStream, store: Shared, address: String) {
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    let Some((line, length, is_signed)) = head(&mut read).await else {
        return;
    };
    let received = body(&mut read, length).await;
    let (answer, mut rng, is_twisted) = {
        let mut store = store.lock().unwrap();
        let count = store.counts.entry(line.clone()).or_default();
        *count += 1;
        let mut hasher = DefaultHasher::new();
        // The same for the same request of the same case, however they go side by side.
        (line.as_str(), *count).hash(&mut hasher);
        let mut rng = Rng::with_seed(hasher.finish() ^ store.seed);
        let is_twisted = store.twist.strikes(&mut rng);
        (
            honest(&mut store, (&line, received, is_signed), &address),
            rng,
            is_twisted,
        )
    };
    let with_body = !line.starts_with("HEAD");
    let mut bytes = answer.bytes(answer.body.len(), with_body);
    let mut endless = false;
    if is_twisted {
        (bytes, endless) = twisted(&mut rng, answer, (with_body, &address));
    }
    let _ = write.write_all(&bytes).await;
    let zeros = vec![b' '; 256 * 1024];
    let mut sent = 0;
    while endless && sent < ENDLESS && write.write_all(&zeros).await.is_ok() {
        sent += zeros.len();
    }
    let _ = write.shutdown().await;
}

/// The request's line without its version, how long its body is, and whether it says who asks.
async fn head(read: &mut BufReader<tokio::net::tcp::OwnedReadHalf>) -> Option<(String, u64, bool)> {
    let (mut line, mut length, mut is_signed) = (String::new(), 0, false);
    read.read_line(&mut line).await.ok()?;
    let line = line.rsplit_once(' ')?.0.to_owned();
    loop {
        let mut header = String::new();
        if read.read_line(&mut header).await.ok()? <= 2 {
            return Some((line, length, is_signed));
        }
        let (name, value) = header.split_once(':')?;
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().ok()?,
            "authorization" => is_signed = true,
            _ => {}
        }
    }
}

/// The digest of a body that came whole.
async fn body(read: &mut BufReader<tokio::net::tcp::OwnedReadHalf>, length: u64) -> Option<String> {
    let (mut hasher, mut left, mut buffer) = (Sha256::new(), length, vec![0; 64 * 1024]);
    while left > 0 {
        let most = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        match read.read(&mut buffer[..most]).await {
            Ok(0) | Err(_) => return None,
            Ok(count) => {
                hasher.update(&buffer[..count]);
                left -= count as u64;
            }
        }
    }
    Some(format!("sha256:{}", hex::encode(hasher.finalize())))
}

fn honest(store: &mut Store, (line, received, is_signed): (&str, Option<String>, bool), address: &str) -> Answer {
    let (method, target) = line.split_once(' ').unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    if path == "/token" {
        return Answer::new(200).body(br#"{"token":"abc"}"#);
    }
    if store.token && !is_signed {
        let challenge = format!(r#"Bearer realm="http://{address}/token",service="registry""#);
        return Answer::new(401).with("WWW-Authenticate", &challenge);
    }
    let below = path.strip_prefix("/v2/team/").unwrap_or_default();
    match (method, below) {
        (_, "") => Answer::new(200),
        ("GET" | "HEAD", below) => match store.served.get(below) {
            Some((kind, bytes)) => Answer::new(200)
                .with("Content-Type", kind)
                .with("Docker-Content-Digest", &digest(bytes))
                .body(bytes),
            None => Answer::new(404),
        },
        ("POST", _) => Answer::new(202).with("Location", &format!("{path}1")),
        ("PUT", below) if below.contains("/manifests/") => {
            let digest = received.unwrap_or_default();
            store.manifests.push(digest.clone());
            if let Some(known) = store.served.get(&format!("app/manifests/{digest}")).cloned() {
                store.served.insert(below.to_owned(), known);
            }
            Answer::new(201).with("Docker-Content-Digest", &digest)
        }
        (_, _) => {
            let named = query.replace("%3A", ":");
            let is_right = received.as_ref().is_none_or(|digest| named.ends_with(digest.as_str()));
            if !is_right {
                store.wrong.push(format!("{named} is {received:?}"));
            }
            Answer::new(201)
        }
    }
}

/// Something else than the answer, and whether it never ends.
fn twisted(rng: &mut Rng, mut answer: Answer, (with_body, address): (bool, &str)) -> (Vec<u8>, bool) {
    let mut length = answer.body.len();
    for _ in 0..rng.usize(1..3) {
        match rng.u8(..9) {
            0 => answer.status = STATUSES[rng.usize(..STATUSES.len())],
            1..=3 => {
                let (name, value) = header(rng, address);
                answer.headers.retain(|(known, _)| known != name);
                answer.headers.push((name.to_owned(), value));
            }
            4 => answer.headers.clear(),
            5 => {
                mutate::bytes(rng, &mut answer.body);
                length = answer.body.len();
            }
            6 => length = [0, 1, length + 1, usize::MAX, 1 << 33][rng.usize(..5)],
            7 => {
                let mut bytes = answer.bytes(length, with_body);
                mutate::bytes(rng, &mut bytes);
                return (bytes, false);
            }
            _ => {
                answer.status = [200, 401, 404, 500][rng.usize(..4)];
                return (answer.bytes(1 << 40, with_body), true);
            }
        }
    }
    (answer.bytes(length, with_body), false)
}

/// A header that steers who reads it, near its edges or over them.
fn header(rng: &mut Rng, address: &str) -> (&'static str, String) {
    let here = format!("http://{address}");
    let (name, values): (_, Vec<String>) = match rng.u8(..6) {
        0 => (
            "Retry-After",
            [
                "0",
                "1",
                "86400",
                "99999999999999999999",
                "-1",
                "Fri, 31 Dec 9999 23:59:59 GMT",
            ]
            .map(str::to_owned)
            .to_vec(),
        ),
        1 => (
            "WWW-Authenticate",
            vec![
                format!(r#"Bearer realm="{here}/token",service="a\"b""#),
                format!(r#"Basic realm="x", Bearer realm="{here}/token?a=b""#),
                r#"Bearer realm="http://192.0.2.1/token""#.to_owned(),
                "Bearer realm=\"".to_owned(),
                "Basic".to_owned(),
            ],
        ),
        2 => (
            "Docker-Content-Digest",
            vec![digest(b""), "sha256:".to_owned(), "sha512:00".to_owned()],
        ),
        3 => (
            "Location",
            vec![
                format!("{here}/v2/team/app/blobs/uploads/1?a=b"),
                "/v2/../../..".to_owned(),
                "//[::1".to_owned(),
                "http://192.0.2.1/upload".to_owned(),
                "file:///etc/passwd".to_owned(),
            ],
        ),
        4 => (
            "Content-Type",
            vec!["text/html".to_owned(), mutate::word(rng).replace(['\r', '\n'], "")],
        ),
        _ => (
            "Date",
            vec![
                "Wed, 21 Oct 2026 07:28:00 GMT".to_owned(),
                "Thu, 01 Jan 0000 00:00:00 GMT".to_owned(),
            ],
        ),
    };
    let value = &values[rng.usize(..values.len())];
    let changed = if rng.u8(..4) == 0 {
        mutate::text(rng, value)
    } else {
        value.clone()
    };
    (name, changed.replace(['\r', '\n', '\0'], " "))
}

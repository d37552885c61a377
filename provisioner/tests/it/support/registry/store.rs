//! What a registry keeps, strict about digests and order: the part of the distribution specification that pushes and
//! pulls use.

use std::collections::HashMap;

use axum::body::{Body, Bytes};
use axum::http::{Method, Response, StatusCode, header};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// One repository.
#[derive(Default)]
pub(super) struct Repository {
    pub(super) blobs: HashMap<String, Bytes>,
    /// Media type and bytes by digest.
    pub(super) manifests: HashMap<String, (String, Bytes)>,
    pub(super) tags: HashMap<String, String>,
}

/// All repositories by name; one that nobody pushed to is empty.
#[derive(Default)]
pub(super) struct Store {
    pub(super) repositories: HashMap<String, Repository>,
    /// Whether blobs are taken over from other repositories.
    pub(super) mounts: bool,
    /// Whether it lists what refers to a manifest.
    pub(super) referrers: bool,
    /// Whether it says so to whoever puts a manifest that refers to another.
    pub(super) says_subject: bool,
    uploads: u32,
}

/// A request, taken apart.
pub(super) struct Request<'a> {
    pub(super) method: &'a Method,
    /// The repository's name.
    pub(super) name: &'a str,
    /// The path below it.
    pub(super) place: &'a str,
    pub(super) query: &'a str,
    pub(super) media_type: &'a str,
    pub(super) body: Bytes,
}

impl Store {
    pub(super) fn repository(&mut self, name: &str) -> &mut Repository {
        self.repositories.entry(name.to_owned()).or_default()
    }

    pub(super) fn serve(&mut self, request: &Request<'_>) -> Response<Body> {
        let (kind, item) = request.place.rsplit_once('/').unwrap_or_default();
        match (request.method.as_str(), kind) {
            ("HEAD" | "GET", "blobs") => match self.repository(request.name).blobs.get(item) {
                Some(blob) => bytes(200, blob),
                None => answer(404, &error("BLOB_UNKNOWN")),
            },
            ("POST", "blobs/uploads") => self.start_upload(request),
            ("PUT", "blobs/uploads") => self.put_blob(request),
            ("HEAD" | "GET", "manifests") => self.repository(request.name).get_manifest(item),
            ("PUT", "manifests") => {
                let mut response = self.repository(request.name).put_manifest(item, request);
                let subject = subject(&request.body).filter(|_| self.says_subject && response.status() == 201);
                if let Some(subject) = subject {
                    set(&mut response, "oci-subject", &subject);
                }
                response
            }
            ("GET", "referrers") if self.referrers => {
                let mut response = answer(200, &self.repository(request.name).referrers(item));
                set(&mut response, "content-type", "application/vnd.oci.image.index.v1+json");
                response
            }
            _ => answer(404, &error("UNSUPPORTED")),
        }
    }

    fn start_upload(&mut self, request: &Request<'_>) -> Response<Body> {
        let field = |name: &str| {
            let fields = url::form_urlencoded::parse(request.query.as_bytes());
            fields
                .into_iter()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.into_owned())
        };
        if let (true, Some(digest), Some(from)) = (self.mounts, field("mount"), field("from")) {
            let blob = self.repository(&from).blobs.get(&digest).cloned();
            if let Some(blob) = blob {
                self.repository(request.name).blobs.insert(digest.clone(), blob);
                return located(201, request.name, &format!("blobs/{digest}"));
            }
        }
        self.uploads += 1;
        located(202, request.name, &format!("blobs/uploads/{}", self.uploads))
    }

    fn put_blob(&mut self, request: &Request<'_>) -> Response<Body> {
        let digest = digest(&request.body);
        if request.query != format!("digest={digest}") {
            return answer(400, &error("DIGEST_INVALID"));
        }
        let blobs = &mut self.repository(request.name).blobs;
        blobs.insert(digest.clone(), request.body.clone());
        located(201, request.name, &format!("blobs/{digest}"))
    }
}

impl Repository {
    fn get_manifest(&self, name: &str) -> Response<Body> {
        let digest = self.tags.get(name).map_or(name, String::as_str);
        let tagged = self.tags.contains_key(name);
        match self.manifests.get(digest) {
            Some((media_type, manifest)) => {
                let mut response = bytes(200, manifest);
                set(&mut response, "content-type", media_type);
                set(&mut response, "docker-content-digest", digest);
                response
            }
            // A tag that a test set to nothing real.
            None if tagged => with_digest(200, digest),
            None => answer(404, &error("MANIFEST_UNKNOWN")),
        }
    }

    /// The index of what has this subject.
    fn referrers(&self, digest: &str) -> String {
        let refers = self
            .manifests
            .iter()
            .filter(|(_, (_, body))| subject(body).as_deref() == Some(digest));
        let entries: Vec<Value> = refers
            .map(|(digest, _)| serde_json::json!({ "digest": digest }))
            .collect();
        serde_json::json!({ "schemaVersion": 2, "manifests": entries }).to_string()
    }

    fn put_manifest(&mut self, name: &str, request: &Request<'_>) -> Response<Body> {
        let manifest: Value = serde_json::from_slice(&request.body).expect("a JSON manifest");
        if manifest["mediaType"] != request.media_type {
            return answer(400, &error("MANIFEST_INVALID"));
        }
        let list = |key: &str| manifest[key].as_array().cloned().unwrap_or_default();
        let children = list("manifests");
        let named = children.iter().map(|child| &child["digest"]);
        let missing = named
            .filter_map(Value::as_str)
            .any(|child| !self.manifests.contains_key(child));
        let mut blobs = list("layers");
        blobs.extend(manifest.get("config").cloned());
        let lacks = |blob: &Value| {
            let found = blob["digest"].as_str().and_then(|digest| self.blobs.get(digest));
            found.map(|found| found.len() as u64) != blob["size"].as_u64()
        };
        if missing || blobs.iter().any(lacks) {
            return answer(404, &error("MANIFEST_BLOB_UNKNOWN"));
        }
        let digest = digest(&request.body);
        let kept = (request.media_type.to_owned(), request.body.clone());
        self.manifests.insert(digest.clone(), kept);
        if name.starts_with("sha256:") {
            if name != digest {
                return answer(400, &error("DIGEST_INVALID"));
            }
        } else {
            self.tags.insert(name.into(), digest.clone());
        }
        with_digest(201, &digest)
    }
}

/// What a manifest refers to.
fn subject(manifest: &[u8]) -> Option<String> {
    let manifest: Value = serde_json::from_slice(manifest).ok()?;
    Some(manifest["subject"]["digest"].as_str()?.to_owned())
}

pub(super) fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

pub(super) fn error(code: &str) -> String {
    serde_json::json!({ "errors": [{ "code": code, "message": "" }] }).to_string()
}

pub(super) fn answer(code: u16, body: &str) -> Response<Body> {
    bytes(code, &Bytes::from(body.to_owned()))
}

fn bytes(code: u16, body: &Bytes) -> Response<Body> {
    let mut response = Response::new(Body::from(body.clone()));
    *response.status_mut() = StatusCode::from_u16(code).expect("a status");
    response
}

fn located(code: u16, name: &str, place: &str) -> Response<Body> {
    let mut response = answer(code, "");
    set(&mut response, header::LOCATION.as_str(), &format!("/v2/{name}/{place}"));
    response
}

/// As ECR answers a manifest: with the digest, without a location.
fn with_digest(code: u16, digest: &str) -> Response<Body> {
    let mut response = answer(code, "");
    set(&mut response, "docker-content-digest", digest);
    response
}

pub(super) fn set(response: &mut Response<Body>, name: &'static str, value: &str) {
    let value = value.parse().expect("a header value");
    response.headers_mut().insert(name, value);
}

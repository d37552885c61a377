//! A small API server in memory behind a real client: what production code sends is answered, kept and recorded.

#[path = "wire/fields.rs"]
mod fields;
#[path = "wire/kinds.rs"]
mod kinds;
#[path = "wire/query.rs"]
mod query;
#[path = "wire/watch.rs"]
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use http::header::ACCEPT;
use http::{Method, Request, Response, StatusCode};
use kube::client::Body;
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::Cluster;
use fields::merge;
use kinds::{KINDS, discovery};
use query::{asks_for_names, page, parameter, selects};

/// What somebody does to an object.
type Change = fn(&mut Value);

/// What the server holds and has heard.
#[derive(Default)]
pub(super) struct State {
    /// By path.
    pub(super) objects: BTreeMap<String, Value>,
    /// `METHOD path?query` of each request but discovery, in order.
    pub(super) log: Vec<String>,
    /// Paths whose apply, or creation in them, is answered with this status.
    pub(super) refusals: BTreeMap<String, Value>,
    /// Lists that are answered with 503.
    pub(super) outages: BTreeSet<String>,
    /// How many times discovery does not tell of a defined kind yet.
    pub(super) lag: usize,
    /// What a controller does to an object that was applied.
    pub(super) react: Option<Change>,
    /// Logs of pods, by path.
    pub(super) logs: BTreeMap<String, String>,
    /// Whether what was refused is taken once the object is gone.
    pub(super) refused_once: bool,
    /// What somebody else does to an object right after it is read next.
    pub(super) between: Option<(&'static str, Change)>,
    /// Paths of objects that stay when they are deleted, as with a finalizer.
    pub(super) stuck: BTreeSet<String>,
    /// What was told of each list that is watched.
    told: BTreeMap<String, BTreeMap<String, Value>>,
    /// After so many requests none is answered any more.
    pub(super) answers: Option<usize>,
    uids: u64,
}

/// The server.
#[derive(Clone, Default)]
pub(super) struct Wire {
    state: Arc<Mutex<State>>,
    silent: Arc<Notify>,
}

impl Wire {
    /// A client of this server.
    pub(super) fn cluster(&self) -> Cluster {
        let wire = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let wire = wire.clone();
            async move { Ok::<_, std::convert::Infallible>(wire.answer(request).await) }
        });
        Cluster::from_client(kube::Client::new(service, "default"))
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("not poisoned")
    }

    /// Puts an object there as somebody else would, and its namespace if that is not there.
    pub(super) fn put(&self, path: &str, object: Value) {
        let mut state = self.state();
        if let Some((_, inside)) = path.split_once("/namespaces/")
            && let Some((name, _)) = inside.split_once('/')
        {
            let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "uid": name}, "status": {"phase": "Active"}});
            state
                .objects
                .entry(format!("/api/v1/namespaces/{name}"))
                .or_insert(namespace);
        }
        state.uids += 1;
        let mut object = object;
        object["metadata"]["uid"] = state.uids.to_string().into();
        state.objects.insert(path.to_owned(), object);
    }

    /// Puts a namespace there as somebody else would.
    pub(super) fn put_namespace(&self, name: &str) {
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        self.put(&format!("/api/v1/namespaces/{name}"), namespace);
    }

    /// Nothing is recorded any more of who applied an object: what an apply would change has to be asked.
    pub(super) fn forget_managers(&self, path: &str) {
        if let Some(object) = self.state().objects.get_mut(path) {
            object["metadata"]["managedFields"] = json!([]);
        }
    }

    /// Requests that change something.
    pub(super) fn changes(&self) -> Vec<String> {
        let state = self.state();
        let changing = state
            .log
            .iter()
            .filter(|l| !l.starts_with("GET") && !l.contains("dryRun=All"));
        changing.cloned().collect()
    }

    /// Runs until done, or until the server falls silent: then the caller is gone like a killed process.
    pub(super) async fn until_silent<T>(&self, answers: usize, work: impl Future<Output = T>) -> Option<T> {
        {
            let mut state = self.state();
            state.answers = Some(state.log.len() + answers);
        }
        let done = tokio::select! {
            done = work => Some(done),
            () = self.silent.notified() => None,
        };
        self.state().answers = None;
        done
    }

    pub(super) async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path().to_owned();
        let query = parts.uri.query().unwrap_or_default().to_owned();
        let body = body.collect_bytes().await.unwrap_or_default();
        if path == "/api" || path == "/apis" {
            return reply(&self.state().discovery(path == "/api"));
        }
        let silent = {
            let mut state = self.state();
            let silent = state.answers.is_some_and(|limit| state.log.len() >= limit);
            state.log.push(format!("{} {path}?{query}", parts.method));
            silent
        };
        if silent {
            self.silent.notify_one();
            std::future::pending::<()>().await;
        }
        if parts.method == Method::GET && watch::is_asked(&query) {
            return watch::answer(self, &path, &query).await;
        }
        let mut state = self.state();
        match parts.method {
            Method::GET if state.outages.contains(&path) => status(&json!({"code": 503, "message": "no backend"})),
            Method::GET if state.logs.contains_key(&path) => {
                Response::new(Body::from(state.logs[&path].clone().into_bytes()))
            }
            Method::GET if state.is_object(&path) => state.read(&path),
            Method::GET => {
                let names = parts.headers.get(ACCEPT).is_some_and(asks_for_names);
                let items = state.list(&path, &query, names);
                state.told.insert(watch::key(&path, &query), watch::by_name(&items));
                reply(&page(items, &query))
            }
            Method::PATCH if is_merge(&parts.headers) => state.patch(&path, &body),
            Method::PATCH => state.apply(&path, &query, &body),
            Method::POST => state.create(&path, &query, &body),
            Method::PUT => state.replace(&path, &body),
            Method::DELETE => state.delete(&path, &body),
            _ => status(&json!({"code": 405, "message": "no"})),
        }
    }
}

impl State {
    /// Kinds that definitions define: `(group, version, kind, plural, namespaced)`.
    fn defined(&self) -> Vec<(String, String, String, String, bool)> {
        let prefix = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/";
        let definitions = self.objects.iter().filter(|(path, _)| path.starts_with(prefix));
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        definitions
            .map(|(_, definition)| {
                let spec = &definition["spec"];
                (
                    text(&spec["group"]),
                    text(&spec["versions"][0]["name"]),
                    text(&spec["names"]["kind"]),
                    text(&spec["names"]["plural"]),
                    spec["scope"] == "Namespaced",
                )
            })
            .collect()
    }

    /// `/…/PLURAL/NAME` names an object, `/…/PLURAL` a list.
    fn is_object(&self, path: &str) -> bool {
        let last = path.rsplit('/').next().unwrap_or_default();
        !KINDS.iter().any(|(_, _, _, plural, _)| *plural == last) && !self.defined().iter().any(|kind| kind.3 == last)
    }

    fn read(&mut self, path: &str) -> Response<Body> {
        let answer = self.objects.get(path).map_or_else(|| absent(path), reply);
        if let Some((_, change)) = self.between.take_if(|(at, _)| *at == path)
            && let Some(object) = self.objects.get_mut(path)
        {
            change(object);
        }
        answer
    }

    fn discovery(&mut self, core: bool) -> Value {
        let defined = if core { Vec::new() } else { self.defined() };
        let late = !defined.is_empty() && self.lag > 0;
        self.lag -= usize::from(late);
        let built_in = KINDS.iter().filter(|k| k.0.is_empty() == core).copied();
        let defined = defined.iter().filter(|_| !late);
        let defined = defined.map(|(g, v, k, p, n)| (g.as_str(), v.as_str(), k.as_str(), p.as_str(), *n));
        discovery(built_in.chain(defined))
    }

    fn apply(&mut self, path: &str, query: &str, body: &[u8]) -> Response<Body> {
        let wanted: Value = serde_json::from_slice(body).unwrap_or_default();
        if let Some(refusal) = self.refusals.get(path).filter(|_| !query.contains("force=true"))
            && (!self.refused_once || self.objects.contains_key(path))
        {
            return status(refusal);
        }
        let now = self.objects.get(path).cloned().unwrap_or_else(|| {
            self.uids += 1;
            json!({"metadata": {"uid": self.uids.to_string()}})
        });
        let mut merged = match fields::apply(
            now,
            wanted,
            &parameter(query, "fieldManager"),
            query.contains("force=true"),
        ) {
            Ok(merged) => merged,
            Err(refusal) => return status(&refusal),
        };
        if let Some(react) = self.react {
            react(&mut merged);
        }
        if !query.contains("dryRun=All") && self.objects.get(path) != Some(&merged) {
            self.uids += 1;
            merged["metadata"]["resourceVersion"] = self.uids.to_string().into();
            self.objects.insert(path.to_owned(), merged.clone());
        }
        reply(&merged)
    }

    /// A merge patch: what is null goes.
    fn patch(&mut self, path: &str, body: &[u8]) -> Response<Body> {
        let Some(object) = self.objects.get_mut(path) else {
            return absent(path);
        };
        let stated: Value = serde_json::from_slice(body).unwrap_or_default();
        merge(object, &stated);
        drop_nulls(object);
        reply(object)
    }

    /// As the real one: the namespace has to be there, and names are given once.
    fn create(&mut self, list: &str, query: &str, body: &[u8]) -> Response<Body> {
        if let Some(refusal) = self.refusals.get(list) {
            return status(refusal);
        }
        let mut object: Value = serde_json::from_slice(body).unwrap_or_default();
        let path = format!("{list}/{}", object["metadata"]["name"].as_str().unwrap_or_default());
        let home = list
            .split_once("/namespaces/")
            .map(|(_, rest)| rest.split('/').next().unwrap_or_default());
        if home.is_some_and(|home| !self.objects.contains_key(&format!("/api/v1/namespaces/{home}"))) {
            return absent(list);
        }
        if self.objects.contains_key(&path) {
            return conflict("AlreadyExists");
        }
        if query.contains("dryRun=All") {
            return reply(&object);
        }
        self.uids += 1;
        object["metadata"]["uid"] = self.uids.to_string().into();
        object["metadata"]["resourceVersion"] = self.uids.to_string().into();
        self.objects.insert(path, object.clone());
        reply(&object)
    }

    /// Only the version that was read is replaced.
    fn replace(&mut self, path: &str, body: &[u8]) -> Response<Body> {
        let mut object: Value = serde_json::from_slice(body).unwrap_or_default();
        match self.objects.get(path) {
            // Leases may be made by an update: the version of one that is gone is no longer that of what is there.
            None if path.contains("/leases/") => return conflict("Conflict"),
            None => return absent(path),
            Some(now) if now["metadata"]["resourceVersion"] != object["metadata"]["resourceVersion"] => {
                return conflict("Conflict");
            }
            Some(now) => object["metadata"]["uid"] = now["metadata"]["uid"].clone(),
        }
        self.uids += 1;
        object["metadata"]["resourceVersion"] = self.uids.to_string().into();
        self.objects.insert(path.to_owned(), object.clone());
        reply(&object)
    }

    fn delete(&mut self, path: &str, body: &[u8]) -> Response<Body> {
        let params: Value = serde_json::from_slice(body).unwrap_or_default();
        let wanted = params["preconditions"].as_object().cloned().unwrap_or_default();
        let now = self.objects.get(path).map(|object| object["metadata"].clone());
        if now.is_some_and(|now| wanted.iter().any(|(key, value)| now[key] != *value)) {
            return conflict("Conflict");
        }
        if let Some(object) = self.objects.get_mut(path).filter(|_| self.stuck.contains(path)) {
            object["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
            return reply(object);
        }
        match self.objects.remove(path) {
            None => absent(path),
            Some(object) => {
                if path.starts_with("/api/v1/namespaces/") && path.split('/').count() == 5 {
                    let name = path.rsplit('/').next().unwrap_or_default();
                    let inside = format!("/namespaces/{name}/");
                    self.objects.retain(|p, _| !p.contains(&inside));
                }
                reply(&object)
            }
        }
    }

    /// Items of a list do not say what they are, unless only names and marks are asked for.
    fn list(&self, path: &str, query: &str, names: bool) -> Vec<Value> {
        let plural = path.rsplit('/').next().unwrap_or_default();
        let namespace = path
            .split_once("/namespaces/")
            .map(|(_, rest)| rest.split('/').next().unwrap_or_default());
        let selector = parameter(query, "labelSelector");
        let group = path.split('/').take(4).collect::<Vec<_>>().join("/");
        let core = path.starts_with("/api/");
        let prefix = if core { "/api/v1/".to_owned() } else { group + "/" };
        let of_kind = self.objects.iter().filter(|(p, _)| {
            let mut parts = p.rsplit('/');
            let kind = (parts.next(), parts.next()).1.unwrap_or_default();
            p.starts_with(&prefix) && kind == plural
        });
        of_kind
            .filter(|(p, _)| namespace.is_none_or(|n| p.contains(&format!("/namespaces/{n}/"))))
            .map(|(_, o)| o.clone())
            .filter(|o| selects(&selector, o))
            .map(|mut object| {
                if let Some(fields) = object.as_object_mut().filter(|_| !names) {
                    fields.retain(|name, _| name != "apiVersion" && name != "kind");
                }
                object
            })
            .collect()
    }
}

fn is_merge(headers: &http::HeaderMap) -> bool {
    headers
        .get(http::header::CONTENT_TYPE)
        .is_some_and(|kind| kind == "application/merge-patch+json")
}

fn drop_nulls(value: &mut Value) {
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|_, field| !field.is_null());
        fields.values_mut().for_each(drop_nulls);
    }
}

fn absent(path: &str) -> Response<Body> {
    status(&json!({"code": 404, "reason": "NotFound", "message": format!("{path} not found")}))
}

fn conflict(reason: &str) -> Response<Body> {
    status(&json!({"code": 409, "reason": reason, "message": "conflict"}))
}

fn status(fields: &Value) -> Response<Body> {
    let mut body = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "metadata": {}, "reason": ""});
    merge(&mut body, fields);
    let code = fields["code"]
        .as_u64()
        .and_then(|c| u16::try_from(c).ok())
        .unwrap_or(500);
    let mut response = Response::new(Body::from(body.to_string().into_bytes()));
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or_default();
    response
}

fn reply(value: &Value) -> Response<Body> {
    Response::new(Body::from(value.to_string().into_bytes()))
}

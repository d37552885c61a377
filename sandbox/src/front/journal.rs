//! The record of the calls to Kubernetes and the registry; those to AWS are in the AWS endpoint's own.

use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use hyper::{Method, StatusCode, Uri};
use serde_json::{Value, json};

use super::Service;
use super::fault::Kind;

/// One call. Its status is 0 while it runs and when the answer was lost.
#[derive(Debug)]
pub(crate) struct Entry {
    time: f64,
    service: Service,
    operation: String,
    status: AtomicU16,
    /// Of the request's body, as far as it came.
    bytes: AtomicU64,
    fault: OnceLock<Kind>,
}

impl Entry {
    pub(crate) fn operation(&self) -> &str {
        &self.operation
    }

    /// Names the fault that hit the call.
    pub(crate) fn hit_by(&self, kind: Kind) {
        let _ = self.fault.set(kind);
    }

    /// So many more bytes of the request's body came.
    pub(crate) fn came(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The answer goes to the client.
    pub(crate) fn end(&self, status: StatusCode) {
        self.status.store(status.as_u16(), Ordering::Relaxed);
    }

    /// As the AWS endpoint shows its own; neither protocol counts attempts.
    fn view(&self) -> Value {
        json!({
            "time": self.time,
            "service": self.service.name(),
            "operation": self.operation,
            "status": self.status.load(Ordering::Relaxed),
            "attempt": 1,
            "bytes": self.bytes.load(Ordering::Relaxed),
            "fault": self.fault.get(),
        })
    }
}

/// Entries in order of arrival.
#[derive(Debug, Default)]
pub(crate) struct Journal(Mutex<Vec<Arc<Entry>>>);

impl Journal {
    pub(crate) fn begin(&self, service: Service, operation: String) -> Arc<Entry> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let entry = Arc::new(Entry {
            time: (since.as_secs_f64() * 1000.0).round() / 1000.0,
            service,
            operation,
            status: AtomicU16::new(0),
            bytes: AtomicU64::new(0),
            fault: OnceLock::new(),
        });
        self.entries().push(Arc::clone(&entry));
        entry
    }

    pub(crate) fn clear(&self) {
        self.entries().clear();
    }

    /// Its entries among those of the AWS endpoint, by time.
    pub(crate) fn merged(&self, mut others: Vec<Value>) -> Vec<Value> {
        others.extend(self.entries().iter().map(|entry| entry.view()));
        let time = |entry: &Value| entry["time"].as_f64().unwrap_or_default();
        others.sort_by(|a, b| time(a).total_cmp(&time(b)));
        others
    }

    fn entries(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Entry>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `METHOD /path`, without the query, but with ` dryRun` and ` watch` where it asks for that.
pub(crate) fn operation(method: &Method, uri: &Uri) -> String {
    let mut operation = format!("{method} {}", uri.path());
    for pair in uri.query().unwrap_or_default().split('&') {
        match pair.split_once('=') {
            Some(("dryRun", _)) => operation.push_str(" dryRun"),
            Some(("watch", "true" | "1")) => operation.push_str(" watch"),
            _ => {}
        }
    }
    operation
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_is_method_and_path_with_its_marks() {
        for (path, shown) in [
            ("/api/v1/pods?limit=1", "GET /api/v1/pods"),
            ("/api/v1/pods?watch=true&limit=1", "GET /api/v1/pods watch"),
            ("/api/v1/pods?watch=false", "GET /api/v1/pods"),
            ("/api/v1/pods?dryRun=All&force=true", "GET /api/v1/pods dryRun"),
        ] {
            assert_eq!(operation(&Method::GET, &path.parse().expect("a URI")), shown);
        }
    }

    #[test]
    fn entries_stand_among_the_others_by_time() {
        let journal = Journal::default();
        let entry = journal.begin(Service::Registry, "PUT /v2/a".to_owned());
        entry.hit_by(Kind::Delay);
        entry.came(3);
        entry.came(4);
        entry.end(StatusCode::CREATED);
        let others = vec![
            json!({"time": 4e12, "service": "eks"}),
            json!({"time": 1.0, "service": "ecr"}),
        ];
        let merged = journal.merged(others);
        let services: Vec<&Value> = merged.iter().map(|e| &e["service"]).collect();
        assert_eq!(services, ["ecr", "registry", "eks"]);
        assert_eq!(merged[1]["status"], 201);
        assert_eq!((&merged[1]["fault"], &merged[1]["bytes"]), (&json!("delay"), &json!(7)));
    }
}

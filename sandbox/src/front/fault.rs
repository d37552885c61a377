//! Faults of Kubernetes and the registry: what they do to a client, on demand and repeatable.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hyper::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};
use regex::Regex;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Service;
use super::body::{Body, whole};

/// What happens to a call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// 429 with `Retry-After`.
    #[default]
    Throttle,
    /// An error answer.
    Error,
    /// The connection is reset.
    Reset,
    /// It takes longer.
    Delay,
    /// Silence for `delay_s` (default 60 s), then a reset.
    Timeout,
}

/// A fault as it is loaded and listed; its fields are those of the AWS endpoint's, and `cut_percent`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Fault {
    service: Service,
    /// A regular expression for the whole name of the operation.
    operation: String,
    /// How often it still fires; none: without end.
    times: Option<u64>,
    /// The share of the calls it hits, evenly spread.
    percent: f64,
    pub(crate) kind: Kind,
    status: Option<u16>,
    code: Option<String>,
    message: Option<String>,
    delay_s: f64,
    /// The work is done and the answer lost.
    pub(crate) after: bool,
    /// With `reset`, registry only: the request's body, or with `after` the response's, breaks off after this share.
    pub(crate) cut_percent: Option<f64>,
}

impl Default for Fault {
    fn default() -> Self {
        Self {
            service: Service::default(),
            operation: ".*".to_owned(),
            times: Some(1),
            percent: 100.0,
            kind: Kind::default(),
            status: None,
            code: None,
            message: None,
            delay_s: 0.0,
            after: false,
            cut_percent: None,
        }
    }
}

impl Fault {
    fn checked(self) -> Result<Self, String> {
        let percents = [Some(self.percent), self.cut_percent];
        if percents.into_iter().flatten().any(|p| !(0.0..=100.0).contains(&p)) {
            return Err("percentages are from 0 to 100".to_owned());
        }
        if Duration::try_from_secs_f64(self.delay_s).is_err() {
            return Err(format!("`delay_s` is no duration: {}", self.delay_s));
        }
        if self.status.is_some_and(|s| !(400..600).contains(&s)) {
            return Err("`status` is from 400 to 599".to_owned());
        }
        if self.cut_percent.is_some() && (self.kind != Kind::Reset || self.service != Service::Registry) {
            return Err("`cut_percent` goes with kind `reset` and service `registry`".to_owned());
        }
        Ok(self)
    }

    /// How long the answer takes longer.
    pub(crate) fn delay(&self) -> Duration {
        let default = if self.kind == Kind::Timeout { 60.0 } else { 0.0 };
        let seconds = if self.delay_s > 0.0 { self.delay_s } else { default };
        Duration::try_from_secs_f64(seconds).unwrap_or_default()
    }

    /// The answer of kinds `throttle` and `error`, in the service's own form.
    pub(crate) fn answer(&self) -> Response<Body> {
        let default = if self.kind == Kind::Throttle { 429 } else { 500 };
        let status = self.status.unwrap_or(default);
        let message = self.message.as_deref().unwrap_or("injected error");
        let body = match self.service {
            Service::Registry => {
                let code = self.code.as_deref().unwrap_or_else(|| registry_code(status));
                json!({"errors": [{"code": code, "message": message}]})
            }
            _ => json!({
                "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message,
                "reason": self.code.as_deref().unwrap_or_else(|| reason(status)), "code": status,
            }),
        };
        let mut response = Response::new(whole(body.to_string()));
        *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if self.kind == Kind::Throttle {
            headers.insert(RETRY_AFTER, 1.into());
        }
        response
    }
}

/// `metav1.StatusReason` of an HTTP status.
fn reason(status: u16) -> &'static str {
    match status {
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "NotFound",
        409 => "Conflict",
        429 => "TooManyRequests",
        500 => "InternalError",
        503 => "ServiceUnavailable",
        504 => "Timeout",
        _ => "",
    }
}

/// Error codes of the OCI distribution specification.
fn registry_code(status: u16) -> &'static str {
    match status {
        401 => "UNAUTHORIZED",
        403 => "DENIED",
        429 => "TOOMANYREQUESTS",
        _ => "UNKNOWN",
    }
}

#[derive(Debug)]
struct Armed {
    fault: Fault,
    pattern: Regex,
    /// Percents collected since it last fired.
    due: f64,
}

/// The faults in force; the first that hits is used and counted down.
#[derive(Debug, Default)]
pub(crate) struct Faults(Mutex<Vec<Armed>>);

/// Faults that were checked and may be put in force.
#[derive(Debug)]
pub(crate) struct Checked(Vec<Armed>);

impl Faults {
    /// Checks all of them; the error says what is wrong with the first bad one.
    pub(crate) fn check(raw: Vec<Value>) -> Result<Checked, String> {
        let armed = raw.into_iter().map(|one| {
            let fault: Fault = serde_json::from_value(one).map_err(|e| format!("no fault: {e}"))?;
            let fault = fault.checked()?;
            let pattern = Regex::new(&format!("^(?:{})$", fault.operation))
                .map_err(|e| format!("`operation` is no regular expression: {e}"))?;
            Ok(Armed {
                fault,
                pattern,
                due: 0.0,
            })
        });
        armed.collect::<Result<_, String>>().map(Checked)
    }

    pub(crate) fn replace(&self, faults: Checked) {
        *self.armed() = faults.0;
    }

    pub(crate) fn clear(&self) {
        self.armed().clear();
    }

    pub(crate) fn listed(&self) -> Vec<Value> {
        self.armed().iter().map(|a| json!(a.fault)).collect()
    }

    /// The fault that hits this call.
    pub(crate) fn pick(&self, service: Service, operation: &str) -> Option<Fault> {
        self.armed().iter_mut().find_map(|armed| {
            let fault = &mut armed.fault;
            if fault.times == Some(0) || fault.service != service || !armed.pattern.is_match(operation) {
                return None;
            }
            armed.due += fault.percent;
            if armed.due < 100.0 {
                return None;
            }
            armed.due -= 100.0;
            fault.times = fault.times.map(|left| left - 1);
            Some(fault.clone())
        })
    }

    fn armed(&self) -> std::sync::MutexGuard<'_, Vec<Armed>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(raw: Value) -> Faults {
        let Value::Array(list) = raw else { panic!("a list") };
        let faults = Faults::default();
        faults.replace(Faults::check(list).expect("good faults"));
        faults
    }

    #[test]
    fn a_fault_fires_as_often_as_it_says_on_whole_names() {
        let faults = faults(json!([{"service": "kubernetes", "operation": "PATCH .*/web-app", "times": 2}]));
        let hits = |service, operation| faults.pick(service, operation).is_some();
        assert!(!hits(Service::Registry, "PATCH /x/web-app"));
        assert!(!hits(Service::Kubernetes, "PATCH /x/web-app dryRun"));
        assert!(hits(Service::Kubernetes, "PATCH /x/web-app"));
        assert!(hits(Service::Kubernetes, "PATCH /x/web-app"));
        assert!(!hits(Service::Kubernetes, "PATCH /x/web-app"));
        assert_eq!(faults.listed()[0]["times"], 0);
    }

    #[test]
    fn a_share_of_the_calls_is_hit_evenly_and_without_end() {
        let faults = faults(json!([{"service": "registry", "percent": 25, "times": null}]));
        let hits: Vec<bool> = (0..8)
            .map(|_| faults.pick(Service::Registry, "GET /v2/").is_some())
            .collect();
        assert_eq!(hits, [false, false, false, true, false, false, false, true]);
    }

    #[test]
    fn what_cannot_be_a_fault_is_refused_by_name() {
        for (wrong, says) in [
            (json!({"service": "kubernetes", "operation": "("}), "regular expression"),
            (json!({"service": "kubernetes", "kind": "explode"}), "unknown variant"),
            (json!({"service": "kubernetes", "time": 1}), "unknown field"),
            (json!({"service": "kubernetes", "percent": 101}), "percentages"),
            (json!({"service": "kubernetes", "delay_s": -1}), "delay_s"),
            (json!({"service": "kubernetes", "status": 200}), "status"),
            (
                json!({"service": "kubernetes", "kind": "reset", "cut_percent": 5}),
                "cut_percent",
            ),
            (
                json!({"service": "registry", "kind": "error", "cut_percent": 5}),
                "cut_percent",
            ),
        ] {
            let error = Faults::check(vec![wrong.clone()]).expect_err("refused");
            assert!(error.contains(says), "{wrong}: {error}");
        }
    }

    #[test]
    fn errors_come_in_the_form_of_the_service() {
        for (raw, status, retry, body) in [
            (
                json!({"service": "kubernetes"}),
                429,
                Some("1"),
                r#""reason":"TooManyRequests","code":429"#,
            ),
            (
                json!({"service": "registry", "kind": "error", "status": 503, "message": "busy"}),
                503,
                None,
                r#""code":"UNKNOWN","message":"busy""#,
            ),
        ] {
            let answer = faults(json!([raw]))
                .pick(service(&raw), "GET /")
                .expect("hits")
                .answer();
            assert_eq!(answer.status(), status);
            assert_eq!(
                answer.headers().get(RETRY_AFTER).map(|v| v.to_str().expect("text")),
                retry
            );
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
            let bytes = runtime.block_on(http_body_util::BodyExt::collect(answer.into_body()));
            let text = String::from_utf8(bytes.expect("a body").to_bytes().to_vec()).expect("text");
            assert!(text.contains(body), "{text}");
        }
    }

    fn service(raw: &Value) -> Service {
        serde_json::from_value(raw["service"].clone()).expect("a service")
    }
}

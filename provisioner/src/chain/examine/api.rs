//! The custom metrics API: the adapter, its certificate, the `APIService` before it, and what it answers.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::Value;

use super::super::code::Code;
use super::super::finding::Finding;
use super::super::hops::pod_values;
use super::super::readings::Part;
use super::super::{Hop, METRIC, pods, rules};
use super::workload::Workload;
use super::{Exam, by};
use crate::cluster::authority::Authority;
use crate::cluster::certificate::{API_SERVICE, Flaw, SERVICE, flaw, is_due};
use crate::cluster::error::Failure;
use crate::cluster::ready::{condition, sentence};
use crate::names::{FIELD_MANAGER, LABEL_MANAGED_BY};

impl Exam<'_> {
    pub(super) fn adapter(&self) -> Finding {
        let found = self.workload(&Workload {
            hop: Hop::Adapter,
            namespace: &self.scene.namespaces.metrics,
            name: SERVICE,
            deployment: &self.readings.adapter,
            pods: &self.readings.adapter_pods,
        });
        match self.lacks(Part::Adapter) {
            Some(says) if self.readings.adapter.is_ok() && found.code == Code::Ok => {
                Finding::fail(Hop::Adapter, Code::Forbidden, says).fix(self.bootstrap(""))
            }
            _ => found,
        }
    }

    pub(super) fn certificate(&self) -> Finding {
        let hop = Hop::Certificate;
        let (authority, secret) = &self.readings.serving;
        let name = authority.serving_secret();
        let secret = match secret {
            Ok(secret) => secret,
            Err(failure) if failure.code == Some(404) && self.readings.adapter.is_ok() => {
                let says = format!("there is no Secret `{}/{name}`", self.scene.namespaces.metrics);
                return self.renewed(Finding::fail(hop, Code::NotFound, says), *authority, None);
            }
            Err(failure) => return Self::unasked(hop, failure),
        };
        let Ok(api) = &self.readings.api_service else {
            return Finding::unknown(hop, Code::NotAsked, "there is no APIService that says whom to trust");
        };
        if !self.is_own(api) {
            return Finding::unknown(hop, Code::NotAsked, "the APIService is another's");
        }
        let certificate = pem(&secret["data"]["tls.crt"]);
        let bundle = pem(&api["spec"]["caBundle"]);
        let found = flaw(&certificate, &bundle, &self.scene.namespaces.metrics, self.scene.now);
        match found {
            Some(flaw) => {
                // Where nobody is trusted who signed it, either side may have been changed.
                let changed = pods::changed_by(secret, &["data", "tls.crt"]);
                let trusted = pods::changed_by(api, &["spec", "caBundle"]);
                let changed = changed.or(trusted);
                let (code, says) = told(flaw);
                let says = format!("that of Secret `{name}` {says}{}", by(changed));
                self.renewed(Finding::fail(hop, code, says), *authority, changed)
            }
            None => self.valid(&certificate, *authority),
        }
    }

    fn valid(&self, certificate: &str, authority: Authority) -> Finding {
        let ends = crate::cluster::certificate::ends(certificate);
        let days = ends.map(|ends| ends.duration_since(self.scene.now).as_secs_f64() / 86_400.0);
        let days = days.unwrap_or_default();
        let says = format!("signed by {}, ends in {days:.0} days", signer(authority));
        let finding = Finding::pass(Hop::Certificate, says).figure(days.floor(), "days left");
        if is_due(certificate, self.scene.now) {
            return self.renewed(finding.but(Code::Due), authority, None);
        }
        finding
    }

    /// With who makes a new one.
    fn renewed(&self, finding: Finding, authority: Authority, changed: Option<&str>) -> Finding {
        match authority {
            Authority::Own => finding.fix(self.set_right(changed)),
            Authority::CertManager => {
                let namespace = &self.scene.namespaces.metrics;
                let look = "describe certificates.cert-manager.io,issuers.cert-manager.io";
                finding
                    .fix(self.scene.commands.kubectl_in(namespace, look))
                    .fix(self.bootstrap("--certificates own"))
            }
        }
    }

    /// Whether an `APIService` leads to the stack's adapter.
    fn is_own(&self, api: &Value) -> bool {
        let service = &api["spec"]["service"];
        service["name"] == SERVICE && service["namespace"] == self.scene.namespaces.metrics
    }

    pub(super) fn api_service(&self) -> Finding {
        let hop = Hop::ApiService;
        let api = match &self.readings.api_service {
            Ok(api) => api,
            Err(failure) if failure.code == Some(404) => {
                let says = format!("there is no APIService `{API_SERVICE}`");
                return Finding::fail(hop, Code::NotFound, says).fix(self.bootstrap(""));
            }
            Err(failure) => return Self::unasked(hop, failure),
        };
        if !self.is_own(api) {
            return self.taken_over(api);
        }
        match condition(&api["status"], "Available") {
            Some(available) if available["status"] == "True" => {
                Finding::pass(hop, "available").age(pods::since(available, self.scene.now))
            }
            Some(available) => self.unavailable(available),
            None => Finding::fail(hop, Code::NotLookedAt, "the API server has not looked at it yet").fix(
                self.scene
                    .commands
                    .kubectl(&format!("describe apiservice {API_SERVICE}")),
            ),
        }
    }

    fn taken_over(&self, api: &Value) -> Finding {
        let service = &api["spec"]["service"];
        let text = |field: &str| service[field].as_str().unwrap_or("-").to_owned();
        let changed = pods::changed_by(api, &["spec", "service"]);
        let says = format!(
            "it leads to Service `{}/{}`, not to the stack's adapter{}",
            text("namespace"),
            text("name"),
            by(changed)
        );
        let ours = api["metadata"]["labels"][LABEL_MANAGED_BY] == FIELD_MANAGER;
        let flag = if ours { "--force-conflicts" } else { "--take-over" };
        Finding::fail(Hop::ApiService, Code::TakenOver, says).fix(self.bootstrap(flag))
    }

    fn unavailable(&self, available: &Value) -> Finding {
        let said = sentence(available);
        let code = match available["reason"].as_str() {
            Some("ServiceNotFound") => Code::NotFound,
            Some("EndpointsNotFound" | "MissingEndpoints" | "ServiceAccessError") => Code::NoEndpoints,
            Some("ServicePortError") => Code::PortName,
            _ => Code::of_text(&said).unwrap_or(Code::ApiUnavailable),
        };
        let namespace = &self.scene.namespaces.metrics;
        let kubectl = |words: &str| self.scene.commands.kubectl_in(namespace, words);
        let finding = Finding::fail(Hop::ApiService, code, said).age(pods::since(available, self.scene.now));
        match code {
            Code::NoEndpoints => finding
                .fix(kubectl("get pods,endpointslices"))
                .fix(self.bootstrap("--force-conflicts")),
            Code::NotFound | Code::Forbidden => finding.fix(self.bootstrap("")),
            Code::PortName => finding.fix(self.bootstrap("--force-conflicts")),
            Code::X509Expired | Code::X509Untrusted | Code::X509Name => {
                self.renewed(finding, self.readings.serving.0, Some("another"))
            }
            // The control plane does not reach the pods' port: on EKS a rule of the nodes' security group, elsewhere a policy.
            Code::Timeout => finding
                .fix(kubectl("describe networkpolicies"))
                .fix(kubectl("get pods --output wide")),
            _ => finding.fix(kubectl(&format!("logs deployment/{SERVICE} --tail=50"))),
        }
    }

    pub(super) fn metric(&self) -> Finding {
        let hop = Hop::Metric;
        let list = match &self.readings.metrics {
            Ok(list) => list,
            Err(failure) => return self.api_failed(hop, failure),
        };
        let resources = list["resources"].as_array().map_or(&[][..], Vec::as_slice);
        let names: BTreeSet<&str> = resources.iter().filter_map(|one| one["name"].as_str()).collect();
        if names.contains(format!("pods/{METRIC}").as_str()) {
            return Finding::pass(hop, format!("pods/{METRIC}")).count(names.len(), "metrics");
        }
        if let Ok(rules) = &self.readings.adapter_rules
            && !rules::reads_counter(rules)
        {
            let changed = pods::changed_by(rules, &["data", "config.yaml"]);
            let says = format!("no rule of the adapter makes `{METRIC}`{}", by(changed));
            // Rules that are as they were before start no pod, and a bootstrap waits for the chain.
            let delete = format!("delete deployment/{SERVICE}");
            return Finding::fail(hop, Code::NoRule, says)
                .fix(self.scene.commands.kubectl_in(&self.scene.namespaces.metrics, &delete))
                .fix(self.bootstrap("--force-conflicts"));
        }
        let told = self.last_error();
        let told = told.map_or_else(String::new, |line| format!("; it said last: {line}"));
        let says = format!(
            "the adapter lists {} metrics, `{METRIC}` is none of them{told}",
            names.len()
        );
        Finding::fail(hop, Code::NotListed, says).fix(self.adapter_log())
    }

    fn api_failed(&self, hop: Hop, failure: &Failure) -> Finding {
        match failure.code {
            Some(401 | 403) => Self::unasked(hop, failure),
            code => {
                let code = if code.is_none() {
                    Code::Timeout
                } else {
                    Code::ApiUnavailable
                };
                Finding::fail(hop, code, failure.to_string()).fix(self.adapter_log())
            }
        }
    }

    fn adapter_log(&self) -> String {
        let namespace = &self.scene.namespaces.metrics;
        self.scene
            .commands
            .kubectl_in(namespace, &format!("logs deployment/{SERVICE} --tail=50"))
    }

    /// The last line of the adapter's log that tells an error: klog begins those with `E`.
    fn last_error(&self) -> Option<String> {
        let log = self.readings.adapter_log.as_ref().ok()?;
        let is_error = |line: &&str| {
            let mut chars = line.chars();
            chars.next() == Some('E') && chars.next().is_some_and(|c| c.is_ascii_digit())
        };
        let line = log.lines().rev().find(is_error)?;
        let text = line.split_once("] ").map_or(line, |(_, text)| text);
        Some(text.chars().take(300).collect())
    }

    pub(super) fn values(&self) -> Finding {
        let hop = Hop::Values;
        let answer = match &self.readings.values {
            Ok(answer) => answer,
            Err(failure) if failure.code == Some(404) => {
                let says = format!("`{METRIC}` has no value for any pod: {failure}");
                return Finding::fail(hop, Code::NoValue, says).fix(self.adapter_log());
            }
            Err(failure) => return self.api_failed(hop, failure),
        };
        let values = match pod_values(answer) {
            Ok(values) => values,
            Err(broken) => return Finding::fail(hop, Code::NoValue, broken.0).fix(self.adapter_log()),
        };
        let missing: Vec<&str> = pods::of_app(&self.readings.pods)
            .into_iter()
            .filter(|pod| pods::is_ready(pod) && !values.contains_key(pods::name(pod)))
            .map(pods::name)
            .collect();
        let total: f64 = values.values().sum();
        let times = answer["items"].as_array().into_iter().flatten();
        let age = times
            .filter_map(|item| pods::age(&item["timestamp"], self.scene.now))
            .reduce(f64::max);
        let says = format!("{total:.1} requests/s over {} pods", values.len());
        let finding = Finding::pass(hop, says).figure(total, "requests/s").age(age);
        if !missing.is_empty() {
            let says = format!(
                "{total:.1} requests/s over {} pods; none of `{}`",
                values.len(),
                missing.join("`, `")
            );
            return Finding { says, ..finding }.but(Code::MissingPods);
        }
        if total == 0.0 {
            self.no_traffic(finding)
        } else {
            finding
        }
    }

    /// Zero is a value: the chain works.
    fn no_traffic(&self, finding: Finding) -> Finding {
        finding.but(Code::NoTraffic).fix(self.scene.commands.load.clone())
    }
}

fn signer(authority: Authority) -> &'static str {
    match authority {
        Authority::Own => "the stack's own authority",
        Authority::CertManager => "cert-manager",
    }
}

/// Text of base64; empty where it is none.
fn pem(value: &Value) -> String {
    let bytes = value.as_str().and_then(|text| STANDARD.decode(text).ok());
    String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned()
}

fn told(flaw: Flaw) -> (Code, String) {
    let day = |at: Timestamp| at.strftime("%Y-%m-%d %H:%M UTC").to_string();
    match flaw {
        Flaw::Unreadable => (Code::X509Unreadable, "cannot be read".to_owned()),
        Flaw::Ended(at) => (Code::X509Expired, format!("ended on {}", day(at))),
        Flaw::NotBegun(at) => (Code::X509Expired, format!("begins on {} only", day(at))),
        Flaw::OtherName => (Code::X509Name, format!("is not for Service `{SERVICE}`")),
        Flaw::Untrusted => (
            Code::X509Untrusted,
            format!("was signed by nobody whom the APIService `{API_SERVICE}` trusts"),
        ),
    }
}

//! Everything that a diagnosis asks the cluster, each question once and for a few seconds at most: one that gets no answer
//! does not keep the others from theirs. What the answers mean is [`super::examine`]'s business.

use std::time::Duration;

use http::Request;
use serde_json::{Value, json};

use super::route::Route;
use super::{COUNTER, JOB, METRIC};
use crate::cluster::Cluster;
use crate::cluster::authority::Authority;
use crate::cluster::certificate::{API_SERVICE, SERVICE};
use crate::cluster::error::Failure;
use crate::cluster::monitoring::address::PrometheusUrl;
use crate::cluster::values::Namespaces;
use crate::names::APP;

/// How long one question may take.
pub(super) const WITHIN: Duration = if cfg!(test) {
    Duration::from_millis(50)
} else {
    Duration::from_secs(5)
};
/// Pods whose `/metrics` is read.
const PODS: usize = 3;
/// The Service of the app.
pub(super) const APP_SERVICE: &str = "web-app-service";
/// The Deployment and Service of the stack's own Prometheus.
pub(super) const PROMETHEUS: &str = "prometheus";

/// What was answered to one question.
pub(super) type Answer = Result<Value, Failure>;
/// A pod with its answer to a scrape.
pub(super) type Exposition = (String, Result<String, Failure>);

/// A right that a part of the chain needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Right {
    /// Whose.
    pub(super) of: Part,
    /// The service account, `namespace:name`.
    pub(super) who: String,
    /// What for, e.g. "list pods in web-app".
    pub(super) what: String,
    /// Whether it has it; none where that cannot be asked.
    pub(super) allowed: Option<bool>,
}

/// A part of the chain that needs rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// Our Prometheus.
    Prometheus,
    /// The adapter.
    Adapter,
    /// The HPA's controller.
    Autoscaler,
}

/// The answers of Prometheus.
#[derive(Debug, Clone)]
pub(super) struct Series {
    /// What time it is there: whether it answers at all.
    pub(super) answers: Answer,
    /// The targets of the app's job.
    pub(super) targets: Answer,
    /// `up` of the app's job.
    pub(super) up: Answer,
    /// Age of the newest sample of each pod.
    pub(super) ages: Answer,
    /// Age of the newest sample within an hour, whether or not its series goes on.
    pub(super) last: Answer,
}

/// All answers.
#[derive(Debug, Clone)]
pub(super) struct Readings {
    pub(super) deployment: Answer,
    /// All pods of the app's namespace.
    pub(super) pods: Answer,
    pub(super) hpas: Answer,
    pub(super) scale: Answer,
    pub(super) service: Answer,
    pub(super) slices: Answer,
    /// `/metrics` of some pods, by name.
    pub(super) expositions: Vec<Exposition>,
    pub(super) prometheus: Answer,
    pub(super) prometheus_pods: Answer,
    /// A Prometheus of others, as the adapter is told to use it.
    pub(super) foreign: Option<PrometheusUrl>,
    /// None where Prometheus cannot be asked from here.
    pub(super) series: Option<Series>,
    pub(super) adapter: Answer,
    pub(super) adapter_pods: Answer,
    pub(super) adapter_rules: Answer,
    pub(super) adapter_log: Result<String, Failure>,
    pub(super) rights: Vec<Right>,
    /// The Secret that the adapter serves from, and who writes it.
    pub(super) serving: (Authority, Answer),
    pub(super) api_service: Answer,
    pub(super) metrics: Answer,
    pub(super) values: Answer,
}

/// Asks one cluster.
struct Asker<'a> {
    cluster: &'a Cluster,
    at: &'a Namespaces,
    /// The path of the app's metrics.
    metrics_path: &'a str,
}

/// Asks everything.
pub(super) async fn read(cluster: &Cluster, at: &Namespaces, metrics_path: &str) -> Readings {
    let ask = Asker {
        cluster,
        at,
        metrics_path,
    };
    let first = futures::join!(ask.app(), ask.parts(), ask.api());
    let ((deployment, pods, hpas, scale, service, slices), parts, (api_service, metrics, values)) = first;
    let (prometheus, prometheus_pods, adapter, adapter_pods, adapter_rules) = parts;
    let route = Route {
        namespaces: at.clone(),
        prometheus: foreign(&adapter, at),
    };
    let (expositions, series, adapter_log, rights, serving) = futures::join!(
        ask.expositions(&pods),
        ask.series(&route),
        ask.log(&adapter_pods),
        ask.rights(&prometheus, &adapter),
        ask.serving(&adapter)
    );
    Readings {
        deployment,
        pods,
        hpas,
        scale,
        service,
        slices,
        expositions,
        prometheus,
        prometheus_pods,
        foreign: route.prometheus,
        series,
        adapter,
        adapter_pods,
        adapter_rules,
        adapter_log,
        rights,
        serving,
        api_service,
        metrics,
        values,
    }
}

/// What the app's own pods answer to a scrape, by name.
pub(super) async fn expositions(cluster: &Cluster, at: &Namespaces, metrics_path: &str) -> Vec<Exposition> {
    let ask = Asker {
        cluster,
        at,
        metrics_path,
    };
    ask.expositions(&ask.pods().await).await
}

impl Asker<'_> {
    async fn get(&self, path: String) -> Answer {
        self.cluster.ask(Request::get(path).body(Vec::new()), WITHIN).await
    }

    async fn text(&self, path: String) -> Result<String, Failure> {
        self.cluster.ask_text(Request::get(path).body(Vec::new()), WITHIN).await
    }

    async fn pods(&self) -> Answer {
        let namespace = &self.at.app;
        self.get(format!("/api/v1/namespaces/{namespace}/pods")).await
    }

    async fn app(&self) -> (Answer, Answer, Answer, Answer, Answer, Answer) {
        let namespace = &self.at.app;
        let deployment = format!("/apis/apps/v1/namespaces/{namespace}/deployments/{APP}");
        futures::join!(
            self.get(deployment.clone()),
            self.pods(),
            self.get(format!(
                "/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers"
            )),
            self.get(format!("{deployment}/scale")),
            self.get(format!("/api/v1/namespaces/{namespace}/services/{APP_SERVICE}")),
            self.get(format!(
                "/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices?labelSelector=kubernetes.io%2Fservice-name%3D{APP_SERVICE}"
            ))
        )
    }

    /// Prometheus and the adapter: Deployment and pods of each, and the adapter's rules.
    async fn parts(&self) -> (Answer, Answer, Answer, Answer, Answer) {
        let deployment =
            |namespace: &str, name: &str| format!("/apis/apps/v1/namespaces/{namespace}/deployments/{name}");
        let pods = |namespace: &str, name: &str| {
            format!("/api/v1/namespaces/{namespace}/pods?labelSelector=app%3D{name}&limit=50")
        };
        let (monitoring, metrics) = (&self.at.monitoring, &self.at.metrics);
        futures::join!(
            self.get(deployment(monitoring, PROMETHEUS)),
            self.get(pods(monitoring, PROMETHEUS)),
            self.get(deployment(metrics, SERVICE)),
            self.get(pods(metrics, SERVICE)),
            self.get(format!("/api/v1/namespaces/{metrics}/configmaps/{SERVICE}"))
        )
    }

    async fn api(&self) -> (Answer, Answer, Answer) {
        let group = "/apis/custom.metrics.k8s.io/v1beta1";
        let values = format!(
            "{group}/namespaces/{}/pods/*/{METRIC}?labelSelector=app%3D{APP}",
            self.at.app
        );
        futures::join!(
            self.get(format!("/apis/apiregistration.k8s.io/v1/apiservices/{API_SERVICE}")),
            self.get(group.to_owned()),
            self.get(values)
        )
    }

    /// What the app's own pods answer, through the API server.
    async fn expositions(&self, pods: &Answer) -> Vec<Exposition> {
        let ready = super::pods::of_app(pods)
            .into_iter()
            .filter(|pod| super::pods::is_ready(pod));
        let asked = ready.take(PODS).filter_map(|pod| {
            let name = pod.pointer("/metadata/name")?.as_str()?;
            let path = format!(
                "/api/v1/namespaces/{}/pods/http:{name}:{}/proxy{}",
                self.at.app,
                super::pods::port(pod)?,
                self.metrics_path
            );
            Some(async move { (name.to_owned(), self.text(path).await) })
        });
        futures::future::join_all(asked).await
    }

    async fn series(&self, route: &Route) -> Option<Series> {
        let proxy = route.prometheus_proxy()?;
        let query = |promql: String| {
            let query: String = url::form_urlencoded::byte_serialize(promql.as_bytes()).collect();
            format!("{proxy}/api/v1/query?query={query}")
        };
        let of_app = format!("{COUNTER}{{namespace=\"{}\",pod!=\"\"}}", self.at.app);
        let asked = [
            query("time()".to_owned()),
            format!("{proxy}/api/v1/targets?state=any&scrapePool={JOB}"),
            query(format!("up{{job=\"{JOB}\",namespace=\"{}\"}}", self.at.app)),
            query(format!("time() - max by (pod) (timestamp({of_app}))")),
            query(format!("time() - max(max_over_time(timestamp({of_app})[1h:15s]))")),
        ];
        let [answers, targets, up, ages, last] = asked.map(|path| self.get(path));
        let (answers, targets, up, ages, last) = futures::join!(answers, targets, up, ages, last);
        Some(Series {
            answers,
            targets,
            up,
            ages,
            last,
        })
    }

    /// The end of what the adapter wrote.
    async fn log(&self, pods: &Answer) -> Result<String, Failure> {
        let newest = pods.as_ref().map_err(Clone::clone)?;
        let name = newest.pointer("/items/0/metadata/name").and_then(Value::as_str);
        let Some(name) = name else {
            return Ok(String::new());
        };
        let namespace = &self.at.metrics;
        self.text(format!(
            "/api/v1/namespaces/{namespace}/pods/{name}/log?tailLines=40&limitBytes=20000"
        ))
        .await
    }

    /// Whether everybody has the rights that the manifests give.
    async fn rights(&self, prometheus: &Answer, adapter: &Answer) -> Vec<Right> {
        let app = Some(self.at.app.as_str());
        let own = account(&self.at.monitoring, prometheus, PROMETHEUS);
        let serving = account(&self.at.metrics, adapter, SERVICE);
        let controller = "kube-system:horizontal-pod-autoscaler".to_owned();
        let reviews = "subjectaccessreviews.authorization.k8s.io";
        let metric = format!("pods/{METRIC}.custom.metrics.k8s.io");
        let asked = [
            (Part::Prometheus, &own, "list", "pods", app),
            (Part::Prometheus, &own, "watch", "pods", app),
            (Part::Adapter, &serving, "list", "pods", app),
            (Part::Adapter, &serving, "create", reviews, None),
            (Part::Autoscaler, &controller, "get", metric.as_str(), app),
        ];
        let asked = asked.map(|(of, who, verb, resource, namespace)| async move {
            let place = namespace.map_or_else(String::new, |namespace| format!(" in {namespace}"));
            Right {
                of,
                who: who.clone(),
                what: format!("{verb} {resource}{place}"),
                allowed: self.may(who, verb, (resource, namespace)).await,
            }
        });
        futures::future::join_all(asked).await
    }

    /// Asks the API server whether a service account may do something. It stores nothing.
    async fn may(&self, who: &str, verb: &str, (resource, namespace): (&str, Option<&str>)) -> Option<bool> {
        let (resource, group) = resource.split_once('.').unwrap_or((resource, ""));
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        let (home, _) = who.split_once(':')?;
        let review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": {
            "user": format!("system:serviceaccount:{who}"),
            "groups": ["system:serviceaccounts", format!("system:serviceaccounts:{home}"), "system:authenticated"],
            "resourceAttributes": {"verb": verb, "group": group, "resource": resource, "subresource": subresource,
                "namespace": namespace.unwrap_or_default()}}});
        let request = Request::post("/apis/authorization.k8s.io/v1/subjectaccessreviews")
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(review.to_string().into_bytes());
        let answer = self.cluster.ask(request, WITHIN).await.ok()?;
        answer.pointer("/status/allowed")?.as_bool()
    }

    /// The Secret that the adapter mounts.
    async fn serving(&self, adapter: &Answer) -> (Authority, Answer) {
        let authority = adapter.as_ref().ok().and_then(Authority::of_adapter);
        let authority = authority.unwrap_or_default();
        let path = format!(
            "/api/v1/namespaces/{}/secrets/{}",
            self.at.metrics,
            authority.serving_secret()
        );
        (authority, self.get(path).await)
    }
}

fn account(namespace: &str, deployment: &Answer, default: &str) -> String {
    let named = deployment.as_ref().ok();
    let named = named.and_then(|d| d.pointer("/spec/template/spec/serviceAccountName")?.as_str());
    format!("{namespace}:{}", named.unwrap_or(default))
}

/// The Prometheus that the adapter is told to use, where it is not the stack's own.
fn foreign(adapter: &Answer, at: &Namespaces) -> Option<PrometheusUrl> {
    let arguments = adapter
        .as_ref()
        .ok()?
        .pointer("/spec/template/spec/containers/0/args")?;
    let mut arguments = arguments.as_array()?.iter().filter_map(Value::as_str);
    let url: PrometheusUrl = arguments
        .find_map(|argument| argument.strip_prefix("--prometheus-url="))?
        .parse()
        .ok()?;
    let own = format!("http://{PROMETHEUS}.{}.svc:9090", at.monitoring);
    // It is told in commands, which a shell is to read as they stand.
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._~/:[]".contains(c);
    let text = url.to_string();
    (text != own && text.chars().all(plain)).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::unnecessary_wraps, reason = "an answer may be a failure")]
    fn told(url: &str) -> Answer {
        let args = [format!("--prometheus-url={url}"), "--v=2".to_owned()];
        Ok(json!({"spec": {"template": {"spec": {"containers": [{"args": args}]}}}}))
    }

    #[test]
    fn the_prometheus_in_use_is_the_one_that_the_adapter_is_told() {
        let at = Namespaces::default();
        let url = |url: &str| foreign(&told(url), &at).map(|url| url.to_string());
        assert_eq!(url("http://prometheus.monitoring.svc:9090"), None);
        assert_eq!(
            url("http://theirs.obs.svc:9090/").as_deref(),
            Some("http://theirs.obs.svc:9090")
        );
        assert_eq!(url("http://$(HOST)"), None, "what cannot be read is not believed");
    }

    #[test]
    fn accounts_are_those_of_the_deployments() {
        let own = Ok(json!({"spec": {"template": {"spec": {"serviceAccountName": "mine"}}}}));
        assert_eq!(account("monitoring", &own, "prometheus"), "monitoring:mine");
        assert_eq!(
            account("monitoring", &Ok(json!({})), "prometheus"),
            "monitoring:prometheus"
        );
    }
}

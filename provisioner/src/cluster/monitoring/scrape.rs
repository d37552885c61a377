//! What a Prometheus of others has to scrape: the jobs of the stack's own, taken from its manifest.

use serde_json::{Value, json};

use crate::cluster::certificate::Certificates;
use crate::cluster::values::Values;
use crate::cluster::{source, template};

/// The component that runs the stack's own Prometheus.
pub(in crate::cluster) const COMPONENT: &str = "prometheus";

/// The jobs as `scrape_configs` in YAML, each with the profile's times, which the other's defaults are not.
pub fn jobs(values: &Values) -> String {
    let config = config(values).unwrap_or_default();
    let mut jobs = config["scrape_configs"].as_array().cloned().unwrap_or_default();
    // It scrapes itself as it likes, and nobody what is not there.
    jobs.retain(|job| job["job_name"] != COMPONENT && job["static_configs"][0]["targets"] != json!([]));
    for job in &mut jobs {
        for time in ["scrape_interval", "scrape_timeout"] {
            if job[time].is_null() {
                job[time] = config["global"][time].clone();
            }
        }
    }
    serde_saphyr::to_string(&json!({"scrape_configs": jobs})).unwrap_or_default()
}

/// The configuration of the stack's own Prometheus, from the embedded manifests.
fn config(values: &Values) -> Option<Value> {
    let placeholders = values.placeholders(&Certificates::default());
    let component = source::embedded().into_iter().find(|source| source.name == COMPONENT)?;
    component.files.iter().find_map(|(_, text)| {
        let text = template::render(text, &placeholders).ok()?;
        let documents: Vec<Value> = serde_saphyr::from_multiple(&text).ok()?;
        let config = documents
            .iter()
            .find_map(|one| one["data"]["prometheus.yml"].as_str())?;
        serde_saphyr::from_str(config).ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::app::App;
    use crate::cluster::fixtures::values;
    use crate::cluster::reaction::Reaction;

    #[test]
    fn the_jobs_of_the_stack_are_told_with_their_times_and_namespaces() {
        let mut values = values();
        values.reaction = Reaction::Seed;
        values.namespaces.app = "shop".to_owned();
        let text = jobs(&values);
        let told: Value = serde_saphyr::from_str(&text).expect("YAML");
        let jobs = told["scrape_configs"].as_array().expect("jobs");
        assert_eq!(jobs[0]["metric_relabel_configs"], json!([]));
        let names: Vec<&Value> = jobs.iter().map(|job| &job["job_name"]).collect();
        assert_eq!(names[..2], ["web-app-service", "kube-state-metrics"]);
        for job in &jobs[..2] {
            assert_eq!(
                (&job["scrape_interval"], &job["scrape_timeout"]),
                (&json!("30s"), &json!("10s"))
            );
            assert_eq!(job["honor_labels"], true);
        }
        let discovery = &jobs[0]["kubernetes_sd_configs"][0];
        assert_eq!(discovery["namespaces"]["names"], json!(["shop"]));
        assert_eq!(
            jobs[1]["static_configs"][0]["targets"],
            json!(["kube-state-metrics.monitoring.svc:8080"])
        );
    }

    #[test]
    fn an_app_of_its_own_is_scraped_where_it_answers_under_the_name_that_the_stack_knows() {
        let mut values = values();
        values.app = App {
            metrics_path: "/internal".to_owned(),
            counter: "orders_total".to_owned(),
            ..App::default()
        };
        let told: Value = serde_saphyr::from_str(&jobs(&values)).expect("YAML");
        let job = &told["scrape_configs"][0];
        assert_eq!(job["metrics_path"], "/internal");
        let renamed = &job["metric_relabel_configs"][1];
        assert_eq!(
            (&renamed["regex"], &renamed["replacement"]),
            (&json!("orders_total"), &json!("http_requests_total"))
        );
    }
}

//! What the loader is started with beside what the manifest says.

use serde_json::{Value, json};

use super::LoadSpec;

/// Has our loader tell of its progress. A variable, since loaders of others may not know it; flags they would refuse.
const PROGRESS: (&str, &str) = ("LOAD_PROGRESS", "json");

/// Completes the first container of a Job; leaves other objects alone. Pure.
pub(super) fn complete(job: &mut Value, spec: &LoadSpec) {
    let Some(container) = job.pointer_mut("/spec/template/spec/containers/0") else {
        return;
    };
    let (name, value) = PROGRESS;
    let set = container["env"].as_array().cloned().unwrap_or_default();
    if set.iter().all(|variable| variable["name"] != name) {
        let mut set = set;
        set.push(json!({"name": name, "value": value}));
        container["env"] = set.into();
    }
    let stated = container["args"].as_array().cloned().unwrap_or_default();
    let mut args = match &spec.schedule {
        Some(schedule) => {
            let mut args = without(&stated, &["--rate", "--duration"]);
            args.extend(schedule.iter().map(|arg| arg.as_str().into()));
            args
        }
        None => stated,
    };
    args.extend(spec.more.iter().map(|arg| arg.as_str().into()));
    if !args.is_empty() {
        container["args"] = args.into();
    }
}

/// Arguments without these flags and the value after each.
fn without(args: &[Value], flags: &[&str]) -> Vec<Value> {
    let is_flag = |arg: Option<&Value>| arg.and_then(Value::as_str).is_some_and(|arg| flags.contains(&arg));
    let kept = args.iter().enumerate().filter(|(at, arg)| {
        let is_value = at.checked_sub(1).is_some_and(|before| is_flag(args.get(before)));
        !is_flag(Some(arg)) && !is_value
    });
    kept.map(|(_, arg)| arg.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(container: Value) -> Value {
        json!({"spec": {"template": {"spec": {"containers": [container]}}}})
    }

    fn completed(container: Value, change: impl FnOnce(&mut LoadSpec)) -> Value {
        let mut spec = LoadSpec::new("r/load@sha256:00", 100.0, 60);
        change(&mut spec);
        let mut job = job(container);
        complete(&mut job, &spec);
        job.pointer_mut("/spec/template/spec/containers/0")
            .expect("a container")
            .take()
    }

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn progress_is_asked_for_unless_the_manifest_says_otherwise() {
        let env = |container: Value| completed(container, |_| ())["env"].clone();
        let ours = json!([{"name": "LOAD_PROGRESS", "value": "json"}]);
        assert_eq!(env(json!({"name": "load"})), ours);
        let theirs = json!([{"name": "LOAD_PROGRESS", "value": "text"}]);
        assert_eq!(env(json!({"env": theirs})), theirs);
    }

    #[test]
    fn stages_take_the_place_of_rate_and_duration() {
        let args = json!([
            "load",
            "--url",
            "http://a/",
            "--rate",
            "100",
            "--duration",
            "60s",
            "--output",
            "json"
        ]);
        let container = json!({"args": args});
        assert_eq!(completed(container.clone(), |_| ())["args"], args);
        let staged = completed(container, |spec| {
            spec.schedule = Some(texts(&["--stages", "100:0,100:1m"]));
            spec.more = texts(&["--arrivals", "poisson"]);
        });
        let want = [
            "load",
            "--url",
            "http://a/",
            "--output",
            "json",
            "--stages",
            "100:0,100:1m",
            "--arrivals",
            "poisson",
        ];
        assert_eq!(staged["args"], json!(want));
    }

    #[test]
    fn what_is_no_job_stays() {
        let mut service = json!({"spec": {"ports": []}});
        complete(&mut service, &LoadSpec::new("r/load@sha256:00", 1.0, 1));
        assert_eq!(service, json!({"spec": {"ports": []}}));
    }
}

//! The result as people and programs read it.

use serde_json::{Value, json};

use super::*;
use crate::aws::cost::Intents;
use crate::aws::drift::Aspect;
use crate::cluster::changes::Planned;
use crate::cluster::dry_run::Answer;
use crate::ops::plan::copies::CopyAction;
use crate::ops::plan::image::UNBUILT;
use crate::report::Outcome;

/// What was planned for an object that is as `before`, where it is there, and would be as `after`.
fn planned(outcome: Outcome, before: Option<&Value>, after: &Value) -> ObjectPlan {
    let object = |value: &Value| serde_json::from_value::<kube::core::DynamicObject>(value.clone()).expect("an object");
    let wanted = object(after);
    let reasons = (outcome == Outcome::Skipped).then(|| "why".to_owned());
    let mut planned = Planned::new(&wanted, outcome, reasons.into_iter().collect());
    planned.answer = (outcome != Outcome::Deleted).then(|| Answer {
        before: before.map(object),
        after: wanted,
        by_server: true,
    });
    ObjectPlan::of(&planned)
}

fn deployment(image: &str) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web-app", "namespace": "web-app"},
        "spec": {"template": {"spec": {"containers": [{"name": "app", "image": image}]}}}})
}

fn of(kind: &str, content: Value) -> Value {
    let mut object = content;
    object["apiVersion"] = "v1".into();
    object["kind"] = kind.into();
    object["metadata"] = json!({"name": "x", "namespace": "a"});
    object
}

fn intent(action: Action, kind: &'static str, name: &str, detail: &str) -> Intent {
    Intent {
        action,
        kind,
        name: name.to_owned(),
        detail: detail.to_owned(),
    }
}

fn preview(aws: Vec<Intent>, drift: Vec<Drift>, image: ImagePlan, objects: Vec<ObjectPlan>) -> Preview {
    Preview {
        cluster: "Demo".to_owned(),
        stack: "demo".to_owned(),
        account: Some("123456789012".to_owned()),
        arn: Some("arn:aws:iam::123456789012:user/dev".to_owned()),
        region: Some("us-east-1".to_owned()),
        context: None,
        header: vec![
            (
                "account",
                "123456789012 as arn:aws:iam::123456789012:user/dev".to_owned(),
            ),
            ("region", "us-east-1".to_owned()),
        ],
        changes: changes((&aws, &drift), (&image, &[]), &objects),
        counts: Counts::of((&aws, &drift), (&image, &[]), &objects),
        aws,
        drift,
        image,
        mirror: Vec::new(),
        objects,
        conflicts: Vec::new(),
        cost: Some(Cost::of(&Intents::images(), "us-east-1")),
    }
}

fn many() -> Preview {
    let aws = vec![
        intent(Action::Use, "foundation", "provisioner-demo", ""),
        intent(Action::Use, "cluster", "Demo", "Kubernetes 1.35; made by this stack"),
        intent(Action::Create, "add-on", "metrics-server", ""),
        intent(Action::Use, "repository", "demo/web-app", ""),
    ];
    let drift = vec![Drift {
        kind: "cluster",
        name: "Demo".to_owned(),
        aspect: Aspect::Logs,
        found: "none".to_owned(),
        wanted: "audit".to_owned(),
        repaired: true,
    }];
    let image = ImagePlan::to_build(format!("r/web-app@{UNBUILT}"), vec!["linux/amd64".to_owned()]);
    let data = |text: &str| of("ConfigMap", json!({"data": {"a.yaml": text}}));
    let objects = vec![
        planned(
            Outcome::Updated,
            Some(&deployment("r/web-app@sha256:1")),
            &deployment(&format!("r/web-app@{UNBUILT}")),
        ),
        planned(Outcome::Updated, Some(&data("a: 1\nb: 2\n")), &data("a: 1\nb: 3\n")),
        planned(
            Outcome::Created,
            None,
            &of("Secret", json!({"data": {"key": "c2VjcmV0"}})),
        ),
        planned(
            Outcome::Unchanged,
            Some(&of("Service", json!({}))),
            &of("Service", json!({})),
        ),
        planned(Outcome::Skipped, None, &of("ServiceMonitor", json!({}))),
        planned(Outcome::Deleted, None, &of("Role", json!({}))),
    ];
    let mut preview = preview(aws, drift, image, objects);
    preview.conflicts = vec!["ConfigMap `a/x`: field `.data.a`: conflict with \"kubectl-edit\"".to_owned()];
    preview
}

#[test]
fn text_is_one_diff_over_everything() {
    insta::assert_snapshot!(many(), @r#"
    account   123456789012 as arn:aws:iam::123456789012:user/dev
    region    us-east-1
    stack     demo on cluster Demo
    cost      less than $0.01 an hour (estimate, us-east-1 list prices of 2026-08-01)
              0.05 GB in ECR  below $0.0001/h

      use       foundation `provisioner-demo`
      use       cluster `Demo` (Kubernetes 1.35; made by this stack)
    + create    add-on `metrics-server`
      use       repository `demo/web-app`
    ~ set right cluster `Demo`: control plane logs are none, not audit
    + build     image `r/web-app@(known after build)` for linux/amd64
    ~ update    Deployment `web-app/web-app`
        spec.template.spec.containers[app].image: "r/web-app@sha256:1" -> (known after build)
    ~ update    ConfigMap `a/x`
        data["a.yaml"]:
            a: 1
          - b: 2
          + b: 3
    + create    Secret `a/x`
      skipped   ServiceMonitor `a/x` (why)
    - delete    Role `a/x`

    changed by others, so that `provisioner bootstrap` refuses unless `--force-conflicts` is given:
      ConfigMap `a/x`: field `.data.a`: conflict with "kubectl-edit"

    2 to create, 3 to update, 1 to delete, 1 to push, 4 unchanged, 1 skipped
    "#);
}

#[test]
fn the_same_is_a_value_for_programs() {
    let json = serde_json::to_value(many()).expect("JSON");
    assert_eq!(json["changes"], true);
    let counts = json!({"create": 2, "update": 3, "delete": 1, "push": 1, "unchanged": 4, "skipped": 1});
    assert_eq!(json["counts"], counts);
    assert_eq!(
        json["aws"][2],
        json!({"action": "create", "kind": "add-on", "name": "metrics-server"})
    );
    assert_eq!(json["drift"][0]["aspect"], "logs");
    assert_eq!(
        json["image"],
        json!({"action": "build", "reference": "r/web-app@(known after build)", "tag": null, "platforms": ["linux/amd64"]})
    );
    let field = json!({"path": "spec.template.spec.containers[app].image", "change": "changed",
        "old": "r/web-app@sha256:1", "new": "(known after build)"});
    let deployment = json!({"kind": "Deployment", "namespace": "web-app", "name": "web-app", "outcome": "updated",
        "asked": true, "fields": [field]});
    assert_eq!(json["objects"][0], deployment);
    assert_eq!(json["objects"][4]["reason"], "why");
    assert!(!json.to_string().contains("c2VjcmV0"), "{json}");
}

#[test]
fn only_what_becomes_another_is_a_change() {
    let quiet = || ImagePlan::in_place("r/web-app@sha256:1".to_owned());
    let unchanged = || planned(Outcome::Unchanged, Some(&deployment("a")), &deployment("a"));
    let used = || intent(Action::Use, "cluster", "Demo", "");
    let drift = || Drift {
        kind: "repository",
        name: "demo/web-app".to_owned(),
        aspect: Aspect::Lifecycle,
        found: String::new(),
        wanted: String::new(),
        repaired: true,
    };
    let skipped = planned(Outcome::Skipped, None, &of("ServiceMonitor", json!({})));
    let nothing = preview(vec![used()], vec![], quiet(), vec![unchanged(), skipped]);
    assert!(!nothing.changes);
    assert!(
        nothing.to_string().ends_with("\nno changes: 3 unchanged, 1 skipped"),
        "{nothing}"
    );
    for action in [Action::Create, Action::Complete, Action::WaitFor, Action::Repair] {
        assert!(
            preview(vec![intent(action, "cluster", "Demo", "")], vec![], quiet(), vec![]).changes,
            "{action:?}"
        );
    }
    assert!(preview(vec![], vec![drift()], quiet(), vec![]).changes);
    assert!(preview(vec![], vec![], ImagePlan::to_build(String::new(), Vec::new()), vec![]).changes);
    for outcome in [Outcome::Created, Outcome::Updated, Outcome::Deleted] {
        let object = planned(outcome, Some(&deployment("a")), &deployment("b"));
        assert!(preview(vec![], vec![], quiet(), vec![object]).changes, "{outcome:?}");
    }
}

#[test]
fn copies_are_told_beside_the_apps_image_and_one_that_is_there_is_no_change() {
    let of = |action| {
        let image = ImagePlan::in_place("r/web-app@sha256:1".to_owned());
        let mut preview = preview(Vec::new(), Vec::new(), image, Vec::new());
        preview.mirror = vec![CopyPlan::of_grafana(action)];
        preview.changes = changes((&[], &[]), (&preview.image, &preview.mirror), &[]);
        preview.counts = Counts::of((&[], &[]), (&preview.image, &preview.mirror), &[]);
        let text = preview.to_string();
        let json = serde_json::to_value(&preview).expect("JSON");
        (text.split_once("\n\n").expect("a head").1.to_owned(), json)
    };
    let (text, json) = of(CopyAction::Mirror);
    let line = "\n+ mirror    image `docker.io/grafana/grafana:12.3.1` as `r/grafana@sha256:2` for linux/amd64\n";
    assert!(
        text.contains(line) && text.ends_with("\n1 to mirror, 1 unchanged"),
        "{text}"
    );
    assert_eq!(json["changes"], true);
    let copy = &json["mirror"][0];
    assert_eq!(
        (&copy["action"], &json["counts"]["mirror"]),
        (&json!("mirror"), &json!(1))
    );
    let (text, json) = of(CopyAction::Reuse);
    let line = "\n  reuse     image `docker.io/grafana/grafana:12.3.1` as `r/grafana@sha256:2`\n";
    assert!(
        text.contains(line) && text.ends_with("\nno changes: 2 unchanged"),
        "{text}"
    );
    assert_eq!(
        (&json["changes"], &json["counts"]["unchanged"]),
        (&json!(false), &json!(2))
    );
}

//! The policies in docs/iam: narrow, and with what `CloudFormation` needs for every resource of the template.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
/// IAM's limit for a managed policy, white space not counted.
const LONGEST: usize = 6144;

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(ROOT).join(path)).unwrap()
}

fn policy(name: &str) -> Value {
    serde_json::from_str(&read(&format!("docs/iam/{name}"))).unwrap()
}

fn statements(policy: &Value) -> &Vec<Value> {
    policy["Statement"].as_array().unwrap()
}

fn actions(policy: &Value) -> BTreeSet<String> {
    let all = statements(policy).iter().flat_map(|s| s["Action"].as_array().unwrap());
    all.map(|action| action.as_str().unwrap().to_owned()).collect()
}

/// The rows of the table: action, resource type.
fn table() -> Vec<(String, String)> {
    let text = read("docs/iam/cloudformation.md");
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let cells: Vec<&str> = row.split('|').map(|cell| cell.trim().trim_matches('`')).collect();
        (cells[1].to_owned(), cells[2].to_owned())
    })
    .collect()
}

#[test]
fn policies_name_every_action_and_fit_into_iam() {
    for name in ["ecr.json", "bootstrap.json", "plan.json"] {
        let policy = policy(name);
        assert_eq!(policy["Version"], "2012-10-17", "{name}");
        assert!(
            policy.to_string().len() <= LONGEST,
            "{name} is {} long",
            policy.to_string().len()
        );
        for action in actions(&policy) {
            assert!(!action.contains('*'), "{name}: {action}");
        }
    }
}

#[test]
fn only_reading_and_what_knows_no_resource_is_allowed_everywhere() {
    for name in ["ecr.json", "bootstrap.json", "plan.json"] {
        for statement in statements(&policy(name)) {
            let reads = |action: &Value| {
                let action = action.as_str().unwrap().split(':').nth(1).unwrap();
                action.starts_with("Describe") || action == "GetAuthorizationToken"
            };
            let wide = statement["Resource"] == "*";
            let held = statement["Condition"]["StringEquals"]["aws:RequestedRegion"] == "REGION";
            let reads = statement["Action"].as_array().unwrap().iter().all(reads);
            assert!(!wide || held || reads, "{name}: {}", statement["Sid"]);
        }
    }
}

#[test]
fn the_reading_policy_reads() {
    for action in actions(&policy("plan.json")) {
        let verb = action.split(':').nth(1).unwrap();
        let reads = ["Describe", "Get", "List", "BatchGet", "BatchCheck"];
        assert!(reads.iter().any(|read| verb.starts_with(read)), "{action}");
    }
}

#[test]
fn every_resource_of_the_template_has_its_actions_in_the_table_and_in_the_policy() {
    let template: Value = serde_json::from_str(&read("provisioner/src/aws/foundation.json")).unwrap();
    let resources = template["Resources"].as_object().unwrap().values();
    let types: BTreeSet<&str> = resources.map(|resource| resource["Type"].as_str().unwrap()).collect();
    let (table, allowed) = (table(), actions(&policy("bootstrap.json")));
    for kind in types {
        assert!(table.iter().any(|(_, of)| of == kind), "{kind} is not in the table");
    }
    for (action, kind) in &table {
        assert!(allowed.contains(action), "{action} of {kind} is not in the policy");
    }
}

#[test]
fn making_and_deleting_of_networks_and_roles_is_only_allowed_where_something_needs_it() {
    let table: BTreeSet<String> = table().into_iter().map(|(action, _)| action).collect();
    let policy = policy("bootstrap.json");
    for sid in ["Network", "Roles", "PoliciesOfRoles"] {
        let statement = statements(&policy).iter().find(|s| s["Sid"] == sid).unwrap();
        for action in statement["Action"].as_array().unwrap() {
            assert!(
                table.contains(action.as_str().unwrap()),
                "{action} has no row in the table"
            );
        }
    }
}

#[test]
fn the_trust_policy_takes_one_environment_of_one_repository_in_both_forms() {
    let trust = policy("github-oidc-trust.json");
    let condition = &trust["Statement"][0]["Condition"]["StringEquals"];
    assert_eq!(
        condition["token.actions.githubusercontent.com:aud"],
        "sts.amazonaws.com"
    );
    let subjects = condition["token.actions.githubusercontent.com:sub"].as_array().unwrap();
    assert_eq!(subjects.len(), 2);
    for subject in subjects {
        let subject = subject.as_str().unwrap();
        assert!(
            subject.ends_with(":environment:ENVIRONMENT") && !subject.contains('*'),
            "{subject}"
        );
    }
}

/// The commands of the page, with a `gh` that knows one repository, whose owner has a placeholder in his name.
#[test]
fn trust_policies_are_filled_in_by_the_commands_of_the_page() {
    let page = read("docs/iam/README.md");
    let block = page.split("```sh\n").find(|block| block.contains("gh api")).unwrap();
    let block = block.split("```").next().unwrap().replace("acme/shop", "REPORTS/REPO");
    assert!(block.contains("REPORTS/REPO"), "{block}");
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(Path::new(ROOT).join("docs"), folder.path().join("docs")).unwrap();
    let script = format!("gh() {{ test \"$2\" = repos/REPORTS/REPO && echo 11 22; }}\n{block}");
    let mut bash = std::process::Command::new("bash");
    let ended = bash
        .args(["-euc", &script])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(ended.status.success(), "{ended:?}");
    for environment in ["plan", "production", "renewal"] {
        let text = std::fs::read(folder.path().join(format!("trust-{environment}.json"))).unwrap();
        let filled: Value = serde_json::from_slice(&text).unwrap();
        let statement = &filled["Statement"][0];
        assert_eq!(
            statement["Principal"]["Federated"],
            "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com"
        );
        assert_eq!(
            statement["Condition"]["StringEquals"]["token.actions.githubusercontent.com:sub"],
            serde_json::json!([
                format!("repo:REPORTS/REPO:environment:{environment}"),
                format!("repo:REPORTS@22/REPO@11:environment:{environment}"),
            ])
        );
    }
}

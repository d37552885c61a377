//! `init`: a project's first settings and manifests.

use std::path::Path;

use crate::run::Run;

/// The files below a folder, by their path in it.
fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(folder).unwrap().display().to_string());
            }
        }
    }
    found.sort();
    found
}

#[test]
fn init_writes_a_project_that_the_other_commands_take() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().display();
    let flags = "--cluster demo --region eu-west-1 --app-port 9000 --counter orders_total --image ghcr.io/team/shop:1";
    let ended = Run::of(&format!("init --folder {at} {flags}")).end();
    assert_eq!(ended.code(), 0, "{}", ended.stderr());
    assert!(ended.stdout().contains("provisioner plan"), "{}", ended.stdout());
    let written = files(folder.path());
    assert!(written.contains(&"provisioner.toml".to_owned()) && written.contains(&"stack/10-app/hpa.yaml".to_owned()));
    let ended = Run::of(&format!("config show --config {at}/provisioner.toml")).end();
    assert_eq!(ended.code(), 0, "{}", ended.stderr());
    let shown = ended.stdout();
    let line = |key: &str| {
        shown
            .lines()
            .find(|line| line.starts_with(key))
            .unwrap_or_default()
            .to_owned()
    };
    assert!(
        line("app.port").contains("9000") && line("app.port").contains("provisioner.toml"),
        "{shown}"
    );
    assert!(line("app.counter").contains("orders_total"), "{shown}");
    assert!(
        line("reaction").contains("fast") && line("reaction").ends_with("default"),
        "{shown}"
    );
}

#[test]
fn what_init_writes_for_a_context_names_it_and_the_next_commands_find_it() {
    let kubeconfig = "{contexts: [{name: kind-dev, context: {cluster: c, user: u}}], users: [{name: u, user: {}}], \
                      clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}]}";
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("my settings");
    std::fs::create_dir(&at).unwrap();
    let run = Run::of("init --kube-context kind-dev --registry ghcr.io/team --name shop --output json --folder");
    let ended = run.argument(at.to_str().unwrap().as_bytes()).end();
    assert_eq!(ended.code(), 0, "{}", ended.stderr());
    let settings = at.join("provisioner.toml");
    let text = std::fs::read_to_string(&settings).unwrap();
    let target = text.split("\n\n").next().unwrap().split_once("[target]\n").unwrap().1;
    assert_eq!(
        target,
        "kube-context = \"kind-dev\"\nregistry = \"ghcr.io/team\"\nname = \"shop\""
    );
    let written: serde_json::Value = serde_json::from_str(&ended.stdout()).unwrap();
    let config = settings.display();
    assert_eq!(
        written["next"],
        serde_json::json!([
            format!("provisioner plan --config '{config}' --image REF"),
            format!("provisioner bootstrap --config '{config}' --image REF"),
        ])
    );
    // The next command gets as far as the cluster, which does not answer.
    let run = Run::of("status --timeout 1s --config").argument(settings.to_str().unwrap().as_bytes());
    let stderr = run.file(".kube/config", kubeconfig).end().refused(1);
    assert!(stderr.contains("127.0.0.1:1"), "{stderr}");
}

#[test]
fn settings_in_the_working_directory_need_not_be_named() {
    for folder in [".", "./", "$PWD"] {
        let run = Run::of("init --cluster demo --region eu-west-1 --folder");
        let ended = if folder == "$PWD" {
            let run = run.started_by("exec \"$@\" \"$PWD\"");
            run.end()
        } else {
            run.argument(folder.as_bytes()).end()
        };
        assert_eq!(ended.code(), 0, "{}", ended.stderr());
        let told = ended.stdout();
        assert!(
            told.ends_with(
                "look through them, then: provisioner plan --image REF, then: provisioner bootstrap --image REF\n"
            ),
            "{folder}: {told}"
        );
    }
}

#[test]
fn a_cargo_workspace_is_what_the_image_is_built_from() {
    let run = Run::of("init --cluster demo --region eu-west-1").file("Cargo.toml", "[workspace]\n");
    let told = run.end().stdout();
    assert!(
        told.ends_with("then: provisioner plan, then: provisioner bootstrap\n"),
        "{told}"
    );
}

#[test]
fn behind_a_context_the_registry_is_asked_for() {
    for (answer, written) in [("ghcr.io/team\n", "\nregistry = \"ghcr.io/team\"\n"), ("\n", "")] {
        let flags =
            "--image ghcr.io/team/app:1 --app-port 9000 --metrics-path /m --counter orders_total --target-rate 1";
        let mut child = Run::of(&format!("init --kube-context kind-dev {flags}"))
            .on_a_terminal()
            .start();
        child.answer("registry for images", answer);
        let ended = child.end();
        assert_eq!(ended.code(), 0, "{}", ended.stdout());
        let settings = String::from_utf8(ended.written("provisioner.toml")).unwrap();
        assert!(settings.contains(written), "{settings}");
        assert_eq!(settings.contains("registry"), !written.is_empty(), "{settings}");
    }
}

#[test]
fn init_overwrites_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["provisioner.toml", "stack"] {
        let path = folder.path().join(name);
        std::fs::write(&path, "").unwrap();
        let stderr = Run::of(&format!("init --folder {}", folder.path().display()))
            .end()
            .refused(2);
        assert!(stderr.contains("exists, and `init` overwrites nothing"), "{stderr}");
        assert_eq!(files(folder.path()), [name]);
        std::fs::remove_file(path).unwrap();
    }
}

#[test]
fn init_asks_on_a_terminal() {
    let mut child = Run::of("init --cluster demo --folder new").on_a_terminal().start();
    for (question, answer) in [
        ("AWS region", "\n"),
        ("image of the app", "\n"),
        ("port of the app", "9000\n"),
        ("path of its metrics", "\n"),
        ("counter that drives scaling", "orders-total\n"),
    ] {
        child.answer(question, answer);
    }
    let ended = child.end();
    assert_eq!(ended.code(), 2, "{}", ended.stdout());
    assert!(
        ended
            .stdout()
            .contains("`orders-total` is no counter that drives scaling"),
        "{}",
        ended.stdout()
    );
}

#[test]
fn an_answer_that_no_command_takes_is_refused_before_anything_is_written() {
    let cluster = (
        "name of the EKS cluster",
        "my cluster\n",
        "`my cluster` is no name of the EKS cluster",
    );
    let image = ("image of the app", "https://ghcr.io/team/app\n", "this is no image: ");
    for (flags, (question, answer, told)) in [("", cluster), ("--cluster demo", image)] {
        let run = Run::of(&format!("init --region eu-west-1 {flags}")).on_a_terminal();
        let mut child = run.start();
        child.answer(question, answer);
        let ended = child.end();
        assert_eq!(ended.code(), 2, "{}", ended.stdout());
        assert!(ended.stdout().contains(told), "{}", ended.stdout());
        assert!(ended.stdout().contains("nothing was written"), "{}", ended.stdout());
    }
}

#[test]
fn a_cluster_whose_name_is_none_for_a_stack_gets_one_beside_it() {
    let flags = "--region eu-west-1 --app-port 9000 --metrics-path /metrics --counter orders_total --target-rate 10";
    let mut child = Run::of(&format!("init --image ghcr.io/team/app:1 {flags}"))
        .on_a_terminal()
        .start();
    child.answer("name of the EKS cluster", "Prod_EU\n");
    child.answer("name of the stack [prod-eu]", "\n");
    let ended = child.end();
    assert_eq!(ended.code(), 0, "{}", ended.stdout());
    let settings = String::from_utf8(ended.written("provisioner.toml")).unwrap();
    let target = settings
        .split("\n\n")
        .next()
        .unwrap()
        .split_once("[target]\n")
        .unwrap()
        .1;
    assert_eq!(
        target,
        "cluster = \"Prod_EU\"\nregion = \"eu-west-1\"\nname = \"prod-eu\""
    );
}

#[test]
fn the_budget_of_a_reaction_follows_from_the_settings() {
    let ended = Run::of("config show --reaction --output json")
        .file("provisioner.toml", "reaction = 'seed'\n")
        .end();
    let budget: serde_json::Value = serde_json::from_str(&ended.stdout()).unwrap();
    assert_eq!((&budget["reaction"], &budget["sync_s"]), (&"seed".into(), &15.into()));
    let sum = ["metric_s", "ready_s"]
        .map(|part| budget[part].as_u64().unwrap())
        .iter()
        .sum::<u64>();
    assert_eq!(
        budget["worst_s"].as_u64().unwrap(),
        sum + 15 * budget["syncs"].as_u64().unwrap()
    );
}

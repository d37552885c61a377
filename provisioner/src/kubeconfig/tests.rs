use std::os::unix::fs::PermissionsExt;

use super::*;

const OTHERS: &str = r#"# mine
apiVersion: v1
kind: Config
preferences: {colors: true}
current-context: kind-dev
extra: {kept: "yes", number: 0644}
clusters:
- name: kind-dev
  cluster: {server: "https://127.0.0.1:6443", extensions: [{name: x, extension: {a: 1}}]}
contexts:
- name: kind-dev
  context: {cluster: kind-dev, user: kind-dev, namespace: team}
users:
- name: kind-dev
  user: {token: "12345"}
"#;

const NAME: &str = "demo.eu-west-1.123456789012.provisioner";

fn others() -> Value {
    serde_saphyr::from_str(OTHERS).unwrap()
}

pub(crate) fn access() -> Access {
    Access {
        name: NAME.into(),
        server: "https://demo.example".into(),
        ca_pem: b"PEM".to_vec(),
        program: "/opt/provisioner".into(),
        arguments: ["token", "--cluster", "demo", "--region", "eu-west-1"]
            .map(str::to_owned)
            .into(),
    }
}

#[test]
fn a_kubeconfig_alone_gets_its_tokens_from_this_program() {
    insta::assert_snapshot!(serde_saphyr::to_string(&access().alone()).unwrap(), @r"
    apiVersion: v1
    kind: Config
    clusters:
    - name: demo.eu-west-1.123456789012.provisioner
      cluster:
        server: https://demo.example
        certificate-authority-data: UEVN
    contexts:
    - name: demo.eu-west-1.123456789012.provisioner
      context:
        cluster: demo.eu-west-1.123456789012.provisioner
        user: demo.eu-west-1.123456789012.provisioner
    users:
    - name: demo.eu-west-1.123456789012.provisioner
      user:
        exec:
          apiVersion: client.authentication.k8s.io/v1
          command: /opt/provisioner
          args:
          - token
          - --cluster
          - demo
          - --region
          - eu-west-1
          interactiveMode: Never
          provideClusterInfo: false
    current-context: demo.eu-west-1.123456789012.provisioner
    ");
}

#[test]
fn adding_and_removing_leaves_the_others_as_they_were() {
    let before = others();
    let mut file = before.clone();
    assert!(access().merge(&mut file).unwrap());
    assert_eq!(current(&file), Some("kind-dev"));
    assert_eq!(file["clusters"][0], before["clusters"][0]);
    assert!(!access().merge(&mut file).unwrap(), "a second time changes nothing");
    assert_eq!(remove(&mut file, NAME), [NAME]);
    assert_eq!(file, before);
}

#[test]
fn a_new_endpoint_is_brought_up_to_date_and_the_users_own_fields_stay() {
    let mut file = others();
    access().merge(&mut file).unwrap();
    file["contexts"][1]["context"]["namespace"] = "web-app".into();
    let moved = Access {
        server: "https://new.example".into(),
        ..access()
    };
    assert!(moved.merge(&mut file).unwrap());
    assert_eq!(file["clusters"][1]["cluster"]["server"], "https://new.example");
    assert_eq!(file["contexts"][1]["context"]["namespace"], "web-app");
    assert_eq!(file["clusters"].as_array().map(Vec::len), Some(2));
}

#[test]
fn an_entry_of_others_is_neither_overwritten_nor_removed() {
    let mut file = others();
    let taken = Access {
        name: "kind-dev".into(),
        ..access()
    };
    assert!(matches!(taken.merge(&mut file), Err(KubeconfigError::Taken(name)) if name == "kind-dev"));
    access().merge(&mut file).unwrap();
    for entry in ["kind-dev", "demo.us-east-1.123456789012.provisioner", "demo"] {
        assert_eq!(remove(&mut file, entry), Vec::<String>::new());
    }
    assert_eq!(file["users"].as_array().map(Vec::len), Some(2));
}

#[test]
fn a_cluster_of_the_same_name_in_another_account_has_an_entry_of_its_own() {
    let other = Access {
        name: crate::names::kube_context("demo", "eu-west-1", "210987654321"),
        server: "https://other.example".into(),
        ..access()
    };
    let mut file = access().alone();
    let before = file.clone();
    assert!(other.merge(&mut file).unwrap());
    assert_eq!(file["clusters"][0], before["clusters"][0]);
    assert_eq!(remove(&mut file, &other.name), [other.name]);
    assert_eq!(file, before);
}

#[test]
fn an_entry_is_ours_whatever_the_programs_file_is_called() {
    for program in [
        "/opt/provisioner-linux-amd64",
        "/opt/provisioner (deleted)",
        "provisioner.exe",
    ] {
        let former = Access {
            program: program.into(),
            ..access()
        };
        let mut file = former.alone();
        assert!(
            access().merge(&mut file).unwrap(),
            "{program}: it is brought up to date"
        );
        assert_eq!(file, access().alone());
        assert_eq!(remove(&mut former.alone(), NAME), [NAME], "{program}");
    }
    for arguments in [&["token"][..], &["get-token", "--cluster", "demo"]] {
        let theirs = Access {
            arguments: arguments.iter().map(|&a| a.to_owned()).collect(),
            ..access()
        };
        assert!(access().merge(&mut theirs.alone()).is_err(), "{arguments:?}");
        assert_eq!(remove(&mut theirs.alone(), NAME), Vec::<String>::new());
    }
}

#[test]
fn a_removed_context_is_not_current_any_more_and_a_shared_cluster_stays() {
    let mut file = access().alone();
    let shared = json!({"name": "mine", "context": {"cluster": access().name, "user": "me"}});
    file["contexts"].as_array_mut().unwrap().push(shared);
    remove(&mut file, NAME);
    assert_eq!(current(&file), None);
    assert_eq!(file["clusters"].as_array().map(Vec::len), Some(1));
    assert_eq!(file["users"].as_array().map(Vec::len), Some(0));
}

#[test]
fn a_file_is_replaced_as_a_whole_private_and_unlocked_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/config");
    assert!(edit(&path, |file| access().merge(file)).unwrap());
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(!edit(&path, |file| access().merge(file)).unwrap());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    let names: Vec<_> = std::fs::read_dir(path.parent().unwrap())
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(names, ["config"]);
}

#[test]
fn a_text_that_is_no_kubeconfig_or_is_locked_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config");
    for text in ["- a\n- b\n", "a: [", "a: 1\na: 2\n"] {
        std::fs::write(&path, text).unwrap();
        let error = edit(&path, |file| access().merge(file)).unwrap_err();
        assert!(error.is_configuration(), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }
    std::fs::write(&path, OTHERS).unwrap();
    std::fs::write(folder.path().join("config.lock"), "").unwrap();
    let error = edit(&path, |file| access().merge(file)).unwrap_err();
    assert!(matches!(error, KubeconfigError::Locked { .. }), "{error}");
    assert!(error.hint().is_some_and(|hint| hint.contains("config.lock")));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), OTHERS);
}

#[test]
fn a_link_stays_a_link() {
    let folder = tempfile::tempdir().unwrap();
    let (target, link) = (folder.path().join("target"), folder.path().join("link"));
    std::fs::write(&target, OTHERS).unwrap();
    std::os::unix::fs::symlink(&target, &link).unwrap();
    assert!(edit(&link, |file| access().merge(file)).unwrap());
    assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(std::fs::read_to_string(&target).unwrap().contains("demo.eu-west-1"));
}

#[test]
fn entries_go_where_kubectl_would_put_them() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    let list = std::env::join_paths(["".into(), first.clone(), second.clone()]).unwrap();
    let locations = Locations::of(Some(&list), None).unwrap();
    assert_eq!(locations.place("demo").unwrap(), second, "none exists: the last");
    std::fs::write(&first, "").unwrap();
    assert_eq!(locations.place("demo").unwrap(), first, "the first that exists");
    std::fs::write(&second, OTHERS).unwrap();
    assert_eq!(locations.place("kind-dev").unwrap(), second, "where it is");
    assert_eq!(locations.current().unwrap(), Some(second.as_path()));
    let home = Locations::of(Some("".as_ref()), Some("/home/me".as_ref())).unwrap();
    assert_eq!(home.paths(), [std::path::PathBuf::from("/home/me/.kube/config")]);
    assert!(matches!(Locations::of(None, None), Err(KubeconfigError::NoPlace)));
}

#[test]
fn a_mistake_is_told_by_its_place_and_not_by_the_lines_around_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config");
    std::fs::write(&path, "users:\n- name: me\n  user: {token: hunter2}\ncontexts: [").unwrap();
    let said = chain(&read(&path).unwrap_err());
    assert!(said.contains("line 4") && !said.contains("hunter2"), "{said}");
}

fn chain(error: &dyn std::error::Error) -> String {
    let source = error.source().map_or_else(String::new, chain);
    format!("{error}: {source}")
}

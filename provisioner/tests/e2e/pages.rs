//! Shell blocks of the pages that are marked `sh sandbox` do what their page says.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::support::{Sandbox, done};

const MARK: &str = "```sh sandbox";

#[test]
fn blocks_that_are_marked_work() {
    let sandbox = Sandbox::from_env();
    let tool = Path::new(env!("CARGO_BIN_EXE_provisioner"))
        .parent()
        .expect("a folder")
        .to_owned();
    let path = format!("{}:{}", tool.display(), std::env::var("PATH").unwrap_or_default());
    let mut seen = 0;
    for page in pages() {
        let text = fs::read_to_string(&page).expect("a page");
        let blocks: Vec<&str> = text
            .split(MARK)
            .skip(1)
            .filter_map(|rest| rest.split("```").next())
            .collect();
        if blocks.is_empty() {
            continue;
        }
        sandbox.reset();
        let folder = tempfile::tempdir().expect("a folder");
        // What makes load is built from the sample app, which the reader has in his checkout.
        let workspace = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
        for block in blocks {
            println!("{}:{block}", page.display());
            done(
                Command::new("bash")
                    .args(["-euo", "pipefail", "-c", block])
                    .env("PATH", &path)
                    .env("AWS_ENDPOINT_URL", &sandbox.endpoint)
                    .env("PROVISIONER_YES", "true")
                    .env("PROVISIONER_POLL_INTERVAL", "1s")
                    .env("PROVISIONER_WORKSPACE", workspace)
                    .env_remove("KUBECONFIG")
                    .current_dir(folder.path()),
            );
            seen += 1;
        }
        assert_eq!(sandbox.inventory(), json!({}), "{}", page.display());
    }
    assert!(seen > 1, "{seen}");
    sandbox.reset();
}

fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let of = |folder: &Path| {
        fs::read_dir(folder)
            .expect("a folder")
            .map(|entry| entry.expect("an entry").path())
    };
    let all = of(&root).chain(of(&root.join("docs")));
    all.filter(|path| path.extension().is_some_and(|is| is == "md"))
        .collect()
}

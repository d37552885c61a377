//! The manifests as the cluster gets them, for programs that judge manifests: `make checkov`.

use std::fmt::Write as _;
use std::path::PathBuf;

use super::fixtures::components;
use super::stack_tests::load_job;

#[test]
#[ignore = "a tool: writes the rendered manifests to the folder that RENDER_TO names"]
fn manifests_are_rendered_into_a_folder() {
    let folder = PathBuf::from(std::env::var_os("RENDER_TO").expect("RENDER_TO names a folder"));
    std::fs::create_dir_all(&folder).expect("made");
    let mut files: Vec<(String, Vec<_>)> = components().into_iter().map(|c| (c.name, c.objects)).collect();
    files.push(("load".to_owned(), vec![load_job()]));
    for (name, objects) in files {
        let mut text = String::new();
        for object in objects {
            let yaml = serde_saphyr::to_string(&object).expect("YAML");
            let _ = write!(text, "---\n{yaml}");
        }
        std::fs::write(folder.join(name + ".yaml"), text).expect("written");
    }
}

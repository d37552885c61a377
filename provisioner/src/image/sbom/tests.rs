use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use super::*;

const TREE: &str = "0\tapp v0.1.0 (/home/me/app)\tMIT OR Apache-2.0\thttps://example.org/app\t\n\
    1\tserde v1.0.1\tMIT/Apache-2.0\thttps://example.org/serde\t\n\
    2\tserde_derive v1.0.1 (proc-macro)\tMIT\t\t\n\
    3\tsyn v2.0.0+a\tour own\t\t\n\
    1\tfork v0.2.0 (https://example.org/fork?rev=12#12345678)\t\tno URL\t\n\
    2\tserde v1.0.1\tMIT/Apache-2.0\thttps://example.org/serde\t (*)\n\
    1\tinner v0.3.0 (registry `inner`)\tGPL-2.0\t\t\n";

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

fn lock() -> Lock {
    let sum = |digit: &str| format!("checksum = '{}'\n", digit.repeat(64));
    let crates_io = format!("source = '{CRATES_IO}'\n");
    let git = format!(
        "source = 'git+https://example.org/fork?rev=12#{}'\n",
        "12345678".repeat(5)
    );
    let inner = "source = 'sparse+https://inner.example/index/'\n";
    let packages = [
        ("app", "0.1.0", String::new()),
        ("serde", "1.0.1", crates_io.clone() + &sum("1")),
        ("serde_derive", "1.0.1", crates_io.clone() + &sum("2")),
        ("syn", "2.0.0+a", crates_io.clone() + "checksum = 'too short'\n"),
        ("fork", "0.2.0", git),
        ("fork", "0.2.0", crates_io + &sum("3")),
        ("inner", "0.3.0", inner.to_owned() + &sum("4")),
    ];
    let package = |(name, version, more)| format!("[[package]]\nname = '{name}'\nversion = '{version}'\n{more}");
    toml::from_str(&packages.map(package).concat()).expect("a lock file")
}

fn crates() -> Crates {
    Crates::new(&Tree::parse(TREE).expect("a tree"), &lock())
}

fn head(platform: Platform) -> Head<'static> {
    Head {
        platform,
        triple: platform.musl(),
        epoch: None,
    }
}

fn written(format: SbomFormat, head: Head<'_>) -> String {
    match format {
        SbomFormat::CycloneDx => cyclonedx::document(&crates(), head),
        SbomFormat::Spdx => spdx::document(&crates(), head),
    }
}

fn parsed(document: &str) -> Value {
    serde_json::from_str(document).expect("JSON")
}

/// One line for each value of `list`.
fn lines(list: &Value) -> String {
    let values = list.as_array().expect("a list").iter();
    values.map(Value::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn cyclonedx_names_crates_by_purl_with_licence_hash_and_what_they_need() {
    let mut bom = parsed(&written(SbomFormat::CycloneDx, head(Platform::Amd64)));
    insta::assert_snapshot!(lines(&bom["components"]), @r#"
    {"type":"library","bom-ref":"pkg:cargo/fork@0.2.0?vcs_url=git%2Bhttps:%2F%2Fexample.org%2Ffork%401234567812345678123456781234567812345678","name":"fork","version":"0.2.0","scope":"required","licenses":[{"license":{"name":"NOASSERTION"}}],"purl":"pkg:cargo/fork@0.2.0?vcs_url=git%2Bhttps:%2F%2Fexample.org%2Ffork%401234567812345678123456781234567812345678"}
    {"type":"library","bom-ref":"pkg:cargo/inner@0.3.0?repository_url=https:%2F%2Finner.example%2Findex%2F","name":"inner","version":"0.3.0","scope":"required","hashes":[{"alg":"SHA-256","content":"4444444444444444444444444444444444444444444444444444444444444444"}],"licenses":[{"expression":"GPL-2.0-only"}],"purl":"pkg:cargo/inner@0.3.0?repository_url=https:%2F%2Finner.example%2Findex%2F"}
    {"type":"library","bom-ref":"pkg:cargo/serde@1.0.1","name":"serde","version":"1.0.1","scope":"required","hashes":[{"alg":"SHA-256","content":"1111111111111111111111111111111111111111111111111111111111111111"}],"licenses":[{"expression":"MIT OR Apache-2.0"}],"purl":"pkg:cargo/serde@1.0.1","externalReferences":[{"type":"vcs","url":"https://example.org/serde"}]}
    {"type":"library","bom-ref":"pkg:cargo/serde_derive@1.0.1","name":"serde_derive","version":"1.0.1","scope":"excluded","hashes":[{"alg":"SHA-256","content":"2222222222222222222222222222222222222222222222222222222222222222"}],"licenses":[{"expression":"MIT"}],"purl":"pkg:cargo/serde_derive@1.0.1"}
    {"type":"library","bom-ref":"pkg:cargo/syn@2.0.0%2Ba","name":"syn","version":"2.0.0+a","scope":"excluded","licenses":[{"license":{"name":"NOASSERTION"}}],"purl":"pkg:cargo/syn@2.0.0%2Ba"}
    "#);
    insta::assert_snapshot!(lines(&bom["dependencies"]), @r#"
    {"ref":"local:app@0.1.0","dependsOn":["pkg:cargo/fork@0.2.0?vcs_url=git%2Bhttps:%2F%2Fexample.org%2Ffork%401234567812345678123456781234567812345678","pkg:cargo/inner@0.3.0?repository_url=https:%2F%2Finner.example%2Findex%2F","pkg:cargo/serde@1.0.1"]}
    {"ref":"pkg:cargo/fork@0.2.0?vcs_url=git%2Bhttps:%2F%2Fexample.org%2Ffork%401234567812345678123456781234567812345678","dependsOn":["pkg:cargo/serde@1.0.1"]}
    {"ref":"pkg:cargo/inner@0.3.0?repository_url=https:%2F%2Finner.example%2Findex%2F","dependsOn":[]}
    {"ref":"pkg:cargo/serde@1.0.1","dependsOn":["pkg:cargo/serde_derive@1.0.1"]}
    {"ref":"pkg:cargo/serde_derive@1.0.1","dependsOn":["pkg:cargo/syn@2.0.0%2Ba"]}
    {"ref":"pkg:cargo/syn@2.0.0%2Ba","dependsOn":[]}
    "#);
    for list in ["components", "dependencies"] {
        bom[list] = Value::Null;
    }
    insta::assert_snapshot!(serde_json::to_string_pretty(&bom).expect("text"), @r#"
    {
      "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
      "bomFormat": "CycloneDX",
      "specVersion": "1.6",
      "serialNumber": "urn:uuid:0b1619bf-a699-800f-a76e-53a1121f6c3f",
      "version": 1,
      "metadata": {
        "tools": {
          "components": [
            {
              "type": "application",
              "name": "provisioner",
              "version": "0.1.0"
            }
          ]
        },
        "component": {
          "type": "application",
          "bom-ref": "local:app@0.1.0",
          "name": "app",
          "version": "0.1.0",
          "licenses": [
            {
              "expression": "MIT OR Apache-2.0"
            }
          ],
          "purl": "pkg:cargo/app@0.1.0",
          "externalReferences": [
            {
              "type": "vcs",
              "url": "https://example.org/app"
            }
          ]
        },
        "properties": [
          {
            "name": "provisioner:platform",
            "value": "linux/amd64"
          },
          {
            "name": "provisioner:target",
            "value": "x86_64-unknown-linux-musl"
          }
        ]
      },
      "components": null,
      "dependencies": null
    }
    "#);
}

#[test]
fn spdx_names_crates_by_purl_with_licence_hash_and_what_they_need() {
    let mut document = parsed(&written(SbomFormat::Spdx, head(Platform::Amd64)));
    insta::assert_snapshot!(lines(&document["packages"]), @r#"
    {"SPDXID":"SPDXRef-app-0.1.0-0e833f1ae852","name":"app","versionInfo":"0.1.0","primaryPackagePurpose":"APPLICATION","downloadLocation":"NOASSERTION","filesAnalyzed":false,"licenseConcluded":"NOASSERTION","licenseDeclared":"MIT OR Apache-2.0","copyrightText":"NOASSERTION","externalRefs":[{"referenceCategory":"PACKAGE-MANAGER","referenceType":"purl","referenceLocator":"pkg:cargo/app@0.1.0"}]}
    {"SPDXID":"SPDXRef-fork-0.2.0-057eee084a46","name":"fork","versionInfo":"0.2.0","primaryPackagePurpose":"LIBRARY","downloadLocation":"git+https://example.org/fork@1234567812345678123456781234567812345678","filesAnalyzed":false,"licenseConcluded":"NOASSERTION","licenseDeclared":"NOASSERTION","copyrightText":"NOASSERTION","externalRefs":[{"referenceCategory":"PACKAGE-MANAGER","referenceType":"purl","referenceLocator":"pkg:cargo/fork@0.2.0?vcs_url=git%2Bhttps:%2F%2Fexample.org%2Ffork%401234567812345678123456781234567812345678"}]}
    {"SPDXID":"SPDXRef-inner-0.3.0-e74d22937a1d","name":"inner","versionInfo":"0.3.0","primaryPackagePurpose":"LIBRARY","downloadLocation":"NOASSERTION","filesAnalyzed":false,"licenseConcluded":"NOASSERTION","licenseDeclared":"GPL-2.0-only","copyrightText":"NOASSERTION","checksums":[{"algorithm":"SHA256","checksumValue":"4444444444444444444444444444444444444444444444444444444444444444"}],"externalRefs":[{"referenceCategory":"PACKAGE-MANAGER","referenceType":"purl","referenceLocator":"pkg:cargo/inner@0.3.0?repository_url=https:%2F%2Finner.example%2Findex%2F"}]}
    {"SPDXID":"SPDXRef-serde-1.0.1","name":"serde","versionInfo":"1.0.1","primaryPackagePurpose":"LIBRARY","downloadLocation":"https://static.crates.io/crates/serde/1.0.1/download","filesAnalyzed":false,"licenseConcluded":"NOASSERTION","licenseDeclared":"MIT OR Apache-2.0","copyrightText":"NOASSERTION","checksums":[{"algorithm":"SHA256","checksumValue":"1111111111111111111111111111111111111111111111111111111111111111"}],"externalRefs":[{"referenceCategory":"PACKAGE-MANAGER","referenceType":"purl","referenceLocator":"pkg:cargo/serde@1.0.1"}]}
    {"SPDXID":"SPDXRef-serde.derive-1.0.1","name":"serde_derive","versionInfo":"1.0.1","primaryPackagePurpose":"LIBRARY","downloadLocation":"https://static.crates.io/crates/serde_derive/1.0.1/download","filesAnalyzed":false,"licenseConcluded":"NOASSERTION","licenseDeclared":"MIT","copyrightText":"NOASSERTION","checksums":[{"algorithm":"SHA256","checksumValue":"2222222222222222222222222222222222222222222222222222222222222222"}],"externalRefs":[{"referenceCategory":"PACKAGE-MANAGER","referenceType":"purl","referenceLocator":"pkg:cargo/serde_derive@1.0.1"}]}
    {"SPDXID":"SPDXRef-syn-2.0.0.a","name":"syn","versionInfo":"2.0.0+a","primaryPackagePurpose":"LIBRARY","downloadLocation":"https://static.crates.io/crates/syn/2.0.0%2Ba/download","filesAnalyzed":false,"licenseConcluded":"NOASSERTION","licenseDeclared":"NOASSERTION","copyrightText":"NOASSERTION","externalRefs":[{"referenceCategory":"PACKAGE-MANAGER","referenceType":"purl","referenceLocator":"pkg:cargo/syn@2.0.0%2Ba"}]}
    "#);
    insta::assert_snapshot!(lines(&document["relationships"]), @r#"
    {"spdxElementId":"SPDXRef-DOCUMENT","relationshipType":"DESCRIBES","relatedSpdxElement":"SPDXRef-app-0.1.0-0e833f1ae852"}
    {"spdxElementId":"SPDXRef-app-0.1.0-0e833f1ae852","relationshipType":"DEPENDS_ON","relatedSpdxElement":"SPDXRef-fork-0.2.0-057eee084a46"}
    {"spdxElementId":"SPDXRef-app-0.1.0-0e833f1ae852","relationshipType":"DEPENDS_ON","relatedSpdxElement":"SPDXRef-inner-0.3.0-e74d22937a1d"}
    {"spdxElementId":"SPDXRef-app-0.1.0-0e833f1ae852","relationshipType":"DEPENDS_ON","relatedSpdxElement":"SPDXRef-serde-1.0.1"}
    {"spdxElementId":"SPDXRef-fork-0.2.0-057eee084a46","relationshipType":"DEPENDS_ON","relatedSpdxElement":"SPDXRef-serde-1.0.1"}
    {"spdxElementId":"SPDXRef-serde.derive-1.0.1","relationshipType":"BUILD_DEPENDENCY_OF","relatedSpdxElement":"SPDXRef-serde-1.0.1"}
    {"spdxElementId":"SPDXRef-serde.derive-1.0.1","relationshipType":"DEPENDS_ON","relatedSpdxElement":"SPDXRef-syn-2.0.0.a"}
    "#);
    for list in ["packages", "relationships"] {
        document[list] = Value::Null;
    }
    insta::assert_snapshot!(serde_json::to_string_pretty(&document).expect("text"), @r#"
    {
      "spdxVersion": "SPDX-2.3",
      "dataLicense": "CC0-1.0",
      "SPDXID": "SPDXRef-DOCUMENT",
      "name": "app-0.1.0",
      "documentNamespace": "https://spdx.org/spdxdocs/app-0.1.0-0e833f1ae852-f730a282-792b-8913-a7d1-29c4477ba0e8",
      "creationInfo": {
        "created": "1970-01-01T00:00:00Z",
        "creators": [
          "Tool: provisioner-0.1.0"
        ],
        "comment": "for linux/amd64, compiled as x86_64-unknown-linux-musl"
      },
      "packages": null,
      "relationships": null
    }
    "#);
}

/// A package `app` in a folder that needs these ones, whose sources the lock file names.
fn needing(others: &[(&str, &str)]) -> Crates {
    let line = |&(shown, _): &(&str, &str)| {
        let name = shown.split(' ').next().unwrap_or_default();
        format!("1\t{shown}\t\thttps://me:hunter2@example.org/{name}\t\n")
    };
    let entry = |&(shown, source): &(&str, &str)| {
        let (name, rest) = shown.split_once(" v").expect("a version");
        let version = rest.split(' ').next().unwrap_or_default();
        format!("[[package]]\nname = '{name}'\nversion = '{version}'\n{source}")
    };
    let own = ("app v0.1.0 (/home/me/app)", "");
    let tree = "0\tapp v0.1.0 (/home/me/app)\t\t\t\n".to_owned() + &others.iter().map(line).collect::<String>();
    let lock: String = [own].iter().chain(others).map(entry).collect();
    Crates::new(
        &Tree::parse(&tree).expect("a tree"),
        &toml::from_str(&lock).expect("a lock file"),
    )
}

#[test]
fn whoever_asks_for_a_crate_is_not_told() {
    let crates = needing(&[
        (
            "fork v0.2.0 (https://me:hunter2@git.example/fork#12345678)",
            "source = 'git+https://me:hunter2@git.example/fork#1234567812345678'\n",
        ),
        (
            "inner v0.3.0 (registry `inner`)",
            "source = 'sparse+https://hunter2@inner.example/index/'\n",
        ),
        (
            "third v0.4.0 (ssh://hunter2@git.example/third#12345678)",
            "source = 'git+ssh://hunter2@git.example/third?branch=a#1234567812345678'\n",
        ),
    ]);
    for document in [
        cyclonedx::document(&crates, head(Platform::Amd64)),
        spdx::document(&crates, head(Platform::Amd64)),
    ] {
        assert!(!document.contains("hunter2"), "{document}");
        for place in [
            "git.example%2Ffork",
            "inner.example%2Findex",
            "ssh:%2F%2Fgit.example%2Fthird",
        ] {
            assert!(document.contains(place), "{place}: {document}");
        }
    }
}

#[test]
fn a_crate_of_a_folder_is_another_than_that_of_its_name_on_crates_io() {
    let crates_io = format!("source = '{CRATES_IO}'\n");
    let crates = needing(&[
        ("app v0.1.0", &crates_io),
        ("tool v1.0.0", &crates_io),
        ("tool v1.0.0 (/home/me/tool)", ""),
    ]);
    let bom = parsed(&cyclonedx::document(&crates, head(Platform::Amd64)));
    assert_eq!(unique(&bom["dependencies"], "ref").len(), 4);
    let document = parsed(&spdx::document(&crates, head(Platform::Amd64)));
    assert_eq!(unique(&document["packages"], "SPDXID").len(), 4);
}

#[test]
fn a_document_depends_on_its_content_alone() {
    let epoch = Epoch::of(Some("1700000000")).expect("a time");
    for format in SbomFormat::ALL {
        let first = written(format, head(Platform::Amd64));
        assert_eq!(written(format, head(Platform::Amd64)), first);
        let other = written(format, head(Platform::Arm64));
        let number = |text: &str| {
            let document = parsed(text);
            document["serialNumber"]
                .as_str()
                .or(document["documentNamespace"].as_str())
                .map(str::to_owned)
        };
        assert_ne!(number(&other), number(&first), "another document has another number");
        let timed = written(
            format,
            Head {
                epoch: epoch.as_ref(),
                ..head(Platform::Amd64)
            },
        );
        assert!(timed.contains("2023-11-14T22:13:20Z"), "{timed}");
    }
}

/// The names of `list`, each of which must be there once.
fn unique<'a>(list: &'a Value, key: &str) -> BTreeSet<&'a str> {
    let list = list.as_array().expect("a list");
    let names: BTreeSet<&str> = list.iter().filter_map(|value| value[key].as_str()).collect();
    assert_eq!(names.len(), list.len(), "{key} is there once and in each");
    names
}

/// The real cargo on the sample app: everything that it shows is listed, and whatever is named is there.
#[tokio::test]
async fn the_apps_own_bill_is_whole() {
    let mut spec = ImageSpec::of_app(Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace"));
    spec.platforms = vec![Platform::Amd64];
    let mut counts = BTreeMap::new();
    for format in SbomFormat::ALL {
        let [sbom] = &sboms(&spec, format).await.expect("a bill")[..] else {
            panic!("one platform")
        };
        assert_eq!(sboms(&spec, format).await.expect("a bill"), std::slice::from_ref(sbom));
        let text = &sbom.document;
        let document = parsed(text);
        assert!(!text.contains(env!("CARGO_MANIFEST_DIR")), "no folder of this machine");
        assert!(
            text.contains("pkg:cargo/axum@") && !text.contains("pkg:cargo/insta@"),
            "{text}"
        );
        assert!(!text.contains("NOASSERTION\"}}]"), "every licence is known");
        let named: BTreeSet<&str> = match format {
            SbomFormat::CycloneDx => {
                let mut refs = unique(&document["components"], "bom-ref");
                refs.extend(document["metadata"]["component"]["bom-ref"].as_str());
                assert_eq!(unique(&document["dependencies"], "ref"), refs);
                let needed = document["dependencies"].as_array().expect("a list").iter();
                let needed = needed.flat_map(|of| of["dependsOn"].as_array().expect("a list"));
                assert!(needed.filter_map(Value::as_str).all(|of| refs.contains(of)));
                let components = document["components"].as_array().expect("a list");
                assert!(
                    components
                        .iter()
                        .all(|of| of["hashes"][0]["content"].as_str().is_some())
                );
                let scope = |wanted| components.iter().filter(|of| of["scope"] == wanted).count();
                assert!(scope("required") > scope("excluded") && scope("excluded") > 0);
                refs
            }
            SbomFormat::Spdx => {
                let ids = unique(&document["packages"], "SPDXID");
                let relations = document["relationships"].as_array().expect("a list").iter();
                let ends = relations.flat_map(|of| [&of["spdxElementId"], &of["relatedSpdxElement"]]);
                assert!(
                    ends.filter_map(Value::as_str)
                        .all(|id| ids.contains(id) || id == "SPDXRef-DOCUMENT")
                );
                assert!(
                    ids.iter()
                        .all(|id| id[8..].chars().all(|c| c.is_ascii_alphanumeric() || ".-".contains(c)))
                );
                ids
            }
        };
        assert_eq!(named.len(), sbom.crates);
        counts.insert(format.name(), sbom.crates);
    }
    assert_eq!(counts["cyclonedx"], counts["spdx"]);
}

#[tokio::test]
async fn what_cargo_does_not_tell_is_an_error_that_shows_what_it_said() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("Cargo.toml"), "[workspace]\n").expect("written");
    let toolchain = |name: &str| Toolchain {
        cargo: format!("{}/tests/fixtures/toolchain/cargo", env!("CARGO_MANIFEST_DIR")).into(),
        rustc: format!("{}/tests/fixtures/toolchain/{name}", env!("CARGO_MANIFEST_DIR")).into(),
        env: BTreeMap::new(),
    };
    let spec = ImageSpec::of_app(folder.path());
    let toolchain = toolchain("rustc-with-musl");
    let refused = async || {
        let error = sboms_with(&toolchain, &spec, SbomFormat::Spdx)
            .await
            .expect_err("refused");
        assert!(!error.is_configuration(), "an image may have been pushed");
        error.to_string()
    };
    let reason = "cannot list the crates of package `app`: there is no lock file that can be read";
    assert_eq!(refused().await, reason);
    std::fs::write(folder.path().join("tree"), "warning: no tree\n").expect("written");
    assert!(refused().await.ends_with("`cargo tree` says `warning: no tree`"));
}

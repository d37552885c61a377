//! The crates as SPDX 2.3: <https://spdx.github.io/spdx-spec/v2.3/>.

use serde::Serialize;
use serde_json::json;

use super::Head;
use super::crates::{Crate, Crates, Origin};
use super::identity::uuid;
use super::license::UNKNOWN;
use crate::image::Digest;

const DOCUMENT: &str = "SPDXRef-DOCUMENT";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    spdx_version: &'static str,
    data_license: &'static str,
    #[serde(rename = "SPDXID")]
    id: &'static str,
    name: String,
    #[serde(rename = "documentNamespace")]
    namespace: String,
    creation_info: CreationInfo<'a>,
    packages: Vec<Package<'a>>,
    relationships: Vec<Relationship>,
}

#[derive(Serialize)]
struct CreationInfo<'a> {
    created: &'a str,
    creators: [&'static str; 1],
    comment: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Package<'a> {
    #[serde(rename = "SPDXID")]
    id: String,
    name: &'a str,
    version_info: &'a str,
    primary_package_purpose: &'static str,
    download_location: String,
    files_analyzed: bool,
    license_concluded: &'static str,
    license_declared: &'a str,
    copyright_text: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    checksums: Vec<Checksum<'a>>,
    external_refs: [ExternalRef; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Checksum<'a> {
    algorithm: &'static str,
    checksum_value: &'a str,
}

#[derive(Serialize)]
struct ExternalRef {
    #[serde(rename = "referenceCategory")]
    category: &'static str,
    #[serde(rename = "referenceType")]
    kind: &'static str,
    #[serde(rename = "referenceLocator")]
    locator: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Relationship {
    spdx_element_id: String,
    #[serde(rename = "relationshipType")]
    kind: &'static str,
    related_spdx_element: String,
}

/// The document as JSON.
pub(super) fn document(crates: &Crates, head: Head<'_>) -> String {
    let root = crates.root();
    let name = format!("{}-{}", root.name, root.version);
    let mut document = Document {
        spdx_version: "SPDX-2.3",
        data_license: "CC0-1.0",
        id: DOCUMENT,
        namespace: String::new(),
        creation_info: CreationInfo {
            created: head.epoch.map_or("1970-01-01T00:00:00Z", |epoch| epoch.text.as_str()),
            creators: [concat!("Tool: provisioner-", env!("CARGO_PKG_VERSION"))],
            comment: format!("for {}, compiled as {}", head.platform, head.triple),
        },
        packages: crates.all().iter().map(|of| package(of, root)).collect(),
        relationships: relationships(crates),
        name,
    };
    let number = uuid(&json!(document).to_string());
    // A name, not an address: SPDX's own proposal for those who have none to give.
    document.namespace = format!("https://spdx.org/spdxdocs/{}-{number}", id(root));
    json!(document).to_string()
}

fn package<'a>(of: &'a Crate, root: &Crate) -> Package<'a> {
    let purpose = if of == root { "APPLICATION" } else { "LIBRARY" };
    let checksum = |checksum_value: &'a String| Checksum {
        algorithm: "SHA256",
        checksum_value,
    };
    Package {
        id: reference(of),
        name: &of.name,
        version_info: &of.version,
        primary_package_purpose: purpose,
        download_location: of.download().unwrap_or_else(|| UNKNOWN.to_owned()),
        files_analyzed: false,
        license_concluded: UNKNOWN,
        license_declared: of.license.as_deref().unwrap_or(UNKNOWN),
        copyright_text: UNKNOWN,
        checksums: of.checksum.iter().map(checksum).collect(),
        external_refs: [ExternalRef {
            category: "PACKAGE-MANAGER",
            kind: "purl",
            locator: of.purl(),
        }],
    }
}

fn relationships(crates: &Crates) -> Vec<Relationship> {
    let describes = relation(DOCUMENT.to_owned(), "DESCRIBES", reference(crates.root()));
    let edges = crates.edges().map(|(from, to)| {
        if to.is_macro {
            relation(reference(to), "BUILD_DEPENDENCY_OF", reference(from))
        } else {
            relation(reference(from), "DEPENDS_ON", reference(to))
        }
    });
    std::iter::once(describes).chain(edges).collect()
}

fn relation(from: String, kind: &'static str, to: String) -> Relationship {
    Relationship {
        spdx_element_id: from,
        kind,
        related_spdx_element: to,
    }
}

fn reference(of: &Crate) -> String {
    format!("SPDXRef-{}", id(of))
}

/// Letters, digits, `.` and `-`, and nobody else's: names have no `.`, and the version follows the last of theirs.
fn id(of: &Crate) -> String {
    let plain = format!("{}-{}", of.name.replace('_', "."), of.version.replace('+', "."));
    match of.origin {
        Origin::CratesIo => plain,
        // It may be there from crates.io too.
        Origin::Local | Origin::Registry(_) | Origin::Git { .. } => {
            format!("{plain}-{}", Digest::of(of.local_name().as_bytes()).short())
        }
    }
}

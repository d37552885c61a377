//! The crates as `CycloneDX` 1.6: <https://cyclonedx.org/docs/1.6/json/>.

use serde::Serialize;
use serde_json::json;

use super::Head;
use super::crates::{Crate, Crates};
use super::identity::uuid;
use super::license::UNKNOWN;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Bom<'a> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    #[serde(rename = "bomFormat")]
    format: &'static str,
    spec_version: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    serial_number: Option<String>,
    version: u32,
    metadata: Metadata<'a>,
    components: Vec<Component<'a>>,
    dependencies: Vec<Dependency>,
}

#[derive(Serialize)]
struct Metadata<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<&'a str>,
    tools: Tools,
    component: Component<'a>,
    properties: [Property<'a>; 2],
}

#[derive(Serialize)]
struct Tools {
    components: [Tool; 1],
}

#[derive(Serialize)]
struct Tool {
    r#type: &'static str,
    name: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
struct Property<'a> {
    name: &'static str,
    value: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Component<'a> {
    r#type: &'static str,
    #[serde(rename = "bom-ref")]
    bom_ref: String,
    name: &'a str,
    version: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hashes: Vec<Hash<'a>>,
    licenses: [License<'a>; 1],
    purl: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    external_references: Vec<Reference<'a>>,
}

#[derive(Serialize)]
struct Hash<'a> {
    alg: &'static str,
    content: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum License<'a> {
    Expression(&'a str),
    License { name: &'static str },
}

#[derive(Serialize)]
struct Reference<'a> {
    r#type: &'static str,
    url: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Dependency {
    r#ref: String,
    depends_on: Vec<String>,
}

/// The document as JSON.
pub(super) fn document(crates: &Crates, head: Head<'_>) -> String {
    let all = crates.all();
    let mut bom = Bom {
        schema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
        format: "CycloneDX",
        spec_version: "1.6",
        serial_number: None,
        version: 1,
        metadata: metadata(crates, head),
        components: all.iter().skip(1).map(library).collect(),
        dependencies: all.iter().map(|of| dependency(of, all)).collect(),
    };
    bom.serial_number = Some(format!("urn:uuid:{}", uuid(&json!(bom).to_string())));
    json!(bom).to_string()
}

fn metadata<'a>(crates: &'a Crates, head: Head<'a>) -> Metadata<'a> {
    let property = |name, value| Property { name, value };
    Metadata {
        timestamp: head.epoch.map(|epoch| epoch.text.as_str()),
        tools: Tools {
            components: [Tool {
                r#type: "application",
                name: "provisioner",
                version: env!("CARGO_PKG_VERSION"),
            }],
        },
        component: component(crates.root(), "application", None),
        properties: [
            property("provisioner:platform", head.platform.name()),
            property("provisioner:target", head.triple),
        ],
    }
}

/// What only macros need is told all the same: it wrote some of the code.
fn library(of: &Crate) -> Component<'_> {
    let scope = if of.is_linked { "required" } else { "excluded" };
    component(of, "library", Some(scope))
}

fn component<'a>(of: &'a Crate, kind: &'static str, scope: Option<&'static str>) -> Component<'a> {
    let license = of.license.as_deref().map(License::Expression);
    Component {
        r#type: kind,
        bom_ref: of.local_name(),
        name: &of.name,
        version: &of.version,
        scope,
        hashes: of
            .checksum
            .iter()
            .map(|content| Hash {
                alg: "SHA-256",
                content,
            })
            .collect(),
        licenses: [license.unwrap_or(License::License { name: UNKNOWN })],
        purl: of.purl(),
        external_references: of
            .repository
            .iter()
            .map(|url| Reference { r#type: "vcs", url })
            .collect(),
    }
}

fn dependency(of: &Crate, all: &[Crate]) -> Dependency {
    Dependency {
        r#ref: of.local_name(),
        depends_on: of
            .needs
            .iter()
            .filter_map(|&at| all.get(at))
            .map(Crate::local_name)
            .collect(),
    }
}

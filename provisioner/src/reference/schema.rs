//! The JSON Schema of `provisioner.toml`, for editors.

use serde_json::{Value, json};

use super::{help_of, split_default};
use crate::config::keys::{KEYS, Key, Kind};
use crate::image::{Compression, Platform, SbomFormat};

/// The schema, as JSON text.
pub fn schema() -> String {
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "provisioner.toml",
        "type": "object",
        "additionalProperties": false,
        "properties": {},
    });
    for key in KEYS {
        match key.path.split_once('.') {
            None => schema["properties"][key.path] = property(key),
            Some((section, field)) => {
                let section = &mut schema["properties"][section];
                if section.is_null() {
                    *section = json!({"type": "object", "additionalProperties": false, "properties": {}});
                }
                section["properties"][field] = property(key);
            }
        }
    }
    let name = "^[a-z][a-z0-9_]*$";
    schema["properties"]["values"] = json!({
        "description": "Placeholders of your own for manifests",
        "type": "object",
        "additionalProperties": false,
        "patternProperties": {name: true},
    });
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}

fn property(key: &Key) -> Value {
    let choices = choices(key.path);
    let text = |choices: &[&str]| match choices {
        [] => json!({"type": "string"}),
        choices => json!({"enum": choices}),
    };
    let list = |items: Value| json!({"type": "array", "items": items});
    let mut property = match key.kind {
        Kind::Text | Kind::Path => text(&choices),
        Kind::Number => json!({"type": "number"}),
        Kind::Switch => json!({"type": "boolean"}),
        Kind::List => list(text(&choices)),
        Kind::Binaries => json!({"anyOf": [text(&[]), list(text(&[]))]}),
    };
    let (description, default) = split_default(&help_of(key.flag).unwrap_or_default());
    property["description"] = description.into();
    // What a default says in words is no value.
    if let Some(default) = default.filter(|default| choices.contains(&default.as_str())) {
        property["default"] = default.into();
    }
    property
}

/// The values that a setting takes, where there are few.
fn choices(path: &str) -> Vec<&'static str> {
    match path {
        "reaction" => vec!["fast", "seed"],
        "certificates" => vec!["auto", "cert-manager", "own"],
        "eks.compute" => vec!["auto", "nodegroup"],
        "output.format" => vec!["text", "json"],
        "image.compression" => Compression::ALL.map(Compression::name).to_vec(),
        "image.sbom" => SbomFormat::ALL.map(SbomFormat::name).to_vec(),
        "image.platform" => Platform::ALL.map(Platform::name).to_vec(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Layer, Sources};

    /// Whether a flag takes a value.
    fn takes(key: &Key, value: &str) -> bool {
        let mut flags = Layer::default();
        flags.flag(key.flag, vec![value.to_owned()]);
        let folder = "/nowhere".into();
        Config::resolve(&Sources {
            flags,
            folder,
            ..Sources::default()
        })
        .is_ok()
    }

    #[test]
    fn choices_are_those_that_the_settings_take() {
        for key in KEYS {
            for choice in choices(key.path) {
                assert!(takes(key, choice), "{} = {choice}", key.path);
                assert!(!takes(key, "no-such-thing"), "{}", key.path);
            }
        }
    }

    #[test]
    fn every_key_is_in_the_schema_with_its_type() {
        let schema: Value = serde_json::from_str(&schema()).expect("JSON");
        for key in KEYS {
            let place = key
                .path
                .split('.')
                .fold(schema.clone(), |at, part| at["properties"][part].clone());
            assert!(
                place["description"].as_str().is_some_and(|text| !text.is_empty()),
                "{}",
                key.path
            );
        }
        assert_eq!(
            schema["properties"]["eks"]["properties"]["create-cluster"]["type"],
            "boolean"
        );
    }
}

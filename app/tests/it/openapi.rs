//! The document at `/openapi.json` and the answers say the same.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::{Answer, Client, Service};

/// Why a value is not what a schema of the document says; none of the keywords that the document uses is passed over.
fn mismatch(document: &Value, schema: &Value, value: &Value) -> Option<String> {
    if let Some(reference) = schema["$ref"].as_str() {
        return mismatch(document, resolved(document, reference), value);
    }
    for (keyword, rule) in schema.as_object().unwrap() {
        let wrong = match keyword.as_str() {
            "type" => !is_of(rule.as_str().unwrap(), value),
            "enum" => !rule.as_array().unwrap().contains(value),
            "required" => rule
                .as_array()
                .unwrap()
                .iter()
                .any(|key| value.get(key.as_str().unwrap()).is_none()),
            "additionalProperties" => value
                .as_object()
                .is_some_and(|fields| fields.keys().any(|key| schema["properties"].get(key).is_none())),
            "properties" => {
                let wrong = rule
                    .as_object()
                    .unwrap()
                    .iter()
                    .find_map(|(key, schema)| value.get(key).and_then(|value| mismatch(document, schema, value)));
                if wrong.is_some() {
                    return wrong;
                }
                false
            }
            "items" => {
                let wrong = value
                    .as_array()
                    .unwrap()
                    .iter()
                    .find_map(|value| mismatch(document, rule, value));
                if wrong.is_some() {
                    return wrong;
                }
                false
            }
            other => panic!("the test does not know the keyword `{other}`"),
        };
        if wrong {
            return Some(format!("{value}: {keyword} {rule}"));
        }
    }
    None
}

fn is_of(name: &str, value: &Value) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        other => panic!("the test does not know the type `{other}`"),
    }
}

fn resolved<'a>(document: &'a Value, reference: &str) -> &'a Value {
    let found = document.pointer(reference.strip_prefix('#').unwrap());
    found.unwrap_or_else(|| panic!("{reference} is not there"))
}

/// What the document says of an answer: of its status, else of `default`.
fn described<'a>(document: &'a Value, operation: &'a Value, status: u16) -> &'a Value {
    let responses = operation["responses"].as_object().unwrap();
    let response = responses.get(&status.to_string()).or_else(|| responses.get("default"));
    let response = response.unwrap_or_else(|| panic!("{status} is not described: {operation}"));
    target(document, response)
}

/// What a reference stands for, or the object itself.
fn target<'a>(document: &'a Value, object: &'a Value) -> &'a Value {
    object["$ref"].as_str().map_or(object, |to| resolved(document, to))
}

/// Where an answer is not what is described: body, type, and the headers that have to be there.
fn differs(document: &Value, described: &Value, answer: &Answer) -> Option<String> {
    let Some(content) = described.get("content") else {
        return (!answer.body.is_empty()).then(|| format!("a body: {}", answer.body));
    };
    let schema = &content["application/json"]["schema"];
    if answer.header("content-type") != Some("application/json") {
        return Some(format!("content-type {:?}", answer.header("content-type")));
    }
    let headers = described["headers"].as_object().into_iter().flatten();
    for (name, header) in headers {
        let header = target(document, header);
        let value = answer.header(&name.to_ascii_lowercase());
        match value {
            None if header["required"] == true => return Some(format!("no header {name}")),
            Some(value) if header["schema"]["type"] == "integer" && value.parse::<u32>().is_err() => {
                return Some(format!("header {name}: {value}"));
            }
            _ => {}
        }
    }
    mismatch(document, schema, &answer.json())
}

#[test]
fn answers_are_what_the_document_says() {
    let service = Service::start("--max-body-size 1");
    let document = service.get("/openapi.json").json();
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let mut client = Client::connect(service.address);
            let answer = client.request(&method.to_uppercase(), path);
            assert_eq!(answer.status, 200, "{method} {path}");
            let wrong = differs(&document, described(&document, operation, 200), &answer);
            assert_eq!(wrong, None, "{method} {path}");
        }
    }
}

/// Each of them for each path, as far as a path matters.
#[test]
fn errors_are_what_the_document_says() {
    let service = Service::start("--max-body-size 1 --max-head-size 2048");
    let crowded = Service::start("--max-connections 0");
    let document = service.get("/openapi.json").json();
    for (path, operations) in document["paths"].as_object().unwrap() {
        let large = "a".repeat(4096);
        for (service, request, status) in [
            (&service, format!("GET {path}nope HTTP/1.1\r\nhost: test\r\n\r\n"), 404),
            (&service, format!("POST {path} HTTP/1.1\r\nhost: test\r\n\r\n"), 405),
            (
                &service,
                format!("GET {path} HTTP/1.1\r\nhost: test\r\ncontent-length: 2\r\n\r\n"),
                413,
            ),
            (
                &service,
                format!("GET {path} HTTP/1.1\r\nhost: test\r\nx-large: {large}\r\n\r\n"),
                431,
            ),
            (&crowded, format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n"), 503),
        ] {
            let mut client = Client::connect(service.address);
            client.write(&request);
            let answer = client.answer();
            assert_eq!(answer.status, status, "{path}");
            let wrong = differs(&document, described(&document, &operations["get"], status), &answer);
            assert_eq!(wrong, None, "{path} {status}");
            if status == 405 {
                assert_eq!(answer.header("allow"), Some("GET,HEAD"), "{path}");
            }
        }
    }
}

/// What `OpenAPI` 3.1 has objects of a kind be: fields that have to be there, fields that may be.
/// <https://spec.openapis.org/oas/v3.1.0>
const OBJECTS: [(&str, &[&str], &[&str]); 5] = [
    ("document", &["openapi", "info", "paths"], &["components"]),
    ("info", &["title", "version"], &["summary"]),
    ("operation", &["responses"], &["operationId", "summary"]),
    ("response", &["description"], &["headers", "content"]),
    ("header", &["schema"], &["description", "required"]),
];

/// Whether an object is a reference that leads somewhere, or has the fields of its kind; gives what it stands for.
fn checked<'a>(document: &'a Value, kind: &str, object: &'a Value) -> &'a Value {
    let (_, needed, more) = OBJECTS.iter().find(|(name, ..)| *name == kind).unwrap();
    let fields = object.as_object().unwrap_or_else(|| panic!("no {kind}: {object}"));
    if fields.contains_key("$ref") {
        assert_eq!(fields.len(), 1, "a reference and more: {object}");
        return checked(document, kind, target(document, object));
    }
    for field in *needed {
        assert!(fields.contains_key(*field), "a {kind} without {field}: {object}");
    }
    for field in fields.keys().map(String::as_str) {
        assert!(
            needed.contains(&field) || more.contains(&field),
            "a {kind} with {field}"
        );
    }
    object
}

/// A schema of keywords that [`mismatch`] knows, and of types that it knows.
fn is_schema(document: &Value, schema: &Value) {
    if schema.get("$ref").is_some() {
        return is_schema(document, target(document, schema));
    }
    for (keyword, rule) in schema.as_object().unwrap() {
        match keyword.as_str() {
            "type" => drop(is_of(rule.as_str().unwrap(), &Value::Null)),
            "enum" | "required" => assert!(rule.as_array().is_some_and(|words| words.iter().all(Value::is_string))),
            "additionalProperties" => assert!(rule.is_boolean()),
            "properties" => rule
                .as_object()
                .unwrap()
                .values()
                .for_each(|schema| is_schema(document, schema)),
            "items" => is_schema(document, rule),
            other => panic!("`{other}` is no keyword of a schema here"),
        }
    }
}

#[test]
fn the_document_is_one_of_openapi() {
    let service = Service::start("");
    let document = service.get("/openapi.json").json();
    checked(&document, "document", &document);
    checked(&document, "info", &document["info"]);
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1."));
    let mut ids = BTreeSet::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        assert!(path.starts_with('/') && !path.contains('{'), "{path}");
        for (method, operation) in operations.as_object().unwrap() {
            assert!(["get", "put", "post", "delete", "options", "head", "patch", "trace"].contains(&method.as_str()));
            checked(&document, "operation", operation);
            assert!(
                ids.insert(operation["operationId"].as_str().unwrap().to_owned()),
                "{path}"
            );
            for (status, response) in operation["responses"].as_object().unwrap() {
                let is_code = status.parse::<u16>().is_ok_and(|code| (100..600).contains(&code));
                assert!(is_code || status == "default", "{status}");
                let response = checked(&document, "response", response);
                for header in response["headers"]
                    .as_object()
                    .into_iter()
                    .flat_map(|headers| headers.values())
                {
                    checked(&document, "header", header);
                }
                for content in response["content"]
                    .as_object()
                    .into_iter()
                    .flat_map(|types| types.values())
                {
                    is_schema(&document, &content["schema"]);
                }
            }
        }
    }
    for (kind, objects) in document["components"].as_object().unwrap() {
        for name in objects.as_object().unwrap().keys() {
            let reference = format!("\"#/components/{kind}/{name}\"");
            assert!(document.to_string().contains(&reference), "{reference} is used nowhere");
        }
    }
}

#[test]
fn the_checker_tells_wrong_answers() {
    let service = Service::start("");
    let document = service.get("/openapi.json").json();
    let data = resolved(&document, "#/components/schemas/Data");
    for wrong in [
        serde_json::json!({"items": []}),
        serde_json::json!({"pod": 1, "items": []}),
        serde_json::json!({"pod": "a", "items": [], "more": 1}),
        serde_json::json!({"pod": "a", "items": [{"id": "1", "name": "a", "value": 1}]}),
    ] {
        assert!(mismatch(&document, data, &wrong).is_some(), "{wrong}");
    }
}

#[test]
fn every_path_that_counts_is_described() {
    let service = Service::start("");
    let document = service.get("/openapi.json").json();
    for path in ["/", "/health", "/api/data", "/openapi.json"] {
        assert_eq!(service.get(path).status, 200);
        assert!(document["paths"].get(path).is_some(), "{path}");
    }
}

//! The document at `/openapi.json` and the answers say the same.

use serde_json::Value;

use crate::support::{Client, Service};

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

/// The schema of an answer: of its status, else of `default`.
fn schema<'a>(document: &'a Value, operation: &'a Value, status: u16) -> &'a Value {
    let responses = operation["responses"].as_object().unwrap();
    let response = responses.get(&status.to_string()).or_else(|| responses.get("default"));
    let response = response.unwrap_or_else(|| panic!("{status} is not described: {operation}"));
    let response = response["$ref"].as_str().map_or(response, |to| resolved(document, to));
    &response["content"]["application/json"]["schema"]
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
            assert_eq!(answer.header("content-type"), Some("application/json"), "{path}");
            let wrong = mismatch(&document, schema(&document, operation, answer.status), &answer.json());
            assert_eq!(wrong, None, "{method} {path}");
        }
    }
}

#[test]
fn every_error_has_the_documents_form() {
    let service = Service::start("--max-body-size 1");
    let document = service.get("/openapi.json").json();
    let error = resolved(&document, "#/components/schemas/Error");
    for request in [
        "GET /nope HTTP/1.1\r\nhost: test\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 2\r\n\r\n",
    ] {
        let mut client = Client::connect(service.address);
        client.write(request);
        let answer = client.answer();
        assert!(answer.status >= 400);
        assert_eq!(mismatch(&document, error, &answer.json()), None, "{request}");
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

//! Changes of valid inputs.

use fastrand::Rng;
use serde_json::{Value, json};

/// Pieces of what is read: media types, digests, names that lead out, numbers at the edges.
const WORDS: [&str; 34] = [
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.oci.image.layer.v1.tar+gzip",
    "application/vnd.oci.image.layer.v1.tar+zstd",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "sha512:00",
    "sha256:",
    "../../canary",
    "/etc/passwd",
    "a/../../b",
    "linux",
    "unknown",
    "amd64",
    "arm64",
    "v8",
    "vnd.docker.reference.type",
    "org.opencontainers.image.ref.name",
    "18446744073709551615",
    "-1",
    "1e400",
    "\0",
    "\u{202e}",
    "\u{1b}[2J",
    "é",
    "@",
    "://",
    ":65536",
    "[::1]",
    "127.0.0.1",
];

/// One of the words, or a number of any length.
pub(crate) fn word(rng: &mut Rng) -> String {
    match rng.u8(..32) {
        0 => "a".repeat(rng.usize(..100_000)),
        1..=2 => rng.u64(..).to_string(),
        _ => WORDS[rng.usize(..WORDS.len())].to_owned(),
    }
}

/// A few changes of bytes.
pub(crate) fn bytes(rng: &mut Rng, all: &mut Vec<u8>) {
    for _ in 0..rng.usize(1..4) {
        let at = rng.usize(..=all.len());
        let end = all.len().min(at + rng.usize(..64));
        match rng.u8(..8) {
            0 => all.truncate(at),
            1 => drop(all.drain(at..end)),
            2 => {
                let part = all[at..end].to_vec();
                all.splice(at..at, part);
            }
            3 => drop(all.splice(at..at, word(rng).into_bytes())),
            4 => all[at..end].fill([0, 0xff, b' ', b'7'][rng.usize(..4)]),
            5 => {
                let length = rng.usize(..2000);
                all.splice(at..at, std::iter::repeat_n(rng.u8(..), length));
            }
            _ => {
                if let Some(byte) = all.get_mut(at) {
                    *byte ^= 1 << rng.u8(..8);
                }
            }
        }
    }
}

/// A few changes of a text, which stays one.
pub(crate) fn text(rng: &mut Rng, text: &str) -> String {
    let mut changed = text.to_owned();
    for _ in 0..rng.usize(1..3) {
        let mut at = rng.usize(..=changed.len());
        while !changed.is_char_boundary(at) {
            at -= 1;
        }
        match rng.u8(..6) {
            0 => changed.truncate(at),
            1 => changed.insert_str(at, &word(rng)),
            2 => changed.insert(at, rng.char(..)),
            3 => changed = changed.split_off(at),
            4 => changed = changed.to_uppercase(),
            _ => {
                if at < changed.len() {
                    changed.remove(at);
                }
            }
        }
    }
    changed
}

/// One change anywhere in a document.
pub(crate) fn json(rng: &mut Rng, document: &mut Value) {
    let chosen = rng.usize(..count(document));
    let node = nth(document, &mut chosen.clone()).expect("counted");
    match (rng.u8(..8), node) {
        (0, node) => *node = any(rng),
        (1, Value::Object(map)) if !map.is_empty() => {
            let key = map.keys().nth(rng.usize(..map.len())).unwrap().clone();
            map.remove(&key);
        }
        (2, Value::Object(map)) => {
            map.insert(word(rng), any(rng));
        }
        (1, Value::Array(all)) if !all.is_empty() => drop(all.remove(rng.usize(..all.len()))),
        (2..=4, Value::Array(all)) if !all.is_empty() => {
            let one = all[rng.usize(..all.len())].clone();
            let most = 2_000_000 / one.to_string().len();
            let times = [1, 2, 300, 10_000][rng.usize(..4)].min(most);
            all.extend(std::iter::repeat_n(one, times));
        }
        (_, Value::String(old)) => *old = if rng.bool() { word(rng) } else { text(rng, old) },
        (_, Value::Number(number)) => {
            let old = number.as_u64().unwrap_or_default();
            let near = [old.wrapping_add(1), old.wrapping_sub(1), u64::MAX, 0, 1 << 32];
            *number = near[rng.usize(..near.len())].into();
        }
        (_, node) => *node = any(rng),
    }
}

fn any(rng: &mut Rng) -> Value {
    match rng.u8(..9) {
        0 => Value::Null,
        1 => json!(rng.bool()),
        2 => json!(rng.u64(..)),
        3 => json!(rng.i64(..)),
        4 => json!({}),
        5 => json!([]),
        6 => (0..rng.usize(1..200)).fold(json!(1), |inner, _| json!([inner])),
        7 => json!({ word(rng): word(rng) }),
        _ => json!(word(rng)),
    }
}

fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(all) => all.iter().map(count).sum::<usize>(),
        Value::Object(map) => map.values().map(count).sum(),
        _ => 0,
    }
}

fn nth<'a>(value: &'a mut Value, left: &mut usize) -> Option<&'a mut Value> {
    if *left == 0 {
        return Some(value);
    }
    *left -= 1;
    match value {
        Value::Array(all) => all.iter_mut().find_map(|inner| nth(inner, left)),
        Value::Object(map) => map.values_mut().find_map(|inner| nth(inner, left)),
        _ => None,
    }
}

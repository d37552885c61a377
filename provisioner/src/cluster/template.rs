//! `${name}` in a manifest's text: replaced from a closed set. What is no lower-case name (`${1}`) stays.

use std::collections::BTreeMap;

use crate::spelling::nearest;

/// The text with every placeholder replaced, or the placeholders that have no value, each with the nearest that has.
pub(super) fn render(text: &str, values: &BTreeMap<&str, String>) -> Result<String, Vec<String>> {
    let mut out = String::with_capacity(text.len());
    let mut problems = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let (before, from) = rest.split_at(start);
        out.push_str(before);
        let after = &from[2..];
        match after.find('}').map(|end| (&after[..end], &after[end + 1..])) {
            Some((name, tail)) if is_name(name) => {
                match values.get(name) {
                    Some(value) => out.push_str(value),
                    None => problems.push(unknown(name, values)),
                }
                rest = tail;
            }
            _ => {
                out.push_str("${");
                rest = after;
            }
        }
    }
    out.push_str(rest);
    if problems.is_empty() { Ok(out) } else { Err(problems) }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

fn unknown(name: &str, values: &BTreeMap<&str, String>) -> String {
    match nearest(name, values.keys().copied()) {
        Some(near) => format!("placeholder `${{{name}}}` has no value; did you mean `${{{near}}}`?"),
        None => format!("placeholder `${{{name}}}` has no value"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(text: &str) -> Result<String, Vec<String>> {
        let values = BTreeMap::from([("stack", "demo".to_owned()), ("rate_window", "${stack}".to_owned())]);
        render(text, &values)
    }

    #[test]
    fn names_are_replaced_once_and_other_texts_stay() {
        let cases = [
            ("a ${stack} b ${stack}", "a demo b demo"),
            ("${1}_per_second $$ ${A} ${} ${", "${1}_per_second $$ ${A} ${} ${"),
            ("${rate_window}", "${stack}"),
            ("${1${stack}", "${1demo"),
        ];
        for (text, want) in cases {
            assert_eq!(rendered(text).as_deref(), Ok(want), "{text}");
        }
    }

    #[test]
    fn unknown_names_are_all_reported_with_the_nearest() {
        let problems = rendered("${stak} ${wholly_other}").expect_err("unknown");
        assert_eq!(
            problems,
            [
                "placeholder `${stak}` has no value; did you mean `${stack}`?",
                "placeholder `${wholly_other}` has no value"
            ]
        );
    }
}

//! `${name}` in a manifest's text: replaced from a closed set. What is no lower-case name (`${1}`) stays.

use std::collections::BTreeMap;

use crate::spelling::nearest;

/// A placeholder that has no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unknown {
    /// Its line, from 1.
    pub(super) line: usize,
    /// What is wrong, with the YAML key that it stands at and the nearest placeholder that has a value.
    pub(super) problem: String,
}

/// The text with every placeholder replaced, or those that have no value.
pub(super) fn render(text: &str, values: &BTreeMap<&str, String>) -> Result<String, Vec<Unknown>> {
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
                    None => problems.push(unknown((text, text.len() - from.len()), name, values)),
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

/// Whether a text can name a placeholder.
pub(crate) fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

fn unknown((text, at): (&str, usize), name: &str, values: &BTreeMap<&str, String>) -> Unknown {
    let before = &text[..at];
    let key = key_of(before.rsplit('\n').next().unwrap_or_default());
    let key = key.map_or_else(String::new, |key| format!("`{key}`: "));
    let near = nearest(name, values.keys().copied());
    let near = near.map_or_else(String::new, |near| format!("; did you mean `${{{near}}}`?"));
    Unknown {
        line: before.matches('\n').count() + 1,
        problem: format!("{key}placeholder `${{{name}}}` has no value{near}"),
    }
}

/// The last key before a place in a line of YAML.
fn key_of(line: &str) -> Option<&str> {
    let (before, _) = line.rsplit_once(':')?;
    let key = before.rsplit(|c: char| c.is_whitespace() || "{[,".contains(c)).next()?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
    (!key.is_empty() && key.chars().all(is_plain)).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(text: &str) -> Result<String, Vec<Unknown>> {
        let values = BTreeMap::from([("stack", "demo".to_owned()), ("rate_query", "${stack}".to_owned())]);
        render(text, &values)
    }

    #[test]
    fn names_are_replaced_once_and_other_texts_stay() {
        let cases = [
            ("a ${stack} b ${stack}", "a demo b demo"),
            ("${1}_per_second $$ ${A} ${} ${", "${1}_per_second $$ ${A} ${} ${"),
            ("${rate_query}", "${stack}"),
            ("${1${stack}", "${1demo"),
        ];
        for (text, want) in cases {
            assert_eq!(rendered(text).as_deref(), Ok(want), "{text}");
        }
    }

    #[test]
    fn unknown_names_are_all_reported_with_line_key_and_the_nearest() {
        let text =
            "a: ${stack}\n- {name: x, image: \"${stak}\"}\n\n  \"odd key\": ${wholly_other}\nb: |\n  text ${stak}";
        let problems = rendered(text).expect_err("unknown");
        let problems: Vec<(usize, &str)> = problems.iter().map(|one| (one.line, one.problem.as_str())).collect();
        assert_eq!(
            problems,
            [
                (
                    2,
                    "`image`: placeholder `${stak}` has no value; did you mean `${stack}`?"
                ),
                (4, "placeholder `${wholly_other}` has no value"),
                (6, "placeholder `${stak}` has no value; did you mean `${stack}`?"),
            ]
        );
    }
}

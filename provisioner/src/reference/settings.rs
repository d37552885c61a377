//! `docs/settings.md`: every key of `provisioner.toml`, and the placeholders of manifests.

use std::fmt::Write as _;

use super::{MADE, cell, help_of, split_default};
use crate::cluster::placeholders::OWN;
use crate::config::keys::{KEYS, Key, Kind};

const HEAD: &str = "# Settings

Flags, then `PROVISIONER_*` variables, then `provisioner.toml` in the working directory (or `--config FILE`), then defaults.
`provisioner config show` prints what counts and where it comes from; [provisioner.schema.json](provisioner.schema.json) is
the file's schema for editors. An unknown key or variable is an error that names the nearest. Paths in the file are relative to it;
lists are separated by commas in a variable. Some flags stand for one run only and are no settings: see [cli.md](cli.md).
";

const VALUES: &str = "
## [values]

Placeholders of your own for manifests: `team = \"red\"` is `${team}` there. Texts stand as they are written, lists and tables as
JSON. In the file only.
";

const PLACEHOLDERS: &str = "
## Placeholders

`${name}` in a manifest, beside those of `[values]`:

| placeholder | |
| --- | --- |
";

/// The page of settings.
pub fn settings() -> String {
    let mut page = format!("{MADE}{HEAD}");
    let mut section = "";
    // Keys outside of a section stand before them in TOML.
    let (top, inner): (Vec<&Key>, Vec<&Key>) = KEYS.iter().partition(|key| !key.path.contains('.'));
    for key in top.into_iter().chain(inner) {
        let (name, field) = key.path.split_once('.').unwrap_or(("", key.path));
        if name != section || page.ends_with(".\n") {
            section = name;
            let title = if name.is_empty() {
                "Before all sections".to_owned()
            } else {
                format!("[{name}]")
            };
            let _ = write!(
                page,
                "\n## {title}\n\n| key | type | flag | variable | | default |\n| --- | --- | --- | --- | --- | --- |\n"
            );
        }
        let (text, default) = split_default(&help_of(key.flag).unwrap_or_default());
        let default = default.unwrap_or_default();
        let (kind, flag, variable) = (kind(key.kind), key.flag, key.variable());
        let (text, default) = (cell(&text), cell(&default));
        let _ = writeln!(
            page,
            "| `{field}` | {kind} | `--{flag}` | `{variable}` | {text} | {default} |"
        );
    }
    page.push_str(VALUES);
    page.push_str(PLACEHOLDERS);
    for (name, what) in OWN {
        let _ = writeln!(page, "| `${{{name}}}` | {} |", cell(what));
    }
    page
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Text => "text",
        Kind::Number => "number",
        Kind::Path => "path",
        Kind::Binaries => "path, or list of them",
        Kind::Switch => "`true` or `false`",
        Kind::List => "list of texts",
    }
}

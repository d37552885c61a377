//! What `cargo tree` says: one line for each dependency, with its depth, so that a parent is the line before of one less.

use std::collections::{BTreeMap, BTreeSet};

/// Package, licence and repository; the last field has the mark of what was shown before.
pub(super) const FORMAT: &str = "\t{p}\t{l}\t{r}\t";

/// The packages and who needs whom.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tree {
    /// The first one is what the others are needed for.
    pub(super) packages: Vec<Package>,
    /// Who needs whom, by their places.
    pub(super) edges: BTreeSet<(usize, usize)>,
}

/// A package as cargo shows it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Package {
    pub(super) name: String,
    pub(super) version: String,
    /// Where it comes from; none is crates.io.
    pub(super) source: Option<String>,
    /// Whether it runs while others are compiled, and is no part of the executable.
    pub(super) is_macro: bool,
    /// As its manifest has it.
    pub(super) license: Option<String>,
    pub(super) repository: Option<String>,
}

impl Tree {
    /// # Errors
    /// A line is not as expected, or there is none.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut tree = Self::default();
        let mut known = BTreeMap::new();
        let mut above: Vec<usize> = Vec::new();
        for line in text.lines().filter(|line| !line.is_empty()) {
            let parsed = line_of(line).filter(|(depth, _)| *depth <= above.len());
            let (depth, package) = parsed.ok_or_else(|| format!("`cargo tree` says `{line}`"))?;
            let at = *known.entry(package.clone()).or_insert_with(|| {
                tree.packages.push(package);
                tree.packages.len() - 1
            });
            above.truncate(depth);
            if let Some(&parent) = above.last() {
                tree.edges.insert((parent, at));
            }
            above.push(at);
        }
        if tree.packages.is_empty() {
            return Err("`cargo tree` says nothing".to_owned());
        }
        Ok(tree)
    }
}

fn line_of(line: &str) -> Option<(usize, Package)> {
    let mut fields = line.split('\t');
    let depth = fields.next()?.parse().ok()?;
    let mut words = fields.next()?.splitn(3, ' ');
    let (name, version) = (words.next()?, words.next()?.strip_prefix('v')?);
    let rest = words.next().unwrap_or_default();
    let (is_macro, rest) = match rest.strip_prefix("(proc-macro)") {
        Some(rest) => (true, rest.trim_start()),
        None => (false, rest),
    };
    let mut text = || {
        fields
            .next()
            .map(str::trim)
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
    };
    let package = Package {
        name: name.to_owned(),
        version: version.to_owned(),
        source: rest
            .strip_prefix('(')
            .and_then(|rest| rest.strip_suffix(')'))
            .map(str::to_owned),
        is_macro,
        license: text(),
        repository: text(),
    };
    Some((depth, package))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "0\tapp v0.1.0 (/home/me/app)\tMIT\t\t\n\
        1\tserde v1.0.0\tMIT OR Apache-2.0\thttps://example.org/serde\t\n\
        2\tserde_derive v1.0.0 (proc-macro)\tMIT\t\t\n\
        3\tsyn v2.0.0+a\t\t\t\n\
        1\tfork v0.2.0 (https://example.org/fork?rev=12#12345678)\t\t\t\n\
        2\tserde v1.0.0\tMIT OR Apache-2.0\thttps://example.org/serde\t (*)\n\
        1\town-macro v0.1.0 (proc-macro) (/home/me/own-macro)\t\t\t\n";

    #[test]
    fn lines_become_packages_and_who_needs_them() {
        let tree = Tree::parse(TEXT).expect("a tree");
        let shown: Vec<_> = tree
            .packages
            .iter()
            .map(|p| (p.name.as_str(), p.version.as_str()))
            .collect();
        assert_eq!(
            shown,
            [
                ("app", "0.1.0"),
                ("serde", "1.0.0"),
                ("serde_derive", "1.0.0"),
                ("syn", "2.0.0+a"),
                ("fork", "0.2.0"),
                ("own-macro", "0.1.0")
            ]
        );
        assert_eq!(
            tree.edges,
            BTreeSet::from([(0, 1), (1, 2), (2, 3), (0, 4), (4, 1), (0, 5)])
        );
        let [app, serde, derive, _, fork, own] = tree.packages.as_slice() else {
            panic!("six")
        };
        assert_eq!(app.source.as_deref(), Some("/home/me/app"));
        assert_eq!((&serde.source, serde.is_macro), (&None, false));
        assert_eq!(serde.license.as_deref(), Some("MIT OR Apache-2.0"));
        assert_eq!(serde.repository.as_deref(), Some("https://example.org/serde"));
        assert_eq!((&derive.source, derive.is_macro), (&None, true));
        assert_eq!(fork.source.as_deref(), Some("https://example.org/fork?rev=12#12345678"));
        assert_eq!(
            (own.source.as_deref(), own.is_macro),
            (Some("/home/me/own-macro"), true)
        );
    }

    #[test]
    fn what_is_no_tree_is_refused() {
        for text in [
            "",
            "app v0.1.0\n",
            "0\tapp\t\t\t\n",
            "1\tapp v0.1.0\t\t\t\n",
            "0\ta v1\t\t\t\n2\tb v1\t\t\t\n",
        ] {
            assert!(Tree::parse(text).is_err(), "{text}");
        }
    }
}

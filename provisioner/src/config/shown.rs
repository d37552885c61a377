//! Where each setting comes from: what `provisioner config show` prints.

use serde::Serialize;

use super::keys::KEYS;
use super::layer::{Layer, OWN};
use super::{Problem, Sources};

/// One setting as it counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Shown {
    /// Its key in the file.
    pub key: String,
    /// Its values; none where nobody sets it.
    pub values: Vec<String>,
    /// Who sets it: a flag, a variable, a key of the file, or `default`.
    pub origin: String,
}

impl Sources {
    /// Every setting with the source that counts, in the order of the file; then the placeholders of one's own.
    pub fn shown(&self) -> Vec<Shown> {
        // What is wrong is told where the settings are resolved.
        let mut ignored: Vec<Problem> = Vec::new();
        let path = self.named_file();
        let file = path.as_ref().map(|path| Layer::from_file(path, &mut ignored));
        let file = file.unwrap_or_default();
        let env = Layer::from_env(&self.variables, &mut ignored);
        let layers = [&self.flags, &env, &file];
        let settings = KEYS.iter().map(|key| {
            let setting = layers.iter().find_map(|layer| layer.get(key.path));
            Shown {
                key: key.path.to_owned(),
                values: setting.map(|setting| setting.texts.clone()).unwrap_or_default(),
                origin: setting.map_or_else(|| "default".to_owned(), |setting| setting.origin.replace('`', "")),
            }
        });
        let place = path.map(|path| path.display().to_string()).unwrap_or_default();
        let own = file.own.iter().map(|(name, value)| Shown {
            key: format!("{OWN}.{name}"),
            values: vec![value.clone()],
            origin: format!("{OWN}.{name} in {place}"),
        });
        settings.chain(own).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_setting_is_shown_with_the_source_that_counts() {
        let mut sources = Sources {
            folder: "/nowhere".into(),
            ..Sources::default()
        };
        sources.flags.flag("cluster", vec!["demo".to_owned()]);
        for (name, value) in [("PROVISIONER_CLUSTER", "other"), ("PROVISIONER_WITHOUT", "grafana,app")] {
            sources.variables.insert(name.to_owned(), value.to_owned());
        }
        let shown = sources.shown();
        assert_eq!(shown.len(), KEYS.len());
        let of = |key: &str| shown.iter().find(|one| one.key == key).unwrap();
        assert_eq!(
            (
                of("target.cluster").values[0].as_str(),
                of("target.cluster").origin.as_str()
            ),
            ("demo", "--cluster")
        );
        assert_eq!(of("stack.without").values, ["grafana", "app"]);
        assert_eq!(of("stack.without").origin, "PROVISIONER_WITHOUT");
        assert_eq!(of("reaction").origin, "default");
    }

    #[test]
    fn placeholders_of_ones_own_are_shown_with_their_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = "[values]\nteam = 'shop'\nports = [1, 2]\n[app]\nport = 9000\n";
        std::fs::write(folder.path().join("provisioner.toml"), file).unwrap();
        let sources = Sources {
            folder: folder.path().to_owned(),
            ..Sources::default()
        };
        let shown = sources.shown();
        let own: Vec<(&str, &str)> = shown[KEYS.len()..]
            .iter()
            .map(|one| (one.key.as_str(), one.values[0].as_str()))
            .collect();
        assert_eq!(own, [("values.ports", "[1,2]"), ("values.team", "shop")]);
        let origin = format!("values.team in {}/provisioner.toml", folder.path().display());
        assert_eq!(shown.last().unwrap().origin, origin);
    }
}

//! Where each setting comes from: what `provisioner config show` prints.

use serde::Serialize;

use super::keys::KEYS;
use super::layer::Layer;
use super::{Problem, Sources};

/// One setting as it counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Shown {
    /// Its key in the file.
    pub key: &'static str,
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
        let file = self.named_file().map(|path| Layer::from_file(&path, &mut ignored));
        let file = file.unwrap_or_default();
        let env = Layer::from_env(&self.variables, &mut ignored);
        let layers = [&self.flags, &env, &file];
        let settings = KEYS.iter().map(|key| {
            let setting = layers.iter().find_map(|layer| layer.get(key.path));
            Shown {
                key: key.path,
                values: setting.map(|setting| setting.texts.clone()).unwrap_or_default(),
                origin: setting.map_or_else(|| "default".to_owned(), |setting| setting.origin.replace('`', "")),
            }
        });
        settings.collect()
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
}

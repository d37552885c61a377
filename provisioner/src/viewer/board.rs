//! A dashboard as Grafana's JSON states it, as far as it is drawn here.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// Panels in the order of the file.
#[derive(Debug, Deserialize)]
pub(super) struct Board {
    pub(super) title: String,
    pub(super) panels: Vec<Panel>,
}

/// One panel: what is asked for it, and how it looks.
#[derive(Debug, Deserialize)]
pub(super) struct Panel {
    pub(super) id: u32,
    #[serde(rename = "type")]
    pub(super) kind: Kind,
    pub(super) title: String,
    #[serde(default)]
    pub(super) description: String,
    #[serde(rename = "gridPos")]
    pub(super) grid: Grid,
    #[serde(default)]
    pub(super) targets: Vec<Target>,
    #[serde(rename = "fieldConfig", default)]
    pub(super) fields: Fields,
    #[serde(default)]
    options: Options,
}

/// What a panel is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    /// One large figure.
    Stat,
    /// Lines over time.
    Timeseries,
    /// What only Grafana draws.
    #[serde(other)]
    Other,
}

/// Place on Grafana's grid of 24 columns.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) struct Grid {
    pub(super) x: u32,
    pub(super) y: u32,
    pub(super) w: u32,
    pub(super) h: u32,
}

/// One query.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Target {
    pub(super) ref_id: String,
    pub(super) expr: String,
    #[serde(default)]
    pub(super) legend_format: String,
    #[serde(default)]
    pub(super) instant: bool,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Fields {
    #[serde(default)]
    pub(super) defaults: Field,
    #[serde(default)]
    overrides: Vec<Override>,
}

/// How values look.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Field {
    pub(super) unit: String,
    pub(super) decimals: Option<usize>,
    pub(super) min: Option<f64>,
    pub(super) max: Option<f64>,
    color: Color,
    thresholds: Thresholds,
    mappings: Vec<Mapping>,
    custom: Custom,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Color {
    mode: String,
    fixed_color: String,
}

#[derive(Debug, Default, Deserialize)]
struct Thresholds {
    steps: Vec<Step>,
}

/// From `value` on, none being the lowest, values have this colour.
#[derive(Debug, Deserialize)]
struct Step {
    color: String,
    value: Option<f64>,
}

#[derive(Debug, Deserialize)]
struct Mapping {
    #[serde(rename = "type")]
    kind: String,
    options: Value,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Custom {
    line_interpolation: String,
    fill_opacity: f64,
    line_style: Value,
    thresholds_style: ThresholdsStyle,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ThresholdsStyle {
    mode: String,
}

#[derive(Debug, Deserialize)]
struct Override {
    matcher: Matcher,
    properties: Vec<Property>,
}

#[derive(Debug, Deserialize)]
struct Matcher {
    id: String,
    options: Value,
}

#[derive(Debug, Deserialize)]
struct Property {
    id: String,
    value: Value,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Options {
    graph_mode: String,
}

/// How one line is drawn.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Style {
    /// A colour by name, where it is not one of the palette.
    pub(super) color: Option<String>,
    pub(super) is_dashed: bool,
    /// Opacity of the area below, 0 to 1.
    pub(super) fill: f64,
}

impl Board {
    /// # Errors
    /// It is no dashboard.
    pub(super) fn parse(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }
}

impl Panel {
    /// Whether a value holds until the next one.
    pub(super) fn is_stepped(&self) -> bool {
        self.fields.defaults.custom.line_interpolation == "stepAfter"
    }

    /// Whether a figure has its course below it.
    pub(super) fn has_course(&self) -> bool {
        self.options.graph_mode == "area"
    }

    /// Limits that are drawn as lines: threshold and colour.
    pub(super) fn limits(&self) -> impl Iterator<Item = (f64, &str)> {
        let field = &self.fields.defaults;
        let is_drawn = !matches!(field.custom.thresholds_style.mode.as_str(), "" | "off");
        let steps = field.thresholds.steps.iter().filter(move |_| is_drawn);
        steps.filter_map(|step| Some((step.value?, step.color.as_str())))
    }

    /// The colour of a value of a panel that colours by value.
    pub(super) fn color_of(&self, value: f64) -> &str {
        let field = &self.fields.defaults;
        match field.color.mode.as_str() {
            "fixed" => return &field.color.fixed_color,
            "thresholds" => {}
            _ => return "text",
        }
        let reached = |step: &&Step| step.value.is_none_or(|from| value >= from);
        let last = field.thresholds.steps.iter().rfind(reached);
        last.map_or("text", |step| &step.color)
    }

    /// The word that stands for a value.
    pub(super) fn word_for(&self, value: f64) -> Option<&str> {
        let mappings = self.fields.defaults.mappings.iter();
        let mut by_value = mappings.filter(|mapping| mapping.kind == "value");
        let key = value.to_string();
        by_value.find_map(|mapping| mapping.options.get(&key)?.get("text")?.as_str())
    }

    /// How the lines of a query are drawn.
    pub(super) fn style_of(&self, target: &Target) -> Style {
        let custom = &self.fields.defaults.custom;
        let mut style = Style {
            color: None,
            is_dashed: is_dashed(&custom.line_style),
            fill: custom.fill_opacity / 100.0,
        };
        let overrides = self.fields.overrides.iter();
        for change in overrides.filter(|change| change.matcher.is_of(target)) {
            for Property { id, value } in &change.properties {
                match id.as_str() {
                    "color" => style.color = value["fixedColor"].as_str().map(str::to_owned),
                    "custom.lineStyle" => style.is_dashed = is_dashed(value),
                    "custom.fillOpacity" => style.fill = value.as_f64().unwrap_or_default() / 100.0,
                    _ => {}
                }
            }
        }
        style
    }
}

impl Matcher {
    fn is_of(&self, target: &Target) -> bool {
        self.id == "byFrameRefID" && self.options == target.ref_id.as_str()
    }
}

fn is_dashed(style: &Value) -> bool {
    matches!(style["fill"].as_str(), Some("dash" | "dot"))
}

impl Target {
    /// The name of a line: the legend's text with the labels that it names.
    pub(super) fn name_of(&self, labels: &BTreeMap<String, String>) -> String {
        if self.legend_format.is_empty() || self.legend_format == "__auto" {
            let pairs = labels.iter().map(|(name, value)| format!("{name}={value}"));
            return pairs.collect::<Vec<_>>().join(", ");
        }
        let (mut name, mut rest) = (String::new(), self.legend_format.as_str());
        while let Some((before, after)) = rest.split_once("{{") {
            let (label, after) = after.split_once("}}").unwrap_or((after, ""));
            name.push_str(before);
            name.push_str(labels.get(label.trim()).map_or("", String::as_str));
            rest = after;
        }
        name + rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::values::dashboard;

    fn ours() -> Board {
        Board::parse(dashboard()).unwrap()
    }

    fn titled<'a>(board: &'a Board, title: &str) -> &'a Panel {
        board.panels.iter().find(|panel| panel.title == title).unwrap()
    }

    #[test]
    fn all_that_our_dashboard_states_is_drawn() {
        let drawn = ["color", "custom.lineStyle", "custom.fillOpacity"];
        for panel in &ours().panels {
            assert_ne!(panel.kind, Kind::Other, "{}", panel.title);
            assert!(!panel.targets.is_empty(), "{}", panel.title);
            for change in &panel.fields.overrides {
                assert_eq!(change.matcher.id, "byFrameRefID", "{}", panel.title);
                let ids = change.properties.iter().map(|property| property.id.as_str());
                assert!(ids.into_iter().all(|id| drawn.contains(&id)), "{}", panel.title);
            }
            for mapping in &panel.fields.defaults.mappings {
                assert_eq!(mapping.kind, "value", "{}", panel.title);
            }
        }
    }

    #[test]
    fn overrides_change_the_lines_of_their_query_alone() {
        let board = ours();
        let pods = titled(&board, "Pods");
        let styles: Vec<Style> = pods.targets.iter().map(|target| pods.style_of(target)).collect();
        let plain = Style {
            color: None,
            is_dashed: false,
            fill: 0.1,
        };
        let dashed = |color: &str| Style {
            color: Some(color.to_owned()),
            is_dashed: true,
            fill: 0.0,
        };
        let want = [plain.clone(), plain.clone(), plain, dashed("blue"), dashed("red")];
        assert_eq!(styles, want);
        assert!(pods.is_stepped() && !titled(&board, "Latency").is_stepped());
    }

    #[test]
    fn values_have_the_colour_of_their_threshold_and_their_word() {
        let board = ours();
        let hpa = titled(&board, "HPA");
        for (value, color, word) in [
            (0.0, "red", Some("blind")),
            (1.0, "green", Some("sees")),
            (2.0, "green", None),
        ] {
            assert_eq!((hpa.color_of(value), hpa.word_for(value)), (color, word), "{value}");
        }
        let load = titled(&board, "Load of a pod");
        assert_eq!((load.color_of(0.99), load.color_of(1.0)), ("green", "orange"));
        assert_eq!(titled(&board, "Latency").color_of(1.0), "text");
    }

    #[test]
    fn limits_are_lines_where_the_panel_says_so() {
        let text = r#"{"title": "t", "panels": [{"id": 1, "type": "timeseries", "title": "p", "gridPos": {"x": 0, "y": 0, "w": 1, "h": 1},
            "fieldConfig": {"defaults": {"thresholds": {"steps": [{"color": "green", "value": null}, {"color": "red", "value": 3}]},
            "custom": {"thresholdsStyle": {"mode": "line"}}}}}, {"id": 2, "type": "news", "title": "n", "gridPos": {"x": 0, "y": 0, "w": 1, "h": 1}}]}"#;
        let board = Board::parse(text).unwrap();
        assert_eq!(board.panels[0].limits().collect::<Vec<_>>(), [(3.0, "red")]);
        assert_eq!(board.panels[1].kind, Kind::Other);
        assert_eq!(ours().panels.iter().flat_map(Panel::limits).count(), 0);
    }

    #[test]
    fn lines_are_named_by_the_legend() {
        let target = |legend: &str| Target {
            ref_id: "A".into(),
            expr: String::new(),
            legend_format: legend.into(),
            instant: false,
        };
        let labels = BTreeMap::from([("pod".to_owned(), "web-a".to_owned()), ("n".to_owned(), "x".to_owned())]);
        for (legend, name) in [
            ("total", "total"),
            ("{{pod}}", "web-a"),
            ("{{ n }}/{{pod}} now", "x/web-a now"),
            ("{{none}}", ""),
            ("", "n=x, pod=web-a"),
        ] {
            assert_eq!(target(legend).name_of(&labels), name, "{legend}");
        }
    }
}

//! The series that dashboards and rules may ask for, by exporter.

use crate::cluster::embedded::MONITORING;

/// The series of one exporter, in the order of the list.
pub(in crate::cluster) fn of(exporter: &str) -> Vec<&'static str> {
    all().filter(|(by, _)| *by == exporter).map(|(_, name)| name).collect()
}

/// Exporter and series, line by line.
pub(in crate::cluster) fn all() -> impl Iterator<Item = (&'static str, &'static str)> {
    let list = MONITORING.iter().find(|(name, _)| *name == "series.txt");
    let lines = list.map_or("", |(_, text)| *text).lines();
    lines
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(' '))
}

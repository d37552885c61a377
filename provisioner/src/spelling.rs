//! What a misspelled name most likely meant.

/// The candidate that `given` most likely meant; none where nothing is near.
pub fn nearest<'a>(given: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(given, candidate), candidate))
        .filter(|(distance, candidate)| *distance * 2 <= candidate.len().max(4))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_finds_slips_and_leaves_strangers_alone() {
        let names = ["grafana", "prometheus", "adapter"];
        for (given, expected) in [
            ("grafanna", Some("grafana")),
            ("promethues", Some("prometheus")),
            ("adaptor", Some("adapter")),
            ("zzz", None),
        ] {
            assert_eq!(nearest(given, names), expected, "{given}");
        }
    }
}

//! What a pod answers to a scrape, as far as it is about the app's counter. Pure.

/// The counter as Prometheus is to have it: the app's own labels count before those of the scrape, in the stack's own one, by its
/// `ServiceMonitor`, and in the configuration that is proposed for others.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    /// The app's own name for it.
    pub(super) counter: &'a str,
    /// Where its pods are.
    pub(super) namespace: &'a str,
}

/// What there is of the counter in one pod's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Counted {
    /// A sample that is the pod's.
    Own,
    /// Samples, each with a label of the app's own that names something else.
    Elsewhere {
        /// The label.
        label: &'static str,
        /// What it names.
        value: String,
    },
    /// No sample.
    Missing,
}

impl Wanted<'_> {
    /// Looks for the counter of `pod` in what it answers.
    pub(super) fn of(&self, pod: &str, text: &str) -> Counted {
        let samples = text.lines().filter_map(|line| {
            let rest = line.strip_prefix(self.counter)?;
            rest.starts_with(['{', ' ', '\t']).then_some(rest)
        });
        let mut found = Counted::Missing;
        for labels in samples {
            match self.other(pod, labels) {
                None => return Counted::Own,
                Some(other) if found == Counted::Missing => found = other,
                Some(_) => {}
            }
        }
        found
    }

    /// The label by which a sample is not the pod's.
    fn other(&self, pod: &str, labels: &str) -> Option<Counted> {
        [("namespace", self.namespace), ("pod", pod)]
            .into_iter()
            .find_map(|(label, own)| {
                let value = label_of(labels, label).filter(|value| value != own)?;
                Some(Counted::Elsewhere { label, value })
            })
    }
}

/// The value of a label in what follows a sample's name; an empty one is as good as none.
fn label_of(labels: &str, name: &str) -> Option<String> {
    let mut rest = labels.strip_prefix('{')?;
    loop {
        let (key, after) = rest.split_once('=')?;
        let key = key.trim_matches([' ', ',', '\t']);
        if key.starts_with('}') {
            return None;
        }
        let (value, tail) = quoted(after.trim_start())?;
        if key == name {
            return Some(value).filter(|value| !value.is_empty());
        }
        rest = tail;
    }
}

/// A text in quotes, and what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let body = text.strip_prefix('"')?;
    let (mut value, mut escaped) = (String::new(), false);
    for (at, c) in body.char_indices() {
        match c {
            '"' if !escaped => return Some((value, &body[at + 1..])),
            '\\' if !escaped => {
                escaped = true;
                continue;
            }
            _ => value.push(c),
        }
        escaped = false;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: Wanted<'static> = Wanted {
        counter: "http_requests_total",
        namespace: "web-app",
    };

    #[test]
    fn only_a_sample_of_the_counter_counts() {
        for text in [
            "# TYPE x counter\nhttp_requests_total{pod=\"a\"} 2\n",
            "http_requests_total 2",
            "http_requests_total{} 2",
            "http_requests_total{namespace=\"\",code=\"2\"} 2",
            "http_requests_total{path=\"/x\\\",pod=\\\"b\\\"\", pod=\"a\", namespace=\"web-app\",} 2",
            "http_requests_total{path=\"a=b}\"} 2 # {trace=\"x\"} 1",
            "http_requests_total{pod=\"b\"} 1\nhttp_requests_total{pod=\"a\"} 1",
        ] {
            assert_eq!(WANTED.of("a", text), Counted::Own, "{text}");
        }
        for text in [
            "# HELP http_requests_total requests",
            "http_requests_total_total 1",
            "my_http_requests_total 1",
            "",
        ] {
            assert_eq!(WANTED.of("a", text), Counted::Missing, "{text}");
        }
    }

    #[test]
    fn labels_of_the_apps_own_have_to_be_those_of_the_pod_where_they_count() {
        let elsewhere = |label, value: &str| Counted::Elsewhere {
            label,
            value: value.to_owned(),
        };
        for (text, counted) in [
            (
                "http_requests_total{pod=\"a\",namespace=\"default\"} 2",
                elsewhere("namespace", "default"),
            ),
            ("http_requests_total{code=\"200\",pod=\"b\"} 2", elsewhere("pod", "b")),
        ] {
            assert_eq!(WANTED.of("a", text), counted, "{text}");
        }
    }
}

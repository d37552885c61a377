//! `[app]`: how an app is scraped and scaled.

use super::read::Reader;
use crate::cluster::app::{self, App};

impl Reader<'_> {
    /// Each setting, else what the sample app has.
    pub(super) fn app(&mut self) -> App {
        let default = App::default();
        App {
            port: self
                .read("app.port", app::port, "must be a port from 1024 to 65535")
                .unwrap_or(default.port),
            metrics_path: self
                .read("app.metrics-path", app::metrics_path, "must be a path like `/metrics`")
                .unwrap_or(default.metrics_path),
            counter: self
                .read(
                    "app.counter",
                    app::counter,
                    "must be the name of a Prometheus counter, like `orders_total`",
                )
                .unwrap_or(default.counter),
            target_milli: self
                .read(
                    "app.target-rate",
                    app::target_rate,
                    "must be a number per second above 0 with at most three decimals, like `10` or `2.5`",
                )
                .unwrap_or(default.target_milli),
        }
    }

    fn read<T>(&mut self, path: &str, parse: fn(&str) -> Option<T>, wanted: &str) -> Option<T> {
        let setting = self.find(path)?;
        let value = parse(&setting.texts.concat());
        if value.is_none() {
            self.problem(setting, wanted);
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use crate::cluster::app::App;
    use crate::config::tests::resolve;

    #[test]
    fn an_app_of_its_own_is_read_from_file_and_flags() {
        let file = "[app]\nport = 9000\nmetrics-path = '/internal'\ncounter = 'orders_total'\ntarget-rate = 2.5\n";
        let app = resolve(&[("app-port", "9001")], &[], file).unwrap().app;
        let expected = App {
            port: 9001,
            metrics_path: "/internal".to_owned(),
            counter: "orders_total".to_owned(),
            target_milli: 2500,
        };
        assert_eq!(app, expected);
        assert_eq!(resolve(&[], &[], "").unwrap().app, App::default());
    }

    #[test]
    fn what_an_app_cannot_have_is_told() {
        for (flag, value, said) in [
            ("app-port", "80", "`--app-port`: `80` must be a port"),
            ("metrics-path", "metrics", "must be a path like"),
            ("counter", "orders-total", "must be the name of a Prometheus counter"),
            ("target-rate", "0", "must be a number per second above 0"),
        ] {
            let problems = resolve(&[(flag, value)], &[], "").unwrap_err();
            assert!(problems[0].contains(said), "{problems:?}");
        }
        let problems = resolve(&[], &[], "[app]\nport = '9000'\n").unwrap_err();
        assert!(problems[0].contains("must be a number without quotes"), "{problems:?}");
    }
}

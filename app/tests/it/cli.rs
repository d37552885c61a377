use std::net::TcpListener;

use crate::peer::{OK, Peer};
use crate::support::{app, run, stderr};

#[test]
fn usage_errors_exit_2_and_say_what_to_write() {
    for (args, message) in [
        ("serve --addr web", "invalid socket address"),
        ("serve --drain-delay 3", "write it like `500ms`, `10s` or `1m30s`"),
        ("serve --log-level loud", "--log-level"),
        ("serve --pod a\u{7f}", "cannot use pod name"),
        ("load", "--url <URL>"),
        ("load --url https://web/", "https is not supported"),
        ("load --url web:8080", "not an http:// URL"),
        ("load --url http://web/ --rate 0", "not a rate"),
        ("load --url http://web/ --connections 0", "--connections"),
        (
            "load --url http://web/ --stages 100",
            "`100` is not a stage, write RATE:DURATION",
        ),
        (
            "load --url http://web/ --stages 100:1s --rate 5",
            "cannot be used with '--rate",
        ),
        ("load --url http://web/ --header connection:close", "cannot be set"),
        ("load --url http://web/ --arrivals odd", "even, poisson"),
        ("load --url http://web/ --max-imbalance 0.5", "give 1 or more"),
        (
            "load --url http://web/ --max-failed some",
            "like `0` or a share like `1%`",
        ),
        ("dance", "unrecognized subcommand"),
        ("", "Usage: app"),
    ] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(stderr(&output).contains(message), "{args:?}: {}", stderr(&output));
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn a_bad_environment_is_a_usage_error_that_names_the_flag() {
    let output = app("serve").env("APP_DRAIN_DELAY", "soon").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("'soon' for '--drain-delay"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn a_port_in_use_exits_1_and_names_address_and_cause() {
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = holder.local_addr().unwrap().to_string();
    let output = run(&format!("serve --addr {address}"));
    assert_eq!(output.status.code(), Some(1));
    let expected = format!("error: cannot listen on `{address}`: Address already in use (os error 98)\n");
    assert_eq!(stderr(&output), expected);
}

#[test]
fn version_and_help_go_to_stdout() {
    let output = run("--version");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(output.stdout, format!("app {}\n", env!("CARGO_PKG_VERSION")).as_bytes());
    assert_eq!(run("serve --help").status.code(), Some(0));
}

#[test]
fn help_gives_every_flag_its_variable() {
    for (command, flags) in [("serve", 13), ("load", 19)] {
        let help = String::from_utf8(run(&format!("{command} --help")).stdout).unwrap();
        let documented = help.lines().filter(|line| line.contains("[env: ")).count();
        assert_eq!(documented, flags, "{help}");
        assert_eq!(help.matches("\n      --").count(), flags, "{help}");
    }
}

#[test]
fn help_of_serve_names_the_variables_of_opentelemetry() {
    let help = String::from_utf8(run("serve --help").stdout).unwrap();
    for name in [
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "OTEL_TRACES_EXPORTER",
        "OTEL_TRACES_SAMPLER_ARG",
        "OTEL_PROPAGATORS",
        "OTEL_RESOURCE_ATTRIBUTES",
    ] {
        assert!(help.contains(name), "{name}: {help}");
    }
}

#[test]
fn a_variable_of_opentelemetry_that_cannot_be_followed_is_a_usage_error() {
    let output = app("serve").env("OTEL_TRACES_EXPORTER", "zipkin").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let expected = "error: cannot use `zipkin` for OTEL_TRACES_EXPORTER: `otlp` and `none` are known\n";
    assert_eq!(stderr(&output), expected);
}

#[test]
fn text_is_for_people_and_progress_goes_to_stderr() {
    let peer = Peer::start(|_, _| (Some(OK), false));
    let output = run(&format!(
        "load --output text --rate 10 --duration 6s --url {}",
        peer.url()
    ));
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(text.starts_with("requests  60 in "), "{text}");
    assert!(stderr(&output).starts_with("5 s: "), "{}", stderr(&output));
}

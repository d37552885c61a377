use std::time::Duration;

use aws_config::retry::RetryConfig;
use serde::Deserialize;

use super::*;
use crate::aws::fake::Wire;

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Names {
    names: Vec<String>,
    next_token: String,
}

impl List for Names {
    type Item = String;

    fn into_page(self) -> (Vec<String>, String) {
        (self.names, self.next_token)
    }
}

fn page(names: &str, next: &str) -> String {
    format!("<DescribeNamesResponse><names>{names}</names><nextToken>{next}</nextToken></DescribeNamesResponse>")
}

fn throttled() -> String {
    "<Response><Errors><Error><Code>RequestLimitExceeded</Code><Message>slow</Message></Error></Errors></Response>"
        .to_owned()
}

/// The wire's settings with retries that do not wait for long.
fn client(wire: &Wire, attempts: u32) -> Ec2 {
    let retries = RetryConfig::standard()
        .with_max_attempts(attempts)
        .with_initial_backoff(Duration::from_millis(1));
    Ec2::new(&wire.config().into_builder().retry_config(retries).build())
}

async fn names(client: &Ec2) -> Result<Vec<String>, AwsError> {
    client
        .list::<Names>(
            "ec2:DescribeNames",
            "list the names of",
            "x",
            &[("Filter.1.Name", "tag:a/b")],
        )
        .await
}

#[tokio::test]
async fn a_call_is_a_signed_form() {
    let wire = Wire::default().on("DescribeNames", 200, page("one", ""));
    assert_eq!(names(&client(&wire, 1)).await.expect("listed"), ["one"]);
    assert_eq!(
        wire.body("DescribeNames"),
        "Action=DescribeNames&Version=2016-11-15&Filter.1.Name=tag%3Aa%2Fb"
    );
    let sent = wire.headers("DescribeNames");
    let authorization = sent.get("authorization").expect("signed");
    assert!(
        authorization.contains("/eu-central-1/ec2/aws4_request"),
        "{authorization}"
    );
    assert_eq!(
        sent.get("host").map(String::as_str),
        Some("ec2.eu-central-1.amazonaws.com")
    );
}

#[tokio::test]
async fn every_page_is_read() {
    let wire =
        Wire::default()
            .on("DescribeNames", 200, page("one", "n&amp;2"))
            .on("DescribeNames", 200, page("two", ""));
    assert_eq!(names(&client(&wire, 1)).await.expect("listed"), ["one", "two"]);
    assert_eq!(wire.calls().len(), 2);
    assert!(wire.last_body("DescribeNames").ends_with("&NextToken=n%262"));
}

#[tokio::test]
async fn throttling_and_server_errors_are_retried_and_the_last_one_kept() {
    let wire = Wire::default()
        .on("DescribeNames", 503, throttled())
        .on("DescribeNames", 500, "<html>oops</html>")
        .on("DescribeNames", 200, page("one", ""));
    assert_eq!(names(&client(&wire, 3)).await.expect("at last"), ["one"]);
    let wire = Wire::default().on("DescribeNames", 400, throttled());
    let error = names(&client(&wire, 3)).await.expect_err("never");
    assert_eq!(wire.calls().len(), 3);
    insta::assert_snapshot!(error, @"cannot list the names of `x`: RequestLimitExceeded: slow (request id req-1)");
}

#[tokio::test]
async fn a_refusal_is_not_retried_and_an_answer_without_code_is_its_status() {
    let wire = Wire::default().on("DeleteName", 403, "<html>forbidden</html>");
    let error = client(&wire, 3).call("DeleteName", &[]).await.expect_err("refused");
    assert_eq!(code(&error), "");
    let error = api("ec2:DeleteName", "delete name", "x")(error);
    assert_eq!(error.code(), Some("HTTP 403"));
    assert_eq!(wire.calls().len(), 1);
}

#[tokio::test]
async fn an_answer_of_another_kind_is_an_error_and_not_an_empty_list() {
    for answer in [
        "",
        "<DescribeNamesResponse><names>",
        "<html><body>sign in</body></html>",
        "nothing",
    ] {
        let wire = Wire::default().on("DescribeNames", 200, answer);
        let error = names(&client(&wire, 1)).await.expect_err(answer);
        assert_eq!(error.code(), Some("unreadable answer"), "{answer}: {error}");
    }
}

//! The connection and the errors, over a wire with prepared answers.

use std::time::Duration;

use super::endpoint::refuse_insecure;
use super::fake::{Wire, demo, error, query_error};
use super::{Aws, AwsError, Options, ecr};
use crate::report::Silent;

const STS_ANSWER: &str = "<GetCallerIdentityResponse><GetCallerIdentityResult>\
    <Arn>arn:aws-cn:sts::123456789012:assumed-role/ci/run</Arn><UserId>u</UserId><Account>123456789012</Account>\
    </GetCallerIdentityResult></GetCallerIdentityResponse>";

async fn connect(wire: &Wire) -> Result<Aws, AwsError> {
    Aws::from_config(wire.config(), &Options::default(), 1).await
}

#[tokio::test]
async fn connecting_tells_who_and_where() {
    let wire = Wire::default().on("GetCallerIdentity", 200, STS_ANSWER);
    let aws = connect(&wire).await.expect("connected");
    assert_eq!(aws.region(), "eu-central-1");
    assert_eq!(aws.identity().account, "123456789012");
    assert_eq!(aws.identity().partition, "aws-cn");
    assert_eq!(wire.calls(), ["GetCallerIdentity"]);
    assert!(!format!("{aws:?}").contains("AKIDEXAMPLE"));
}

#[tokio::test]
async fn refused_credentials_are_a_matter_of_configuration() {
    let answer = query_error("ExpiredToken", "The security token is expired.");
    let wire = Wire::default().on("GetCallerIdentity", 403, answer);
    let error = connect(&wire).await.expect_err("refused");
    assert!(error.is_configuration());
    insta::assert_snapshot!(error, @"AWS credentials are not usable: ExpiredToken: The security token is expired (request id req-1)");
    insta::assert_snapshot!(error.hint().unwrap_or_default(), @"sign in again: the session is over; or check this machine's clock");
}

#[tokio::test]
async fn a_refused_call_keeps_operation_object_code_and_request_id() {
    let refusal = error("AccessDeniedException", "User: x is not authorized");
    let absent = error("RepositoryNotFoundException", "no");
    let wire = Wire::default()
        .on("DescribeRepositories", 400, absent)
        .on("CreateRepository", 400, refusal);
    let error = ecr::ensure_repository(&wire.aws(), &demo(), "web-app", &Silent).await;
    let error = error.expect_err("refused");
    insta::assert_snapshot!(error, @"cannot create repository `demo/web-app`: AccessDeniedException: User: x is not authorized (request id req-1)");
    insta::assert_snapshot!(error.hint().unwrap_or_default(), @"the credentials need `ecr:CreateRepository`; docs/iam/bootstrap.json has the whole policy");
    assert_eq!(error.code(), Some("AccessDeniedException"));
    assert!(!error.is_configuration());
}

#[tokio::test]
async fn an_answer_without_a_code_shows_its_status() {
    let wire = Wire::default().on("DescribeRepositories", 403, "<html>proxy</html>");
    let error = ecr::find_repository(&wire.aws(), &demo(), "web-app").await;
    assert_eq!(error.expect_err("refused").code(), Some("HTTP 403"));
}

#[test]
fn plain_http_is_for_this_machine_only() {
    for good in [
        "http://127.0.0.1:5555",
        "http://localhost:1",
        "http://[::1]:1",
        "https://example.com",
    ] {
        assert!(refuse_insecure(good).is_ok(), "{good}");
    }
    for bad in [
        "http://10.0.0.1",
        "http://example.com:80",
        "http://127.0.0.1.example.com",
        "http://aws.localhost",
    ] {
        let error = refuse_insecure(bad).expect_err(bad);
        assert!(error.is_configuration() && error.to_string().contains(bad));
    }
}

#[test]
fn a_request_token_is_stable_within_a_run_only() {
    let aws = Wire::default().aws();
    let later = Aws { run: 2, ..aws.clone() };
    let token = aws.request_token(&["create", "demo"]);
    assert_eq!(token, aws.request_token(&["create", "demo"]));
    assert_ne!(token, aws.request_token(&["createdemo", ""]));
    assert_ne!(token, later.request_token(&["create", "demo"]));
    assert!(token.len() <= 64, "EKS takes 64 characters");
}

#[test]
fn every_configuration_error_has_a_hint() {
    let errors = [
        AwsError::NoRegion,
        AwsError::NoCredentials { reason: String::new() },
        AwsError::InsecureEndpoint {
            url: "http://x".to_owned(),
        },
    ];
    for error in errors {
        assert!(error.is_configuration() && error.hint().is_some(), "{error}");
    }
    let timeout = AwsError::TimedOut {
        what: "cluster `demo`".to_owned(),
        state: "CREATING".to_owned(),
        after: Duration::from_secs(61),
    };
    insta::assert_snapshot!(timeout, @"gave up waiting for cluster `demo` after 61 s, last state: CREATING");
    assert!(!timeout.is_configuration());
}

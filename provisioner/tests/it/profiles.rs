//! Profiles of the shared AWS files: where credentials and endpoints come from besides the environment.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::fake_aws::FakeAws;
use crate::run::Run;

const FILES: &str = "\
[profile work]
aws_access_key_id = AKIDWORK
aws_secret_access_key = secret

[profile admin]
role_arn = arn:aws:iam::123456789012:role/admin
source_profile = work

[profile far]
aws_access_key_id = AKIDWORK
aws_secret_access_key = secret
services = elsewhere

[services elsewhere]
ecr =
  endpoint_url = http://registry.example
";

fn with_profile(profile: &str) -> Run {
    let arguments = format!("token --cluster demo --region eu-west-1 --profile {profile}");
    Run::of(&arguments).file(".aws/config", FILES)
}

/// The URL within the token that a run printed.
#[track_caller]
fn presigned(run: Run) -> String {
    let ended = run.end();
    assert_eq!(ended.code(), 0, "{}", ended.stderr());
    let credential: serde_json::Value = serde_json::from_str(&ended.stdout()).unwrap();
    let token = credential["status"]["token"].as_str().unwrap();
    let url = URL_SAFE_NO_PAD.decode(token.strip_prefix("k8s-aws-v1.").unwrap());
    String::from_utf8(url.unwrap()).unwrap()
}

#[test]
fn a_profile_that_is_asked_for_beats_keys_of_the_environment() {
    let aws = FakeAws::start();
    let url = presigned(with_profile("work").aws(&aws.url));
    assert!(url.contains("X-Amz-Credential=AKIDWORK%2F"), "{url}");
}

#[test]
fn a_profile_may_name_a_role() {
    let aws = FakeAws::start();
    let url = presigned(with_profile("admin").env("AWS_ENDPOINT_URL", &aws.url));
    assert!(url.contains("X-Amz-Credential=ASIAROLE%2F"), "{url}");
    assert_eq!(aws.asked()[0], "AssumeRole");
}

#[test]
fn a_profile_that_does_not_exist_is_named() {
    let stderr = with_profile("wrok").unreachable_aws().end().refused(2);
    assert!(stderr.contains("`wrok`"), "{stderr}");
    assert!(stderr.contains("hint:"), "{stderr}");
}

#[test]
fn a_misspelled_profile_is_no_missing_region() {
    let files = |run: Run| run.file(".aws/config", FILES).unreachable_aws();
    let stderr = files(Run::of("token --cluster demo --profile wrok")).end().refused(2);
    insta::assert_snapshot!(stderr, @"
    error: there is no AWS profile `wrok`

    hint: did you mean `work`? profiles of the AWS configuration: `admin`, `far`, `work`
    ");
    let run = files(Run::of("token --cluster demo")).env("AWS_PROFILE", "amdin");
    let stderr = run.end().refused(2);
    assert!(
        stderr.contains("no AWS profile `amdin`") && stderr.contains("`admin`?"),
        "{stderr}"
    );
    let stderr = Run::of("token --cluster demo --profile work").end().refused(2);
    assert!(stderr.contains("the AWS configuration has no profiles"), "{stderr}");
}

#[test]
fn a_misspelled_region_is_told_before_aws_is_asked() {
    for (region, hint) in [
        ("eu-wset-1", "did you mean `eu-west-1`?"),
        ("frankfurt", "like `eu-west-1`"),
    ] {
        let run = Run::of(&format!("token --cluster demo --region {region}")).unreachable_aws();
        let stderr = run.end().refused(2);
        assert!(
            stderr.contains(&format!("`--region`: `{region}` is no AWS region, {hint}")),
            "{stderr}"
        );
    }
}

#[test]
fn a_plain_http_endpoint_of_the_profile_is_refused_as_one_of_the_environment_is() {
    let stderr = with_profile("far").end().refused(2);
    assert!(
        stderr.contains("endpoint `http://registry.example` is refused"),
        "{stderr}"
    );
    let run = with_profile("work").env("AWS_ENDPOINT_URL_ECR", "http://10.0.0.1");
    let stderr = run.end().refused(2);
    assert!(stderr.contains("`http://10.0.0.1` is refused"), "{stderr}");
}

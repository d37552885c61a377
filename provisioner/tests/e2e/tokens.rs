//! EKS tokens against the real authenticator behind the real API server.

use serde_json::Value;

use crate::support::Sandbox;

/// The sandbox's user without an access entry.
const NOBODY: &str = "AKIASANDBOX000NOBODY";

/// Needs cluster `demo`, made by the identity of the environment.
#[track_caller]
pub(crate) fn only_a_fresh_token_of_a_mapped_identity_is_accepted(sandbox: &Sandbox) {
    for (what, token, expected) in [
        ("its creator's", token(sandbox, "demo", &[]), "200"),
        ("one for another cluster", token(sandbox, "other", &[]), "401"),
        (
            "one of an unmapped identity",
            token(sandbox, "demo", &[("AWS_ACCESS_KEY_ID", NOBODY)]),
            "401",
        ),
        ("one older than 15 minutes", signed_before(sandbox, 16), "401"),
        ("one 10 minutes old", signed_before(sandbox, 10), "200"),
        ("garbage", "k8s-aws-v1.Z2FyYmFnZQ".to_owned(), "401"),
    ] {
        assert_eq!(sandbox.answer_to("demo", &token), expected, "{what}");
    }
}

/// What `provisioner token` hands to kubectl.
fn token(sandbox: &Sandbox, cluster: &str, env: &[(&str, &str)]) -> String {
    let credential = sandbox.run_with(&["token", "--cluster", cluster], env);
    let credential: Value = serde_json::from_str(&credential).expect("an ExecCredential");
    assert_eq!(credential["kind"], "ExecCredential");
    credential["status"]["token"].as_str().expect("a token").to_owned()
}

/// The same token as AWS's own library signs it, some minutes ago.
fn signed_before(sandbox: &Sandbox, minutes: u32) -> String {
    let program = format!(
        r#"
import base64, datetime, botocore.auth, botocore.awsrequest, botocore.session
then = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes={minutes})
botocore.auth.get_current_datetime = lambda remove_tzinfo=True: then.replace(tzinfo=None) if remove_tzinfo else then
request = botocore.awsrequest.AWSRequest(
    "GET",
    "https://sts.us-east-1.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15",
    headers={{"x-k8s-aws-id": "demo"}},
)
keys = botocore.session.get_session().get_credentials()
botocore.auth.SigV4QueryAuth(keys, "sts", "us-east-1", expires=60).add_auth(request)
print("k8s-aws-v1." + base64.urlsafe_b64encode(request.url.encode()).decode().rstrip("="))
"#
    );
    sandbox.python(&program).trim().to_owned()
}

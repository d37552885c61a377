//! `token`: the credential that kubectl and every client-go program ask an exec plugin for.

use super::Context;
use crate::aws::token::{Token, presign};
use crate::error::Error;
use crate::report::Answer;

/// A token for the cluster, as an `ExecCredential` of `client.authentication.k8s.io/v1`.
pub(super) async fn run(context: &Context) -> Result<Answer, Error> {
    context.target()?;
    let Some(cluster) = &context.config.target.cluster else {
        return Err(Error::usage(
            "`token` is for EKS clusters: a kube-context has credentials of its own",
        ));
    };
    let aws = context.connect_aws().await?;
    let token = presign(&aws, cluster).await?;
    Ok(Answer::verbatim(exec_credential(&token)))
}

fn exec_credential(token: &Token) -> String {
    serde_json::json!({
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "spec": {"interactive": false},
        "status": {"expirationTimestamp": token.expires_at.to_string(), "token": token.token},
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_credential_has_the_form_that_exec_plugins_prescribe() {
        let token = Token {
            token: "k8s-aws-v1.abc".into(),
            expires_at: jiff::Timestamp::from_second(1_800_000_000).unwrap(),
        };
        insta::assert_snapshot!(exec_credential(&token), @r#"{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","spec":{"interactive":false},"status":{"expirationTimestamp":"2027-01-15T08:00:00Z","token":"k8s-aws-v1.abc"}}"#);
    }
}

//! Everything that the tool asks of AWS, as one job: a foundation that fails, one that comes to be, what differs set
//! right, an update that is refused, all of it removed. Nothing of it is on the cluster: that asks Kubernetes alone.

use std::collections::BTreeSet;

use serde_json::json;

use crate::control::Call;
use crate::leftovers::leave_things_behind;
use crate::story::{BARE, TEARDOWN};
use crate::support::Sandbox;

/// How an act ends.
#[derive(Debug, Clone, Copy)]
enum Ending {
    Success,
    /// With this exit code and these words.
    Refusal(i32, &'static str),
}

/// One run of the tool, and what happens to the account before it.
pub(crate) struct Act {
    prepare: fn(&Sandbox),
    args: Vec<&'static str>,
    ending: Ending,
}

/// Node group and administrator, so that their calls are made too.
const NODES: [&str; 4] = [
    "--compute",
    "nodegroup",
    "--admin-arn",
    "arn:aws:iam::123456789012:user/nobody",
];

/// The whole job. Each act starts from what the one before left.
pub(crate) fn acts() -> Vec<Act> {
    let bootstrap = |more: &[&'static str]| [BARE.as_slice(), &NODES, more].concat();
    let act = |prepare: fn(&Sandbox), args, ending| Act { prepare, args, ending };
    vec![
        act(a_role_cannot_be_made, bootstrap(&[]), Ending::Refusal(1, "ClusterRole")),
        act(only_the_add_on_fails, bootstrap(&[]), Ending::Success),
        act(
            things_drift,
            bootstrap(&["--control-plane-logs", "audit"]),
            Ending::Success,
        ),
        act(
            somebody_adds_to_the_foundation,
            bootstrap(&[]),
            Ending::Refusal(2, "remove `Extra`"),
        ),
        act(things_are_left_behind, TEARDOWN.to_vec(), Ending::Success),
    ]
}

/// An empty account where nothing takes time, and a deleted cluster leaves what EKS leaves.
pub(crate) fn account(sandbox: &Sandbox) {
    sandbox.reset();
    let mut config = crate::crash::at_once();
    config["eks_leak_security_group"] = json!(true);
    config["eks_leak_network_interfaces"] = json!(true);
    sandbox.configure(&config);
}

fn a_role_cannot_be_made(sandbox: &Sandbox) {
    sandbox.configure(&json!({"cfn_create_fail": "^ClusterRole$"}));
}

fn only_the_add_on_fails(sandbox: &Sandbox) {
    sandbox.configure(&json!({"cfn_create_fail": "", "addon_create_fail": "metrics-server"}));
}

/// An older template, settings of a repository and rights of an administrator changed by hand.
fn things_drift(sandbox: &Sandbox) {
    sandbox.configure(&json!({"addon_create_fail": ""}));
    change_foundation(sandbox, "template['Description'] = 'older'");
    sandbox.aws(
        "ecr",
        "put_image_tag_mutability(repositoryName='demo/web-app', imageTagMutability='MUTABLE')",
    );
    sandbox.aws("ecr", "delete_lifecycle_policy(repositoryName='demo/web-app')");
    let entry = "clusterName='demo', principalArn='arn:aws:iam::123456789012:user/nobody'";
    let policy = "policyArn='arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy'";
    sandbox.aws("eks", &format!("disassociate_access_policy({entry}, {policy})"));
}

/// What our template does not have, so that applying it would remove it.
fn somebody_adds_to_the_foundation(sandbox: &Sandbox) {
    change_foundation(
        sandbox,
        "template['Resources']['Extra'] = {'Type': 'AWS::EC2::InternetGateway'}",
    );
}

fn things_are_left_behind(sandbox: &Sandbox) {
    leave_things_behind(sandbox);
}

/// Updates the stack as somebody with another template would.
fn change_foundation(sandbox: &Sandbox, change: &str) {
    sandbox.python(&format!(
        "import boto3, json\n\
         cfn = boto3.client('cloudformation')\n\
         name = 'provisioner-demo'\n\
         template = cfn.get_template(StackName=name)['TemplateBody']\n\
         template = json.loads(template) if isinstance(template, str) else template\n\
         stack = cfn.describe_stacks(StackName=name)['Stacks'][0]\n\
         {change}\n\
         tags = [t for t in stack['Tags'] if t['Key'] != 'provisioner:template']\n\
         tags.append({{'Key': 'provisioner:template', 'Value': '0123456789abcdef'}})\n\
         same = [{{'ParameterKey': p['ParameterKey'], 'UsePreviousValue': True}} for p in stack['Parameters']]\n\
         cfn.update_stack(StackName=name, TemplateBody=json.dumps(template), Parameters=same, Tags=tags, \
             Capabilities=['CAPABILITY_IAM'])\n\
         cfn.get_waiter('stack_update_complete').wait(StackName=name, WaiterConfig={{'Delay': 1}})\n"
    ));
}

impl Act {
    /// Prepares the account, and forgets what that asked.
    pub(crate) fn prepare(&self, sandbox: &Sandbox) {
        (self.prepare)(sandbox);
        sandbox.forget_requests();
    }

    /// Plays it; what was said where it did not end as it should.
    pub(crate) fn play(&self, sandbox: &Sandbox, env: &[(&str, &str)]) -> Result<(), String> {
        let output = sandbox.tool(&self.args, env);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let ended = match self.ending {
            Ending::Success => output.status.success(),
            Ending::Refusal(code, words) => output.status.code() == Some(code) && said.contains(words),
        };
        if ended {
            Ok(())
        } else {
            Err(format!("{}: {said}", output.status))
        }
    }
}

/// The whole job up to the first act that does not end as it should; the AWS actions that it called.
pub(crate) fn play(sandbox: &Sandbox, env: &[(&str, &str)]) -> Result<BTreeSet<String>, String> {
    let mut called = BTreeSet::new();
    for act in acts() {
        act.prepare(sandbox);
        act.play(sandbox, env)?;
        called.extend(sandbox.calls().iter().map(Call::action));
    }
    Ok(called)
}

use serde_json::{Value, json};

use super::super::TEMPLATE;

fn template() -> Value {
    serde_json::from_str(TEMPLATE).expect("JSON")
}

/// Policies of a role: with Auto Mode, and with a node group.
fn policies(role: &str) -> [Vec<String>; 2] {
    let template = template();
    let arns = &template["Resources"][role]["Properties"]["ManagedPolicyArns"]["Fn::If"];
    assert_eq!(arns[0], "AutoMode");
    let name = |arn: &Value| {
        let arn = arn["Fn::Sub"].as_str()?;
        arn.rsplit('/').next().map(str::to_owned)
    };
    [1, 2].map(|way| {
        let arns = arns[way].as_array().expect("policies");
        arns.iter().filter_map(name).collect()
    })
}

#[test]
fn the_roles_have_the_policies_that_each_kind_of_compute_needs() {
    let [auto, group] = policies("ClusterRole");
    assert_eq!(
        auto,
        [
            "AmazonEKSClusterPolicy",
            "AmazonEKSComputePolicy",
            "AmazonEKSBlockStoragePolicy",
            "AmazonEKSLoadBalancingPolicy",
            "AmazonEKSNetworkingPolicy"
        ]
    );
    assert_eq!(group, ["AmazonEKSClusterPolicy"]);
    let [auto, group] = policies("NodeRole");
    let pull = "AmazonEC2ContainerRegistryPullOnly";
    assert_eq!(auto, ["AmazonEKSWorkerNodeMinimalPolicy", pull]);
    assert_eq!(group, ["AmazonEKSWorkerNodePolicy", "AmazonEKS_CNI_Policy", pull]);
    let template = template();
    let trust =
        |role: &str| template["Resources"][role]["Properties"]["AssumeRolePolicyDocument"]["Statement"][0].clone();
    assert_eq!(
        trust("ClusterRole")["Action"],
        json!(["sts:AssumeRole", "sts:TagSession"])
    );
    assert_eq!(trust("NodeRole")["Principal"]["Service"], "ec2.amazonaws.com");
}

#[test]
fn every_resource_has_a_condition_and_every_parameter_a_default() {
    let template = template();
    let resources = template["Resources"].as_object().expect("resources");
    assert!(
        resources.values().all(|r| r["Condition"].is_string()),
        "all can be brought along"
    );
    let parameters = template["Parameters"].as_object().expect("parameters");
    assert!(
        parameters.values().all(|p| p["Default"].is_string()),
        "an update gives none"
    );
    let outputs: Vec<_> = template["Outputs"].as_object().expect("outputs").keys().collect();
    assert_eq!(outputs, ["VpcId", "SubnetIds", "ClusterRoleArn", "NodeRoleArn"]);
    assert!(TEMPLATE.len() < 51_200, "CreateStack takes no longer one");
}

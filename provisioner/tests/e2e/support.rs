//! What the flows need of the sandbox: its AWS endpoint, its cluster, the tool's binary.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// The sandbox that the environment names (`env=$(sandbox env) && eval "$env"`).
pub(crate) struct Sandbox {
    pub(crate) endpoint: String,
    kubeconfig: PathBuf,
    bin: PathBuf,
}

impl Sandbox {
    pub(crate) fn from_env() -> Self {
        let variable = |name: &str| {
            std::env::var(name)
                .unwrap_or_else(|_| panic!("{name} is not set: run `make e2e`, or env=$(sandbox env) && eval \"$env\""))
        };
        let kubeconfig = PathBuf::from(variable("KUBECONFIG"));
        let bin = kubeconfig.parent().expect("a folder").join("bin");
        Self {
            endpoint: variable("AWS_ENDPOINT_URL"),
            kubeconfig,
            bin,
        }
    }

    /// An empty account and an empty cluster.
    pub(crate) fn reset(&self) {
        self.control("POST", "reset");
        self.itself(&["wipe"]);
    }

    /// Kills a program of the control plane, and starts it again after a while.
    pub(crate) fn restart(&self, name: &str, down: Duration) {
        self.itself(&["restart", name, "--down", &down.as_secs().to_string()]);
    }

    /// Runs the sandbox's own program.
    fn itself(&self, args: &[&str]) {
        let state = self.kubeconfig.parent().expect("a folder");
        let sandbox = PathBuf::from(env!("CARGO_BIN_EXE_provisioner")).with_file_name("sandbox");
        done(Command::new(sandbox).args(args).env("SANDBOX_DIR", state));
    }

    /// Runs the tool to whatever end.
    pub(crate) fn tool(&self, args: &[&str], env: &[(&str, &str)]) -> Output {
        self.command(args, env).output().expect("the tool starts")
    }

    /// The tool as the flows run it.
    pub(crate) fn command(&self, args: &[&str], env: &[(&str, &str)]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_provisioner"));
        command
            .args(args)
            .env("PROVISIONER_POLL_INTERVAL", "1s")
            .env("AWS_ENDPOINT_URL", &self.endpoint)
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        command.env_remove("KUBECONFIG").stdin(Stdio::null());
        for (name, value) in env {
            if value.is_empty() {
                command.env_remove(name);
            } else {
                command.env(name, value);
            }
        }
        command
    }

    /// Starts the tool; what it says is kept.
    pub(crate) fn started(&self, args: &[&str]) -> Child {
        let mut command = self.command(args, &[]);
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        command.spawn().expect("the tool starts")
    }

    /// Waits until something is so.
    #[track_caller]
    pub(crate) fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        let give_up = Instant::now() + Duration::from_mins(2);
        while !is_so() {
            assert!(
                Instant::now() < give_up,
                "not in two minutes: {what}: {}",
                self.inventory()
            );
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Runs the tool, interrupts it as soon as `when` is true, and gives what it said.
    #[track_caller]
    pub(crate) fn interrupted(&self, args: &[&str], when: impl Fn() -> bool) -> String {
        let child = self.started(args);
        self.until(&format!("provisioner {args:?} comes to the point"), when);
        done(Command::new("kill").args(["-INT", &child.id().to_string()]));
        let output = child.wait_with_output().expect("it ends");
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(130), "provisioner {args:?}: {errors}");
        errors
    }

    /// Runs the tool; its standard output, or what it said where it failed.
    pub(crate) fn try_with(&self, args: &[&str], env: &[(&str, &str)]) -> Result<String, String> {
        let output = self.tool(args, env);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() {
            Ok(text(&output.stdout))
        } else {
            Err(format!(
                "{:?}: {}{}",
                output.status,
                text(&output.stderr),
                text(&output.stdout)
            ))
        }
    }

    /// Starts the tool twice and waits for both.
    pub(crate) fn twice_at_once(&self, args: &[&str], env: &[(&str, &str)]) -> [Output; 2] {
        let start = || {
            let mut command = self.command(args, env);
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
            command.spawn().expect("the tool starts")
        };
        [start(), start()].map(|child| child.wait_with_output().expect("the tool ends"))
    }

    /// The administrator's kubeconfig, whose context is `sandbox`.
    pub(crate) fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Runs the tool to success and gives its standard output.
    #[track_caller]
    pub(crate) fn run(&self, args: &[&str]) -> String {
        self.run_with(args, &[])
    }

    /// The same in another environment; an empty value removes a variable.
    #[track_caller]
    pub(crate) fn run_with(&self, args: &[&str], env: &[(&str, &str)]) -> String {
        let output = self.try_with(args, env);
        output.unwrap_or_else(|said| panic!("provisioner {args:?}: {said}"))
    }

    /// The same with a JSON result.
    #[track_caller]
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        self.json_with(args, &[])
    }

    /// The same in another environment; an empty value removes a variable.
    #[track_caller]
    pub(crate) fn json_with(&self, args: &[&str], env: &[(&str, &str)]) -> Value {
        let mut all = args.to_vec();
        all.extend(["--output", "json"]);
        let stdout = self.run_with(&all, env);
        let value: Value = serde_json::from_str(&stdout).unwrap_or_else(|e| panic!("{e}: {stdout}"));
        assert_eq!(value["schema"], 1, "{value}");
        value
    }

    /// Runs the tool to exit code 1 with a JSON result.
    #[track_caller]
    pub(crate) fn failed_json(&self, args: &[&str]) -> Value {
        let mut all = args.to_vec();
        all.extend(["--output", "json"]);
        let output = self.tool(&all, &[]);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "provisioner {args:?}: {errors}");
        serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {errors}"))
    }

    /// Runs the tool to a refusal, and gives all that it said.
    #[track_caller]
    pub(crate) fn refused(&self, args: &[&str], code: i32, says: &str) -> String {
        self.refused_with(args, &[], code, says)
    }

    /// The same in another environment; an empty value removes a variable.
    #[track_caller]
    pub(crate) fn refused_with(&self, args: &[&str], env: &[(&str, &str)], code: i32, says: &str) -> String {
        let output = self.tool(args, env);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "provisioner {args:?}: {errors}");
        assert!(
            errors.contains(says),
            "provisioner {args:?} does not say `{says}`: {errors}"
        );
        errors
    }

    /// Runs kubectl as the cluster's administrator.
    #[track_caller]
    pub(crate) fn kubectl(&self, args: &[&str]) -> String {
        done(
            Command::new(self.bin.join("kubectl"))
                .arg("--kubeconfig")
                .arg(&self.kubeconfig)
                .args(args),
        )
    }

    /// Runs a line as it stands in the shell of the cluster's administrator.
    #[track_caller]
    pub(crate) fn shell(&self, line: &str) -> String {
        let path = std::env::var("PATH").unwrap_or_default();
        let path = format!("{}:{path}", self.bin.display());
        let mut shell = Command::new("sh");
        done(
            shell
                .args(["-c", line])
                .env("PATH", path)
                .env("KUBECONFIG", &self.kubeconfig),
        )
    }

    /// Applies an object, or a list of some, as the cluster's administrator.
    #[track_caller]
    pub(crate) fn apply(&self, objects: &Value) {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), objects.to_string()).expect("written");
        self.kubectl(&["apply", "-f", file.path().to_str().expect("text")]);
    }

    /// Tries to apply an object that the server refuses; what it says.
    #[track_caller]
    pub(crate) fn not_applied(&self, object: &Value) -> String {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), object.to_string()).expect("written");
        let mut kubectl = Command::new(self.bin.join("kubectl"));
        kubectl.arg("--kubeconfig").arg(&self.kubeconfig);
        let output = kubectl
            .args(["apply", "-f"])
            .arg(file.path())
            .output()
            .expect("kubectl starts");
        assert!(!output.status.success(), "it was applied: {object}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// The HTTP status that cluster `name` answers a bearer token with, asked for its namespaces.
    #[track_caller]
    pub(crate) fn answer_to(&self, name: &str, token: &str) -> String {
        let found = self.aws("eks", &format!("describe_cluster(name='{name}')"));
        let url = found["cluster"]["endpoint"].as_str().expect("an endpoint").to_owned() + "/api/v1/namespaces";
        let header = format!("Authorization: Bearer {token}");
        let ca = self.kubeconfig.with_file_name("pki").join("ca.crt");
        let code = ["-sS", "--max-time", "30", "-o", "/dev/null", "-w", "%{http_code}"];
        done(
            Command::new("curl")
                .args(code)
                .arg("--cacert")
                .arg(ca)
                .args(["-H", &header, &url]),
        )
    }

    /// Runs a Python program with the AWS libraries of the sandbox.
    #[track_caller]
    pub(crate) fn python(&self, program: &str) -> String {
        done(
            Command::new(self.bin.join("venv/bin/python"))
                .args(["-c", program])
                .env("AWS_DEFAULT_REGION", "us-east-1"),
        )
    }

    /// Calls AWS as somebody else's tool would: a boto3 client's method, answer as JSON.
    #[track_caller]
    pub(crate) fn aws(&self, service: &str, call: &str) -> Value {
        let program = format!("import boto3, json; print(json.dumps(boto3.client('{service}').{call}, default=str))");
        serde_json::from_str(&self.python(&program)).expect("JSON")
    }

    /// Asks AWS with its own command line, of which `make venv` installs one; the answer's JSON.
    #[track_caller]
    pub(crate) fn aws_cli(&self, args: &[&str]) -> Value {
        let program = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/aws-venv/bin/aws");
        let mut command = Command::new(program);
        command.args(args).args(["--output", "json", "--region", "us-east-1"]);
        serde_json::from_str(&done(command.env("AWS_ENDPOINT_URL", &self.endpoint))).expect("JSON")
    }

    /// A role that an AWS service takes; its ARN.
    fn make_role(&self, name: &str, service: &str, policies: &[&str]) -> String {
        let trust = format!(
            "'{{\"Version\":\"2012-10-17\",\"Statement\":[{{\"Effect\":\"Allow\",\"Principal\":{{\"Service\":\"{service}.amazonaws.com\"}},\
             \"Action\":\"sts:AssumeRole\"}}]}}'"
        );
        let role = self.aws(
            "iam",
            &format!("create_role(RoleName='{name}', AssumeRolePolicyDocument={trust})"),
        );
        for policy in policies {
            let arn = format!("arn:aws:iam::aws:policy/{policy}");
            self.aws(
                "iam",
                &format!("attach_role_policy(RoleName='{name}', PolicyArn='{arn}')"),
            );
        }
        role["Role"]["Arn"].as_str().expect("an ARN").to_owned()
    }

    /// A cluster with roles, subnets and a node group of its own, as a colleague would have made it.
    pub(crate) fn make_cluster_by_hand(&self, name: &str) {
        let arn = self.make_role("hand-made", "eks", &["AmazonEKSClusterPolicy"]);
        let policies = [
            "AmazonEKSWorkerNodePolicy",
            "AmazonEKS_CNI_Policy",
            "AmazonEC2ContainerRegistryPullOnly",
        ];
        let node = self.make_role("hand-made-node", "ec2", &policies);
        let subnets = self.aws("ec2", "describe_subnets()");
        let ids: Vec<&str> = subnets["Subnets"]
            .as_array()
            .expect("subnets")
            .iter()
            .filter_map(|s| s["SubnetId"].as_str())
            .take(2)
            .collect();
        self.aws("eks", &format!("create_cluster(name='{name}', roleArn='{arn}', resourcesVpcConfig={{'subnetIds': {ids:?}}}, accessConfig={{'authenticationMode': 'API'}})"));
        self.aws(
            "eks",
            &format!("get_waiter('cluster_active').wait(name='{name}', WaiterConfig={{'Delay': 1}})"),
        );
        self.aws(
            "eks",
            &format!("create_nodegroup(clusterName='{name}', nodegroupName='ng', nodeRole='{node}', subnets={ids:?})"),
        );
        self.aws(
            "eks",
            &format!("get_waiter('nodegroup_active').wait(clusterName='{name}', nodegroupName='ng', WaiterConfig={{'Delay': 1}})"),
        );
    }

    /// Every object of the stack, as text; empty when none is left. A namespace that holds something foreign stays.
    pub(crate) fn labelled(&self) -> String {
        let kinds = "all,configmaps,secrets,serviceaccounts,roles,rolebindings,hpa,pdb,networkpolicies,clusterroles,clusterrolebindings,apiservices";
        self.kubectl(&[
            "get",
            kinds,
            "-A",
            "-l",
            "app.kubernetes.io/part-of=demo",
            "--ignore-not-found",
            "-o",
            "name",
        ])
    }

    /// Name and resourceVersion of what the stack applied (controllers write the status of workloads and of their budgets: generations there).
    pub(crate) fn resource_versions(&self) -> String {
        let kinds = "configmaps,secrets,serviceaccounts,services,roles,rolebindings,clusterroles,clusterrolebindings,networkpolicies";
        let form = "jsonpath={range .items[*]}{.kind}/{.metadata.name} {.metadata.resourceVersion}{\"\\n\"}{end}";
        let still = self.kubectl(&["get", kinds, "-A", "-l", "app.kubernetes.io/part-of=demo", "-o", form]);
        let form = "jsonpath={range .items[*]}{.kind}/{.metadata.name} {.metadata.generation}{\"\\n\"}{end}";
        still
            + &self.kubectl(&[
                "get",
                "deployments,pdb",
                "-A",
                "-l",
                "app.kubernetes.io/part-of=demo",
                "-o",
                form,
            ])
    }
}

/// Runs a program to success and gives its standard output.
#[track_caller]
pub(crate) fn done(command: &mut Command) -> String {
    let output = command.output().expect("the program starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

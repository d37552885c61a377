//! `--mirror`: images of others copied into the stack's registry, and taken from there.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::fake_aws::FakeAws;
use crate::registry::{bytes, count, lines, push_to};
use crate::run::{Ended, Run};
use crate::support::image::{image, image_for_two};
use crate::support::kubernetes::Kubernetes;
use crate::support::registry::{Auth, Fault, PASSWORD, Registry};

const CART: &str = "/apis/apps/v1/namespaces/web-app/deployments/cart";
const RECORD: &str = "/api/v1/namespaces/web-app/secrets/provisioner-demo";
/// The shipped components whose images are on hosts that are not here.
const WITHOUT: &str = "--without prometheus,kube-state-metrics,adapter,grafana";
/// Where the source has the image.
const PLACE: &str = "shop/cart";
const FIRST: &str = "amd64, as it was";

/// A cluster, the stack's registry, and one of others, which wants a sign-in; a component that names an image there.
struct World {
    kubernetes: Kubernetes,
    own: Registry,
    others: Registry,
    manifests: tempfile::TempDir,
    /// The app's image in the stack's registry.
    app: String,
}

impl World {
    async fn new() -> Self {
        let world = Self {
            kubernetes: Kubernetes::start().await,
            own: Registry::start(Auth::Anonymous).await,
            others: Registry::start(Auth::Basic).await,
            manifests: tempfile::tempdir().unwrap(),
            app: "team/shop:1".to_owned(),
        };
        world.kubernetes.makes_ready();
        let app = image("the app").await;
        push_to(&world.own.repository("team/shop"), &app, Some("1"))
            .await
            .expect("pushed");
        let cart = image_for_two(FIRST, "arm64");
        push_to(&world.others.repository(PLACE), &cart, Some("latest"))
            .await
            .expect("pushed");
        world.names(&[("cart", &world.cart())]);
        world.forget();
        world
    }

    /// The image as manifests name it.
    fn cart(&self) -> String {
        format!("{}/{PLACE}:latest", self.others.address())
    }

    /// A component with a Deployment for each of these images.
    fn names(&self, images: &[(&str, &str)]) {
        write_component(self.manifests.path(), images);
    }

    fn forget(&self) {
        self.own.take_requests();
        self.others.take_requests();
        self.kubernetes.take_log();
    }

    async fn run(&self, command: &str) -> Ended {
        let (own, folder) = (self.own.address(), self.manifests.path().display());
        let auth = STANDARD.encode(format!("AWS:{PASSWORD}"));
        let docker = json!({"auths": {self.others.address(): {"auth": auth}}});
        let run = Run::of(&format!(
            "{command} --kube-context test --name demo --registry {own}/team --yes {WITHOUT} --image {own}/{} --manifests {folder}",
            self.app
        ));
        let run = run.file(".kube/config", &self.kubernetes.kubeconfig());
        let run = run.file(".docker/config.json", &docker.to_string());
        tokio::task::spawn_blocking(|| run.end()).await.unwrap()
    }

    /// Runs `command` to this exit code; its result.
    async fn json(&self, command: &str, code: i32) -> Value {
        let ended = self.run(&format!("{command} --output json")).await;
        assert_eq!(ended.code(), code, "{}{}", ended.stdout(), ended.stderr());
        serde_json::from_str(&ended.stdout()).unwrap()
    }

    /// The image that the Deployment runs.
    fn runs(&self) -> String {
        let image = self.kubernetes.get(CART)["spec"]["template"]["spec"]["containers"][0]["image"].clone();
        image.as_str().unwrap_or_default().to_owned()
    }
}

fn write_component(manifests: &Path, images: &[(&str, &str)]) {
    let deployment = |(name, image): &(&str, &str)| {
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": "web-app"},
            "spec": {"selector": {"matchLabels": {"app": name}}, "template": {"metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "it", "image": image}]}}}})
        .to_string()
    };
    let folder = manifests.join("60-mine");
    std::fs::create_dir_all(&folder).unwrap();
    let documents: Vec<String> = images.iter().map(deployment).collect();
    std::fs::write(folder.join("all.yaml"), documents.join("\n---\n")).unwrap();
}

/// What changes neither of an image nor of an object.
fn nothing(changes: &Value) -> bool {
    ["created", "updated", "recreated", "deleted"]
        .iter()
        .all(|word| changes[*word] == 0)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_of_others_is_copied_once_and_taken_from_the_stacks_registry() {
    let world = World::new().await;
    let cart = world.cart();
    let plan = world.json("plan --mirror", 3).await;
    let copy = &plan["mirror"][0];
    assert_eq!(
        (&copy["action"], &copy["source"]),
        (&json!("mirror"), &json!(cart)),
        "{plan}"
    );
    assert_eq!(copy["platforms"], json!(["linux/amd64"]));
    let planned = copy["reference"].as_str().unwrap().to_owned();
    assert_eq!(world.own.counts_of("team/cart"), (0, 0, 0), "a plan sends nothing");

    let made = world.json("bootstrap --mirror", 0).await;
    assert_eq!(world.runs(), planned);
    assert_eq!(made["mirrored"], json!({cart.as_str(): planned}));
    let prefix = format!("{}/team/cart@sha256:", world.own.address());
    assert!(planned.starts_with(&prefix), "{planned}");
    let two = image_for_two(FIRST, "arm64");
    let (_, digest) = planned.split_once('@').unwrap();
    assert!(
        two.children.iter().any(|child| child.digest().as_str() == digest),
        "that of the one platform"
    );
    let (tags, manifests, _) = world.own.counts_of("team/cart");
    assert_eq!((tags, manifests), (1, 1), "what other platforms need stays away");
    let annotations = &world.kubernetes.get(RECORD)["metadata"]["annotations"];
    assert_eq!(
        annotations["provisioner/mirrored"],
        format!("{}/team/cart", world.own.address())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_neither_sends_nor_asks_the_source_nor_follows_a_tag_that_moved() {
    let world = World::new().await;
    world.json("bootstrap --mirror", 0).await;
    let runs = world.runs();
    let moved = image_for_two("another", "arm64");
    for tag in ["latest", "2.0"] {
        push_to(&world.others.repository(PLACE), &moved, Some(tag))
            .await
            .expect("pushed");
    }
    world.others.inject("", 99, Fault::Answer(503, ""));
    world.forget();
    let again = world.json("bootstrap --mirror", 0).await;
    assert!(nothing(&again["changes"]), "{again}");
    assert_eq!(
        lines(&world.others.take_requests()),
        [""; 0],
        "the source need not be there any more"
    );
    assert_eq!(bytes(&world.own.take_requests()), 0);
    assert_eq!(world.runs(), runs);
    let plan = world.json("plan --mirror", 0).await;
    assert_eq!(
        (&plan["changes"], &plan["mirror"][0]["action"]),
        (&json!(false), &json!("reuse"))
    );

    world.others.clear_faults();
    let second = format!("{}/{PLACE}:2.0", world.others.address());
    world.names(&[("cart", &second)]);
    world.json("bootstrap --mirror", 0).await;
    assert_ne!(world.runs(), runs, "another name is another image");
    assert_eq!(world.own.counts_of("team/cart").0, 2);
    world.json("bootstrap", 0).await;
    assert_eq!(world.runs(), second, "without the flag it is the source's again");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_platforms_of_the_stack_are_copied_and_an_image_that_lacks_one_is_refused() {
    let mut world = World::new().await;
    let app = image_for_two("the app", "for both");
    push_to(&world.own.repository("team/both"), &app, Some("1"))
        .await
        .expect("pushed");
    world.app = "team/both:1".to_owned();
    let both = "bootstrap --mirror --platform linux/amd64,linux/arm64";
    world.json(both, 0).await;
    let two = image_for_two(FIRST, "arm64");
    assert_eq!(
        world.runs(),
        format!("{}/team/cart@{}", world.own.address(), two.digest())
    );
    assert_eq!(world.own.counts_of("team/cart").1, 3, "index and both");

    let one = image("one").await;
    push_to(&world.others.repository("shop/one"), &one, Some("1"))
        .await
        .expect("pushed");
    let place = format!("{}/shop/one:1", world.others.address());
    world.names(&[("one", &place)]);
    let stderr = world.run(both).await.refused(2);
    assert!(
        stderr.contains("it is not for linux/arm64, but for linux/amd64"),
        "{stderr}"
    );
    assert!(stderr.contains("name a tag that is for it"), "{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_source_that_gives_nothing_is_told_before_anything_changes() {
    let world = World::new().await;
    let address = world.others.address();
    let (unknown, limited) = (format!("{address}/{PLACE}:2.0"), format!("{address}/{PLACE}:limited"));
    let nobody = "127.0.0.1:1/shop/nobody:1";
    world.names(&[
        ("cart", &world.cart()),
        ("limited", &limited),
        ("nobody", nobody),
        ("unknown", &unknown),
    ]);
    world
        .others
        .inject(&format!("GET {PLACE} manifests/limited"), 1, Fault::Throttle(3600));
    let stderr = world.run("bootstrap --mirror").await.refused(1);
    for told in [
        "cannot mirror 3 of 4 images\n".to_owned(),
        format!("`{unknown}` of Deployment `web-app/unknown`: cannot read `2.0` from"),
        format!("check repository and tag: `{address}` has no such image"),
        format!("`{limited}` of Deployment `web-app/limited`: cannot read `limited` from"),
        format!("sign in with `docker login {address}`, which raises the limit"),
        format!("`{nobody}` of Deployment `web-app/nobody`: "),
        "`127.0.0.1:1` does not answer: check the name, the network".to_owned(),
        "hint: nothing was changed".to_owned(),
    ] {
        assert!(stderr.contains(&told), "no `{told}` in: {stderr}");
    }
    assert_eq!(world.kubernetes.changes(), [""; 0]);
    let sent = world.own.take_requests();
    assert_eq!(
        (count(&sent, "PUT"), count(&sent, "POST")),
        (0, 0),
        "{:?}",
        lines(&sent)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn images_that_would_share_a_repository_are_refused_by_name() {
    let world = World::new().await;
    let address = world.others.address();
    let other = format!("{address}/team/cart:1");
    world.names(&[
        ("cart", &world.cart()),
        ("other", &other),
        ("own", &format!("{address}/a/web-app:1")),
    ]);
    let stderr = world.run("plan --mirror").await.refused(2);
    let cart = format!("`{address}/{PLACE}`, `{address}/team/cart`: all of them would go into repository `cart`");
    assert!(stderr.contains(&cart), "{stderr}");
    assert!(stderr.contains("repository `web-app` is that of the app"), "{stderr}");
    assert_eq!(lines(&world.others.take_requests()), [""; 0]);
}

#[test]
fn on_aws_each_copy_has_a_repository_and_its_share_of_the_cost() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let others = runtime.block_on(Registry::start(Auth::Anonymous));
    let cart = runtime.block_on(image("cart"));
    let pushed = runtime.block_on(push_to(&others.repository(PLACE), &cart, Some("1.0")));
    pushed.expect("pushed");
    let folder = tempfile::tempdir().unwrap();
    write_component(folder.path(), &[("cart", &format!("{}/{PLACE}:1.0", others.address()))]);
    let aws = FakeAws::start();
    let line = format!(
        "plan --cluster demo --region eu-west-1 --create-cluster --mirror {WITHOUT} --manifests {}",
        folder.path().display()
    );
    let ended = Run::in_workspace(&line).aws(&aws.url).end();
    assert_eq!(ended.code(), 3, "{}", ended.stderr());
    let text = ended.stdout();
    let copy = format!(
        "+ mirror    image `{}/{PLACE}:1.0` as `123456789012.dkr.ecr.eu-west-1.amazonaws.com/demo/cart@{}` for linux/amd64\n",
        others.address(),
        cart.digest()
    );
    for told in [
        "0.15 GB in ECR",
        "+ create    repository `demo/web-app`\n",
        "+ create    repository `demo/cart`\n",
        copy.as_str(),
    ] {
        assert!(text.contains(told), "no `{told}` in: {text}");
    }
    let reads = ["Get", "Describe", "List", "GET "];
    let writes = aws
        .asked()
        .into_iter()
        .filter(|asked| !reads.iter().any(|read| asked.starts_with(read)));
    assert_eq!(writes.collect::<Vec<_>>(), [""; 0]);
}

fn repository(name: &str) -> Value {
    json!({"repositoryName": name, "repositoryArn": format!("arn:aws:ecr:eu-west-1:123456789012:repository/{name}"),
        "repositoryUri": format!("123456789012.dkr.ecr.eu-west-1.amazonaws.com/{name}")})
}

/// That a stack `demo` made it.
const OURS: &str =
    r#"{"tags": [{"Key": "provisioner:stack", "Value": "demo"}, {"Key": "provisioner:created", "Value": "true"}]}"#;

#[test]
fn a_teardown_finds_the_repositories_of_copies_by_name_and_tag() {
    let all = ["demo/grafana", "demo/web-app", "other/grafana"].map(repository);
    let aws = FakeAws::with(vec![
        ("DescribeRepositories", 200, json!({"repositories": all}).to_string()),
        ("ListTagsForResource", 200, OURS.to_owned()),
    ]);
    let told = |more: &str, code: i32| {
        let line = format!("teardown --cluster demo --region eu-west-1 --dry-run {more}");
        let ended = Run::of(&line).aws(&aws.url).end();
        assert_eq!(ended.code(), code, "{}", ended.stderr());
        ended.stdout()
    };
    let text = told("", 3);
    assert!(
        text.starts_with("- delete    repository `demo/web-app`\n- delete    repository `demo/grafana`\n"),
        "{text}"
    );
    assert!(text.contains("\n2 to delete") && !text.contains("other"), "{text}");
    let asked = aws.asked();
    let times = |operation: &str| asked.iter().filter(|asked| *asked == operation).count();
    assert_eq!(
        (times("DescribeRepositories"), times("ListTagsForResource")),
        (1, 2),
        "{asked:?}"
    );
    let text = told("--keep-images", 0);
    assert!(text.contains("  keep      repository `demo/grafana`: "), "{text}");
}

#[test]
fn a_teardown_that_may_not_list_repositories_says_so_once_and_takes_those_of_the_app() {
    let app = json!({"repositories": [repository("demo/web-app")]}).to_string();
    let aws = FakeAws::with(vec![
        (
            "DescribeRepositories {}",
            400,
            json!({"__type": "AccessDeniedException", "message": "no"}).to_string(),
        ),
        (r#"DescribeRepositories {"repositoryNames":["demo/web-app"]}"#, 200, app),
        ("ListTagsForResource", 200, OURS.to_owned()),
        ("DeleteRepository", 200, "{}".to_owned()),
    ]);
    let line = "teardown --cluster demo --region eu-west-1 --yes";
    let ended = Run::of(line).aws(&aws.url).end();
    let told = ended.stderr();
    assert_eq!(told.matches("cannot list repositories").count(), 1, "{told}");
    let asked = aws.asked();
    assert_eq!(
        asked.iter().filter(|asked| *asked == "DeleteRepository").count(),
        1,
        "{asked:?}"
    );
}

use super::*;
use crate::image::ImageError;
use crate::ops::fixtures::given;
use crate::report::{Event, Record, Silent};

fn deployment(name: &str) -> ObjectRef {
    ObjectRef {
        api_version: "apps/v1".to_owned(),
        kind: "Deployment".to_owned(),
        namespace: Some("shop".to_owned()),
        name: name.to_owned(),
    }
}

fn named(images: &[&str]) -> BTreeMap<String, ObjectRef> {
    images
        .iter()
        .map(|image| ((*image).to_owned(), deployment("x")))
        .collect()
}

#[test]
fn what_the_stack_made_or_its_registry_has_is_not_mirrored() {
    let images = [
        UNRESOLVED,
        "nginx",
        "nginx:1",
        "own.example/team/shop:1",
        "no image",
        "quay.io/a/b:1",
    ];
    let wanted = of_others(named(&images), |image| image.host() == "own.example");
    let told: Vec<(&str, String, &str)> = wanted
        .iter()
        .map(|one| (one.given.as_str(), one.image.to_string(), one.name()))
        .collect();
    assert_eq!(
        told,
        [
            ("nginx", "docker.io/library/nginx:latest".to_owned(), "nginx"),
            ("nginx:1", "docker.io/library/nginx:1".to_owned(), "nginx"),
            ("quay.io/a/b:1", "quay.io/a/b:1".to_owned(), "b"),
        ]
    );
    assert_eq!(clashes(&wanted), [""; 0], "two tags of one repository are no clash");
    assert_eq!(repositories(&wanted), ["b".to_owned(), "nginx".to_owned()].into());
}

#[test]
fn two_sources_of_one_repository_are_named_as_is_one_of_the_stacks_own() {
    let images = [
        "quay.io/a/cart:1",
        "ghcr.io/b/cart:2",
        "quay.io/a/web-app:1",
        "quay.io/a/load:1",
        "quay.io/a/one:1",
    ];
    assert_eq!(
        clashes(&of_others(named(&images), |_| false)),
        [
            "`ghcr.io/b/cart`, `quay.io/a/cart`: all of them would go into repository `cart`",
            "`quay.io/a/load`: repository `load` is that of the loader",
            "`quay.io/a/web-app`: repository `web-app` is that of the app",
        ]
    );
}

#[test]
fn the_shipped_stack_is_mirrored_where_that_is_asked_for_and_as_far_as_it_is_applied() {
    let of = |more: &[&str]| {
        let line = [
            "provisioner",
            "plan",
            "--cluster",
            "demo",
            "--registry",
            "own.example/team",
        ];
        let (_, context) = given(&[&line[..], more].concat());
        let (_, stack) = context.target().expect("a target");
        let registry = Registry::Other("own.example/team".parse().expect("valid"));
        let wanted = wanted(&context.config, stack, &registry, &Silent).expect("no clash");
        Vec::from_iter(repositories(&wanted)).join(" ")
    };
    assert_eq!(of(&[]), "");
    assert_eq!(
        of(&["--mirror"]),
        "grafana kube-state-metrics prometheus prometheus-adapter"
    );
    assert_eq!(
        of(&["--mirror", "--without", "grafana,adapter"]),
        "kube-state-metrics prometheus"
    );
}

#[test]
fn what_may_be_an_image_and_is_left_as_it_is_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let component = folder.path().join("60-mine");
    std::fs::create_dir(&component).expect("made");
    let claim = "{apiVersion: v1, kind: PersistentVolume, metadata: {name: disk}, spec: {rbd: {image: old/disk}}}";
    std::fs::write(component.join("all.yaml"), claim).expect("written");
    let manifests = folder.path().to_str().expect("a path");
    let line = [
        "provisioner",
        "plan",
        "--cluster",
        "demo",
        "--mirror",
        "--manifests",
        manifests,
    ];
    let (_, context) = given(&line);
    let (_, stack) = context.target().expect("a target");
    let registry = Registry::Other("own.example/team".parse().expect("valid"));
    let record = Record::default();
    let found = wanted(&context.config, stack, &registry, &record).expect("no clash");
    assert!(found.iter().all(|one| one.given != "old/disk"), "{found:?}");
    let events = record.0.into_inner().expect("lock");
    let is_told = |event: &Event| matches!(event, Event::Warning { message } if message.contains("`old/disk` of PersistentVolume `disk`"));
    assert_eq!(events.iter().filter(|event| is_told(event)).count(), 1, "{events:?}");
}

fn wanted_one(image: &str) -> Wanted {
    Wanted {
        given: image.to_owned(),
        image: image.parse().expect("an image"),
        by: deployment("cart"),
    }
}

#[test]
fn every_source_that_gives_nothing_is_told_with_the_way_on() {
    let credentials =
        Error::usage("cannot read the credentials for registry `a.example`: locked").hint("sign in again");
    let platform = ImageError::Import {
        origin: "b.example/shop:1".to_owned(),
        source: image::ImportDefect::Platform {
            wanted: "linux/arm64".to_owned(),
            found: vec!["linux/amd64".to_owned()],
        },
    };
    let problems = vec![
        problem::Failure::from(credentials).of(&wanted_one("a.example/cart:1")),
        problem::Failure::from(platform).of(&wanted_one("b.example/shop:1")),
    ];
    let error = Error::from(NotMirrored { all: 5, problems });
    assert_eq!(error.exit().code(), 2, "trying again mends neither");
    insta::assert_snapshot!(error, @"
    error: cannot mirror 2 of 5 images
      `a.example/cart:1` of Deployment `shop/cart`: cannot read the credentials for registry `a.example`: locked
        sign in again
      `b.example/shop:1` of Deployment `shop/cart`: cannot use the image `b.example/shop:1`: it is not for linux/arm64, but for linux/amd64
        name a tag that is for it, or leave the component out with `--without`

    hint: nothing was changed, and what was copied before is not asked for again; `--without COMPONENT` leaves a component out, and without `--mirror` nodes pull from the sources themselves
    ");
}

#[test]
fn one_source_that_may_answer_later_makes_it_a_failure() {
    let failed = || problem::Failure::from(Error::failed("no answer")).of(&wanted_one("a.example/cart:1"));
    let refused = || problem::Failure::from(Error::usage("no")).of(&wanted_one("a.example/cart:1"));
    let exit = |problems: Vec<Problem>| Error::from(NotMirrored { all: 2, problems }).exit().code();
    assert_eq!(
        (exit(vec![refused(), failed()]), exit(vec![refused(), refused()])),
        (1, 2)
    );
}

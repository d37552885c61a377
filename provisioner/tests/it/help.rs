//! The help texts, as people see them.

use crate::run::Run;

#[test]
fn help_shows_commands_and_examples() {
    let ended = Run::of("--help").end();
    assert_eq!(ended.code(), 0);
    insta::assert_snapshot!(ended.stdout(), @r#"
    From source to an autoscaling deployment on AWS, and back to nothing

    Usage: provisioner [OPTIONS] <COMMAND>

    Commands:
      bootstrap    Build, push, create what is missing, deploy and verify; safe to repeat
      plan         Show what bootstrap would do: AWS, images and every field on the cluster; changes nothing
      push         Build the app's image and push it; prints the reference with its digest
      teardown     Remove what bootstrap created, and prove that it is gone
      load         Send load to the app from inside the cluster and report latencies and pods
      status       Show pods, request rate, and why the HPA scales or does not
      doctor       Walk the metric chain hop by hop, name the first that is broken, and say what mends it
      dashboard    Show the dashboard on a local page, as a picture, or forward a port to Grafana or Prometheus
      token        Print a token for the cluster, in the form that kubectl's exec plugins prescribe
      kubeconfig   Add the cluster to the kubeconfig; its tokens come from this program
      init         Write settings and manifests for an app of your own; asks on a terminal, overwrites nothing
      config       Look at the settings
      completions  Print a completion script for a shell
      man          Write man pages into a folder
      help         Print this message or the help of the given subcommand(s)

    Options:
      -h, --help     Print help
      -V, --version  Print version

    Global options:
          --cluster <CLUSTER>         EKS cluster to work on
          --kube-context <CONTEXT>    Context of the kubeconfig to work on, instead of an EKS cluster
          --registry <HOST/PREFIX>    Registry and path for the images, e.g. ghcr.io/team [default: ECR]
          --name <NAME>               Stack's name, where the cluster's does not fit [default: CLUSTER or CONTEXT]
          --region <REGION>           AWS region [default: that of the AWS configuration]
          --profile <PROFILE>         AWS profile [default: that of the AWS configuration]
          --config <FILE>             Settings file [default: ./provisioner.toml where it exists]
          --output <FORMAT>           Form of result and events: text or json [default: text]
      -q, --quiet                     Only warnings and errors on stderr
      -v, --verbose                   Log on stderr; a filter may be set in `PROVISIONER_LOG`
      -y, --yes                       Answer every question with yes
          --no-color                  No colours (also: `NO_COLOR`)
          --timeout <DURATION>        Longest single wait, e.g. 90s, 25m [default: 30m]
          --poll-interval <DURATION>  Pause between two looks at AWS [default: 10s]

    Examples:
      provisioner plan --cluster demo --region eu-west-1 --create-cluster
      provisioner bootstrap --cluster demo --region eu-west-1 --create-cluster
      provisioner load --cluster demo --region eu-west-1 --rate 100 --duration 2m
      provisioner doctor --cluster demo --region eu-west-1
      provisioner teardown --cluster demo --region eu-west-1 --delete-cluster

    Settings: flags, then PROVISIONER_* variables (PROVISIONER_CLUSTER, ...), then provisioner.toml.
    AWS credentials come from where the AWS tools take them.

    Exit codes: 0 done, 1 failed, 2 usage or configuration (nothing was changed), 3 `plan` or `--dry-run` found something to do,
    130/143 interrupted.
    "#);
}

/// The help of `bootstrap`: its own options, and those of images and clusters.
fn help_of_bootstrap() -> (String, String) {
    let ended = Run::of("bootstrap --help").end();
    assert_eq!(ended.code(), 0);
    let all = ended.stdout();
    let own = all.split("Global options:").next().unwrap();
    let (first, second) = own.split_once("App:").unwrap();
    (first.to_owned(), format!("App:{second}"))
}

#[test]
fn help_of_load_shows_where_to_and_what_with() {
    let ended = Run::of("load --help").end();
    let all = ended.stdout();
    let own = all.split("Global options:").next().unwrap();
    insta::assert_snapshot!(own, @r#"
    Send load to the app from inside the cluster and report latencies and pods

    An app that was built here makes its own load. Where the app was made elsewhere, a loader is needed the first time: `--loader-image`, or the sample app's workspace, from which one is built and pushed.

    Usage: provisioner load [OPTIONS]

    Options:
          --rate <RATE>
              Requests per second, in total
              
              [default: 100]

          --duration <DURATION>
              How long, e.g. 90s, 2m
              
              [default: 2m]

          --stages <STAGES>
              Instead of both: RATE:DURATION,... In each stage the rate goes in a straight line from that of the stage before, 0 at first, to RATE; a stage of `0` sets it at once, as in `100:0,100:2m,0:1m`

          --arrivals <ARRIVALS>
              How far apart requests are: evenly, or at random as from many users

              Possible values:
              - even:    As evenly as the rate allows
              - poisson: At random, independent of each other
              
              [default: even]

          --until-scaled
              Fail unless the HPA's maximum of pods got ready; begin when only its minimum is there, and wait until that is left again

          --max-scale-up <DURATION>
              Fail unless that many pods were ready so soon after the first request, e.g. 30s; begin when no pods come or go

          --error-rate <PERCENT>
              Fail where more requests failed or were never sent, in percent of all, e.g. 0 or 0.1

          --recovered-below <DURATION>
              The highest p99 of a second at which the latency counts as recovered
              
              [default: 50ms]

          --start-phase <SECONDS>
              Start so many seconds after the HPA's controller looked, which it does each 15 s: that is observed first, by a few requests

          --picture <FILE>
              Draw what happened over time into this file, which ends with .svg or .png

          --url <URL>
              Where to, as a pod sees it, e.g. `http://web-app-service.web-app.svc:8080/api/data` [default: the app's Service]

          --replace
              End a load that runs, somebody else's too, and take its place

      -h, --help
              Print help (see a summary with '-h')

    Loader, remembered by the stack:
          --loader-image <REF>
              Image that makes the load, by its digest; it understands `load --url URL --rate N --duration D --output json`

          --workspace <DIR>
              Build it from the sample app in this cargo workspace, and push it to NAME/load

          --platform <PLATFORM>
              What it is for: linux/amd64, linux/arm64 or both [default: linux/amd64]
    "#);
}

#[test]
fn help_of_bootstrap_shows_its_flags() {
    let (own, _) = help_of_bootstrap();
    // A new component is no new help.
    let own = own.replace(&components().join(", "), "COMPONENTS");
    insta::assert_snapshot!(own, @r#"
    Build, push, create what is missing, deploy and verify; safe to repeat

    Everything is checked before anything changes. It ends with proof that the metrics arrive. A second run changes nothing; a run that was stopped goes on where it was.

    Usage: provisioner bootstrap [OPTIONS]

    Options:
          --dry-run
              Only show what would be done, as `provisioner plan` does

          --create-cluster
              Create the cluster where it is missing (billable, takes about 15 minutes)

          --without <COMPONENT>
              Leave a component out: COMPONENTS, namespaces that are there already, or one of yours; may be repeated

          --manifests <DIR>
              Folder of components (NN-NAME/*.yaml) that replace shipped ones of the same name, or join them

          --mirror
              Copy the images of others that manifests name into the stack's registry, and take them from there

          --take-over
              Replace a metrics API that others installed; teardown gives it back

          --force-conflicts
              Take fields that others changed on objects of this stack

          --recreate
              Delete and make anew objects of this stack that cannot be changed in place

          --adopt
              Mark objects of this stack again that lost their labels, after showing them

          --reaction <PROFILE>
              How quickly the stack reacts: fast (scraped every second, up in one step, down after 30 s) or seed (scraped every 30 s, rates over a minute, the HPA's own pace) [default: fast]

          --prometheus-url <URL>
              Use this Prometheus, as pods see it, instead of installing one; says what it has to scrape

          --certificates <AUTHORITY>
              Who signs the metrics API's certificate: auto (cert-manager where installed), cert-manager or own [default: auto]

      -h, --help
              Print help (see a summary with '-h')
    "#);
}

/// What can be left out; all others need the namespaces.
fn components() -> Vec<String> {
    let mut all = provisioner::cluster::manifest::components();
    all.retain(|name| name != "namespaces");
    all
}

#[test]
fn plan_takes_the_flags_of_bootstrap() {
    let (own, more) = help_of_bootstrap();
    let flags = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| line.trim_start().starts_with("--"));
        lines
            .map(|line| line.trim().to_owned())
            .filter(|line| line != "--dry-run")
            .collect()
    };
    let ended = Run::of("plan --help").end();
    let all = ended.stdout();
    assert_eq!(
        flags(all.split("Global options:").next().unwrap()),
        flags(&format!("{own}{more}"))
    );
    assert!(all.contains("Exit code 3 says that there is something to do."), "{all}");
}

/// Where the last section begins.
const CLUSTERS: &str = "New cluster:";

#[test]
fn help_of_bootstrap_shows_the_flags_of_apps_and_images() {
    let (_, more) = help_of_bootstrap();
    let (images, _) = more.split_once(CLUSTERS).expect("a section");
    insta::assert_snapshot!(images, @r#"
    App:
          --app-port <PORT>
              Port where it answers [default: 8080]

          --metrics-path <PATH>
              Path of its metrics there [default: /metrics]

          --counter <NAME>
              Its counter whose rate drives scaling [default: `http_requests_total`]

          --target-rate <RATE>
              That rate for each pod, per second [default: 10]

    Image:
          --tag <TAG>
              Tag of the image [default: from its content]

          --platform <PLATFORM>
              What the image is for: linux/amd64, linux/arm64 or both [default: linux/amd64]

          --binary <[PLATFORM=]PATH>
              Use this static binary instead of building one; once for each platform

          --workspace <DIR>
              Cargo workspace to build the app from [default: the working directory]

          --package <NAME>
              Package there that is built, with a binary of the same name [default: app]

          --rebuild
              Build also where the registry has an image of the same sources

          --compression <FORMAT>
              How its layers are compressed: gzip or zstd [default: gzip]

          --sbom <FORMAT>
              List the crates that it is made of beside it in the registry: cyclonedx or spdx [default: no list]

          --image-refs <FILE>
              Also write the pushed references to this file, one a line

    Image made elsewhere:
          --image <REF>
              Use this image of a registry, where it is, by its digest

          --copy
              With --image, copy it into the stack's own repository

          --oci-layout <DIR>
              Push the image in this folder, which has the OCI image layout

          --archive <FILE>
              Push the image in this archive: of such a folder, or of docker save; may be gzipped
    "#);
}

#[test]
fn help_of_bootstrap_ends_with_the_flags_of_clusters() {
    let (_, more) = help_of_bootstrap();
    let at = more.find(CLUSTERS).expect("a section");
    insta::assert_snapshot!(&more[at..], @r#"
    New cluster:
          --k8s-version <VERSION>
              Kubernetes version, e.g. 1.34 [default: the default of EKS]

          --compute <KIND>
              Where pods run: auto (EKS Auto Mode) or nodegroup (2 t3.large) [default: auto]

          --private-nodes
              Put nodes into private subnets behind a NAT gateway (costs by the hour)

          --subnet-ids <ID>
              Use these subnets, in two zones or more, instead of making a network

          --cluster-role-arn <ARN>
              Use this role for the control plane instead of making one

          --node-role-arn <ARN>
              Use this role for the nodes instead of making one

          --admin-arn <ARN>
              IAM role or user that also becomes the cluster's administrator; may be repeated

          --public-access-cidr <CIDR>
              Addresses that may reach the API server, e.g. 203.0.113.0/24; may be repeated [default: all]

          --control-plane-logs <LOG>
              Logs to `CloudWatch`: api, audit, authenticator, controllerManager, scheduler [default: none]

          --hpa-sync-period <DURATION>
              How often HPAs are evaluated, where EKS offers that, e.g. 10s [default: that of EKS]
    "#);
}

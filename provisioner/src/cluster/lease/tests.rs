use super::super::wire::Wire;
use super::*;
use crate::cluster::apply::{execute, made_before};
use crate::cluster::fixtures::{components, stack};
use crate::cluster::manifest;
use crate::report::{Event, Record, Silent};

const PATH: &str = "/apis/coordination.k8s.io/v1/namespaces/web-app/leases/provisioner-demo";

fn now() -> Timestamp {
    "2026-01-01T12:00:00Z".parse().expect("a time")
}

fn later() -> Timestamp {
    "2026-01-01T12:30:00Z".parse().expect("a time")
}

fn holder(run: u32) -> Holder {
    Holder::new("host", 7, run, now)
}

/// One run that does `work` under the Lease, waiting at most `wait`.
async fn run<T>(
    wire: &Wire,
    holder: &Holder,
    wait: Duration,
    work: impl Future<Output = T>,
) -> Result<T, ClusterError> {
    let (stack, home) = (stack(), home(&stack(), "web-app"));
    let terms = Terms {
        stack: &stack,
        home: &home,
        holder,
        wait,
    };
    under(&wire.cluster(), terms, &Silent, |_| async { Ok(work.await) }).await
}

fn holder_of(wire: &Wire) -> Option<String> {
    let state = wire.state();
    let lease = state.objects.get(PATH)?;
    lease["spec"]["holderIdentity"].as_str().map(ToOwned::to_owned)
}

#[tokio::test]
async fn the_namespace_is_made_first_and_the_lease_is_gone_afterwards() {
    let wire = Wire::default();
    let seen = run(&wire, &holder(1), Duration::ZERO, async { holder_of(&wire) }).await;
    assert_eq!(seen.expect("had").as_deref(), Some("host/7/00000001"));
    let left: Vec<String> = wire.state().objects.keys().cloned().collect();
    assert_eq!(left, ["/api/v1/namespaces/web-app"]);
    let namespace = wire.state().objects["/api/v1/namespaces/web-app"].clone();
    assert_eq!(namespace["metadata"]["labels"]["app.kubernetes.io/part-of"], "demo");
}

#[tokio::test]
async fn the_namespace_of_the_lease_is_told_once_and_counts_once_as_created() {
    let (wire, stack, told) = (Wire::default(), stack(), Record::default());
    let components = components();
    let home = manifest::find(&components, "Namespace", "web-app")
        .expect("it is in the manifests")
        .clone();
    let (cluster, holder) = (wire.cluster(), holder(1));
    let terms = Terms {
        stack: &stack,
        home: &home,
        holder: &holder,
        wait: Duration::ZERO,
    };
    let work = async |made: bool| {
        let mut planned = changes::plan(&cluster, &stack, &components, Options::default()).await?;
        assert!(made);
        let made = made_before(&mut planned, &home);
        let mut changes = execute(&cluster, &planned, Options::default(), &told).await?;
        changes.extend(made);
        Ok::<_, ClusterError>(changes)
    };
    let changes = under(&cluster, terms, &told, work).await.expect("applied");
    let is_home = |kind: &str, name: &str| (kind, name) == ("Namespace", "web-app");
    let counted: Vec<Outcome> = changes
        .iter()
        .filter(|change| is_home(&change.kind, &change.name))
        .map(|change| change.outcome)
        .collect();
    assert_eq!(counted, [Outcome::Created]);
    let told = told.0.lock().expect("lock");
    let said: Vec<Outcome> = told
        .iter()
        .filter_map(|event| match event {
            Event::Done {
                kind, name, outcome, ..
            } if is_home(kind, name) => Some(*outcome),
            _ => None,
        })
        .collect();
    assert_eq!(said, [Outcome::Created]);
}

#[tokio::test]
async fn a_second_run_waits_for_the_first_and_never_works_beside_it() {
    let wire = Wire::default();
    let working = std::sync::atomic::AtomicUsize::new(0);
    let work = async {
        use std::sync::atomic::Ordering::SeqCst;
        let before = working.fetch_add(1, SeqCst);
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        working.fetch_sub(1, SeqCst);
        before
    };
    let again = async {
        use std::sync::atomic::Ordering::SeqCst;
        working.load(SeqCst)
    };
    let wait = Duration::from_secs(30);
    let (one, two) = (holder(1), holder(2));
    let (first, second) = tokio::join!(run(&wire, &one, wait, work), run(&wire, &two, wait, again));
    assert_eq!((first.expect("had"), second.expect("had")), (0, 0));
}

#[tokio::test]
async fn a_run_that_waits_too_long_says_who_holds_it_since_when_and_does_nothing() {
    let wire = Wire::default();
    let one = holder(1);
    let two = holder(2);
    let second = Box::pin(run(&wire, &two, Duration::ZERO, async { panic!("must not run") }));
    let inner = run(&wire, &one, Duration::ZERO, second);
    let error: ClusterError = match inner.await.expect("had") {
        Err(error) => error,
        Ok(()) => panic!("two at once"),
    };
    let said = error.to_string();
    assert!(
        said.ends_with("still held by host `host`, process 7, run 00000001 since 2026-01-01T12:00:00Z"),
        "{said}"
    );
    assert!(!error.is_configuration());
}

#[tokio::test]
async fn what_a_dead_run_left_is_taken_over_once_it_has_expired() {
    let wire = Wire::default();
    let (one, two) = (holder(1), Holder::new("host", 8, 2, later));
    let cluster = wire.cluster();
    let (stack, home) = (stack(), home(&stack(), "web-app"));
    let terms = Terms {
        stack: &stack,
        home: &home,
        holder: &one,
        wait: Duration::ZERO,
    };
    // Killed: neither released nor dropped.
    std::mem::forget(acquire(&cluster, terms, &Silent).await.expect("had"));
    // The second run's clock is half an hour ahead, which says nothing: it has to see for itself.
    let soon = run(&wire, &two, Duration::ZERO, async {}).await;
    assert!(matches!(soon, Err(ClusterError::Leased { .. })));
    expire_soon(&wire);
    let seen = run(&wire, &two, WAIT, async { holder_of(&wire) }).await;
    assert_eq!(seen.expect("taken over").as_deref(), Some("host/8/00000002"));
}

/// Long enough for a Lease that expires soon.
const WAIT: Duration = Duration::from_mins(1);

/// A Lease that is good for a second, so that nobody has to wait.
fn expire_soon(wire: &Wire) {
    if let Some(lease) = wire.state().objects.get_mut(PATH) {
        lease["spec"]["leaseDurationSeconds"] = 1.into();
    }
}

#[tokio::test]
async fn a_lease_of_ours_whose_answer_got_lost_is_renewed_before_work_begins() {
    let wire = Wire::default();
    let one = holder(1);
    let (stack, home) = (stack(), home(&stack(), "web-app"));
    wire.put("/api/v1/namespaces/web-app", serde_json::json!({"metadata": {}}));
    let mut old = serde_json::to_value(record::new(&stack, &one)).expect("JSON");
    old["metadata"]["resourceVersion"] = "1".into();
    old["spec"]["renewTime"] = "2020-01-01T00:00:00.000000Z".into();
    wire.put(PATH, old);
    let terms = Terms {
        stack: &stack,
        home: &home,
        holder: &one,
        wait: Duration::ZERO,
    };
    let renewed = || wire.state().objects[PATH]["spec"]["renewTime"].clone();
    let work = |_| async { Ok::<_, ClusterError>(renewed()) };
    let at_work = under(&wire.cluster(), terms, &Silent, work).await.expect("had");
    assert_eq!(at_work, "2026-01-01T12:00:00.000000Z");
}

#[tokio::test]
async fn a_lease_is_as_old_as_the_request_that_took_it() {
    let wire = Wire::default();
    let (one, lease) = (holder(1), record::new(&stack(), &holder(1)));
    let api = Api::namespaced(wire.cluster().client(), "web-app");
    // The answer took all but a moment of the Lease's time, and no other comes.
    wire.state().answers = Some(0);
    let sent = Instant::now().checked_sub(DURATION.saturating_sub(Duration::from_millis(500)));
    let mut held = Held::keep(api, (lease, sent.expect("the machine runs for longer")), &one);
    let lost = timeout(DURATION / 2, held.lost()).await;
    assert!(
        lost.expect("lost by now")
            .starts_with("it could not be renewed for 30 s")
    );
    std::mem::forget(held);
}

#[tokio::test]
async fn work_that_fails_or_is_cut_off_gives_the_lease_back() {
    let wire = Wire::default();
    let (stack, home, one) = (stack(), home(&stack(), "web-app"), holder(1));
    let terms = Terms {
        stack: &stack,
        home: &home,
        holder: &one,
        wait: Duration::ZERO,
    };
    let failed: Result<(), ClusterError> = under(&wire.cluster(), terms, &Silent, |_| async {
        Err(ClusterError::Failed(Vec::new()))
    })
    .await;
    assert!(matches!(failed, Err(ClusterError::Failed(_))));
    assert_eq!(holder_of(&wire), None);

    // As a signal does it: the work never ends, and its future is dropped.
    let (started, began) = tokio::sync::oneshot::channel();
    let work = run(&wire, &one, Duration::ZERO, async {
        started.send(()).expect("listening");
        std::future::pending::<()>().await;
    });
    tokio::select! {
        _ = work => panic!("ended"),
        () = async { began.await.expect("started") } => {}
    }
    assert!(holder_of(&wire).is_some());
    one.released(Duration::from_secs(30)).await;
    assert_eq!(holder_of(&wire), None);
}

#[tokio::test]
async fn a_lease_that_others_took_is_not_given_back() {
    let wire = Wire::default();
    run(&wire, &holder(1), Duration::ZERO, async {
        let mut state = wire.state();
        let lease = state.objects.get_mut(PATH).expect("there");
        lease["spec"]["holderIdentity"] = "other".into();
        lease["metadata"]["resourceVersion"] = "99".into();
    })
    .await
    .expect("had");
    assert_eq!(holder_of(&wire).as_deref(), Some("other"));
}

#[tokio::test]
async fn a_crash_at_any_call_is_mended_by_the_next_run_when_the_lease_has_expired() {
    let wire = Wire::default();
    run(&wire, &holder(1), Duration::ZERO, async {}).await.expect("had");
    let calls = wire.state().log.len();
    let crashed = (0..calls).map(|answers| async move {
        let wire = Wire::default();
        let one = holder(1);
        Box::pin(wire.until_silent(answers, run(&wire, &one, Duration::ZERO, async {}))).await;
        expire_soon(&wire);
        let two = Holder::new("host", 8, 2, later);
        run(&wire, &two, WAIT, async {}).await.expect("had");
        assert_eq!(holder_of(&wire), None, "after {answers} of {calls} calls");
    });
    futures::future::join_all(crashed).await;
}

#[tokio::test]
async fn what_a_run_left_that_ended_on_the_same_machine_is_taken_over_at_once() {
    let machine = |id: &str, has_ended| Machine {
        id: id.to_owned(),
        has_ended,
    };
    let killed = |host: &str| Holder::new(host, 7, 1, now).on(machine("m", |_| false));
    let ended: fn(u32) -> bool = |process| process == 7;
    let alive: fn(u32) -> bool = |_| false;
    for (left_by, next, taken) in [
        (killed("host"), machine("m", ended), true),
        (killed("host"), machine("m", alive), false),
        // Numbers of another boot, another machine or another container's processes say nothing here.
        (killed("host"), machine("other", ended), false),
        (killed("other"), machine("m", ended), false),
        (holder(1), machine("m", ended), false),
    ] {
        let wire = Wire::default();
        wire.put("/api/v1/namespaces/web-app", serde_json::json!({"metadata": {}}));
        let mut old = serde_json::to_value(record::new(&stack(), &left_by)).expect("JSON");
        old["metadata"]["resourceVersion"] = "1".into();
        wire.put(PATH, old);
        let next = Holder::new("host", 8, 2, later).on(next);
        let ran = run(&wire, &next, Duration::ZERO, async { holder_of(&wire) }).await;
        match ran {
            Ok(holder) => assert_eq!((taken, holder.as_deref()), (true, Some("host/8/00000002/m"))),
            Err(ClusterError::Leased { .. }) => assert!(!taken, "{left_by:?}"),
            Err(error) => panic!("{error}"),
        }
    }
}

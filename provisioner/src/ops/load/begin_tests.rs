//! What loads begin with.

use std::sync::Arc;

use super::*;
use crate::error::Exit;
use crate::report::{Entries, Event, Ledger, Record, Silent};
use crate::timeline::{Pods, Rates};

fn seen((pods, ready): (u64, u64), wanted: Option<u64>, rate: f64) -> Recording {
    Recording {
        pods: vec![Pods {
            at: 1.0,
            replicas: pods,
            ready,
        }],
        hpa: vec![Hpa {
            at: 1.0,
            desired: wanted,
            min: 1,
            max: 10,
            target: Some(10.0),
            gone: false,
        }],
        rates: vec![Rates {
            at: watch::now(),
            total: rate,
            pods: 1,
        }],
        ..Recording::default()
    }
}

#[test]
fn a_load_that_is_to_show_scaling_begins_where_there_is_something_to_scale() {
    use Begin::{Anyhow, AtMinimum, Settled};
    for (begin, pods, wanted, begins) in [
        (Anyhow, (10, 10), Some(10), true),
        (AtMinimum, (1, 1), Some(1), true),
        (AtMinimum, (1, 1), None, true),
        // An earlier load has ended, its pods are all there.
        (AtMinimum, (10, 10), Some(10), false),
        (Settled, (10, 10), Some(10), false),
        // The HPA removes them, or wants to.
        (AtMinimum, (10, 10), Some(1), false),
        (Settled, (10, 10), Some(1), false),
        (Settled, (4, 4), Some(1), false),
        // It makes some already.
        (AtMinimum, (1, 1), Some(10), false),
        (Settled, (1, 1), Some(10), false),
        (Settled, (4, 2), Some(4), false),
        // Nothing answers: no pods, for which the HPA does nothing, or none that is ready.
        (AtMinimum, (0, 0), None, false),
        (Settled, (0, 0), None, false),
        (Settled, (0, 0), Some(0), false),
        (AtMinimum, (1, 0), Some(1), false),
        // Others use the app.
        (AtMinimum, (3, 3), Some(3), false),
        (Settled, (3, 3), Some(3), true),
    ] {
        let verdict = begin.judge(&seen(pods, wanted, 0.0));
        let does = matches!(verdict, Verdict::Begin(_));
        assert_eq!(does, begins, "{begin:?} {pods:?} {wanted:?}: {verdict:?}");
    }
    let verdict = AtMinimum.judge(&seen((10, 9), Some(10), 0.0));
    assert_eq!(
        verdict,
        Verdict::Not("10 of 10 pods, 9 ready, the HPA wants 10".to_owned())
    );
}

#[test]
fn what_was_not_seen_is_not_taken_for_rest() {
    let mut deleted = seen((1, 1), Some(1), 0.0);
    deleted.hpa[0].gone = true;
    for part in [
        deleted,
        Recording::default(),
        Recording {
            pods: Vec::new(),
            ..seen((1, 1), Some(1), 0.0)
        },
        Recording {
            hpa: Vec::new(),
            ..seen((1, 1), Some(1), 0.0)
        },
    ] {
        assert_eq!(Begin::AtMinimum.judge(&part), Verdict::Unseen);
    }
}

#[test]
fn requests_of_others_are_told_where_they_keep_the_pods() {
    let traffic = |begin: Begin, rate| {
        let seen = seen((10, 10), Some(10), rate);
        begin.traffic(&seen, watch::now()).is_some()
    };
    for (begin, rate, keeps) in [
        (Begin::AtMinimum, 10.0, false),
        (Begin::AtMinimum, 10.5, true),
        (Begin::Settled, 90.0, false),
        (Begin::Settled, 90.5, true),
        (Begin::Anyhow, 99.0, false),
    ] {
        assert_eq!(traffic(begin, rate), keeps, "{begin:?} {rate}");
    }
    let mut before = seen((10, 10), Some(10), 95.0);
    before.rates[0].at -= 60.0;
    let traffic = Begin::AtMinimum.traffic(&before, watch::now());
    assert_eq!(traffic, None, "what the API gave before it failed is no rate of now");
}

#[test]
fn a_load_that_meets_all_pods_is_told_what_would_help() {
    let warned = |min: u64| {
        let mut all = seen((10, 10), Some(10), 0.0);
        all.hpa[0].min = min;
        let record = Record::default();
        warn(&all, &record);
        record.warnings().concat()
    };
    let met = "10 of 10 pods, 10 ready, the HPA wants 10: this load cannot show how the app scales up";
    assert_eq!(warned(1), format!("{met}; `--until-scaled` waits until it can"));
    assert_eq!(
        warned(10),
        format!("{met}; minimum and maximum of the HPA `web-app-hpa` are both 10")
    );
}

/// Nothing for as long as a test takes but what is asked for.
const LONG: Duration = Duration::from_mins(1);
const SHORT: Duration = Duration::from_millis(30);
const PATIENT: Patience = Patience {
    every: Duration::from_millis(1),
    seen: LONG,
    echo: LONG,
    limit: LONG,
};

#[tokio::test]
async fn a_wait_that_is_over_says_so_and_is_nothing_that_the_run_leaves() {
    let recorder = recorder(seen((10, 10), Some(10), 0.0));
    let ledger = Ledger::new(Arc::new(Silent));
    let record = Record::default();
    for report in [&ledger as &dyn Reporter, &record] {
        *recorder.seen() = seen((10, 10), Some(10), 0.0);
        let waiting = Begin::AtMinimum.wait(PATIENT, &recorder, report);
        let mut waiting = std::pin::pin!(waiting);
        assert!(futures::poll!(&mut waiting).is_pending());
        *recorder.seen() = seen((1, 1), Some(1), 0.0);
        waiting.await.expect("begins");
    }
    assert_eq!(ledger.entries(), Entries::default());
    let last = record.0.lock().expect("lock").pop();
    let done = Event::Done {
        kind: "HPA".to_owned(),
        name: HPA.to_owned(),
        outcome: Outcome::Ready,
        detail: "1 of 10 pods, 1 ready, the HPA wants 1".to_owned(),
    };
    assert_eq!(last, Some(done));
}

async fn begun(begin: Begin, patience: Patience, recorder: &Recorder) -> Result<(), Error> {
    begin.wait(patience, recorder, &Silent).await
}

fn recorder(now: Recording) -> Recorder {
    let recorder = Recorder::default();
    *recorder.seen() = now;
    recorder
}

#[tokio::test]
async fn pods_of_an_earlier_load_are_waited_for_and_not_for_ever() {
    let recorder = recorder(seen((10, 10), Some(10), 0.0));
    let waiting = begun(Begin::AtMinimum, PATIENT, &recorder);
    let mut waiting = std::pin::pin!(waiting);
    for _ in 0..20 {
        assert!(futures::poll!(&mut waiting).is_pending(), "they are there");
        sleep(Duration::from_millis(1)).await;
    }
    *recorder.seen() = seen((1, 1), Some(1), 0.0);
    waiting.await.expect("begins");
    *recorder.seen() = seen((10, 10), Some(10), 0.0);
    let short = Patience {
        limit: SHORT,
        ..PATIENT
    };
    let error = begun(Begin::AtMinimum, short, &recorder).await.expect_err("they stay");
    insta::assert_snapshot!(error, @"
    error: cannot show how the app scales: still 10 of 10 pods, 10 ready, the HPA wants 10 after 0.03 s

    hint: `provisioner status` shows why; without `--until-scaled` and `--max-scale-up` a load is sent at once
    ");
    assert_eq!(error.exit(), Exit::Failed);
}

#[tokio::test]
async fn what_cannot_become_so_is_refused_before_it_is_waited_for_long() {
    let short = Patience {
        seen: SHORT,
        echo: SHORT,
        ..PATIENT
    };
    let others = recorder(seen((10, 10), Some(10), 95.0));
    let others = begun(Begin::AtMinimum, short, &others).await.expect_err("others");
    assert!(others.message().contains("others send 95 requests/s"), "{others}");
    let unseen = begun(Begin::Settled, short, &Recorder::default()).await;
    let mut deleted = seen((10, 10), Some(10), 0.0);
    deleted.hpa[0].gone = true;
    let deleted = begun(Begin::AtMinimum, short, &recorder(deleted))
        .await
        .expect_err("deleted");
    assert!(deleted.message().ends_with("cannot be seen"), "{deleted}");
    let mut fixed = seen((3, 3), Some(3), 0.0);
    fixed.hpa[0].min = 10;
    let fixed = begun(Begin::Settled, PATIENT, &recorder(fixed))
        .await
        .expect_err("fixed");
    assert!(fixed.message().contains("are both 10"), "{fixed}");
    assert_eq!(
        [others.exit(), unseen.expect_err("unseen").exit(), fixed.exit()],
        [Exit::Usage; 3],
        "nothing was changed"
    );
}

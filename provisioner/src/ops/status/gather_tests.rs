//! What the live view asks of a cluster, over the wire: how much, how often, and that nothing holds up the rest.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use kube::client::Body;
use serde_json::{Value, json};

use super::*;
use crate::chain::Commands;
use crate::cluster::app::App;
use crate::cluster::values::Namespaces;

/// The paths that were asked.
type Asked = Arc<Mutex<Vec<String>>>;

/// Seconds of the view are milliseconds of a test, times this.
const MILLIS: u32 = 10;

/// A cluster that answers everything at once, but for what has `hangs` in its path.
fn cluster(hangs: &'static str) -> (Cluster, Asked) {
    let asked = Asked::default();
    let heard = Arc::clone(&asked);
    let service = tower::service_fn(move |request: http::Request<Body>| {
        let path = request.uri().path().to_owned();
        heard.lock().unwrap().push(path.clone());
        async move {
            if !hangs.is_empty() && path.contains(hangs) {
                std::future::pending::<()>().await;
            }
            Ok::<_, std::convert::Infallible>(http::Response::new(Body::from(answer(&path).to_string().into_bytes())))
        }
    });
    (Cluster::from_client(kube::Client::new(service, "default")), asked)
}

fn answer(path: &str) -> Value {
    let pod = |index: u64| {
        json!({"metadata": {"name": format!("web-app-1-{index}"), "labels": {"pod-template-hash": "1"},
            "ownerReferences": [{"kind": "ReplicaSet", "name": "web-app-1"}]},
            "spec": {"containers": [{"ports": [{"name": "http", "containerPort": 8080}]}]},
            "status": {"conditions": [{"type": "Ready", "status": "True"}]}})
    };
    match path.rsplit('/').next() {
        Some("pods") => json!({"items": (0..10).map(pod).collect::<Vec<_>>()}),
        Some("web-app") => json!({"status": {"replicas": 10, "readyReplicas": 10}}),
        _ => json!({}),
    }
}

fn scene() -> Scene {
    let word = || "provisioner".to_owned();
    Scene {
        namespaces: Namespaces::default(),
        app: App::default(),
        commands: Commands {
            kubectl: word(),
            bootstrap: word(),
            load: word(),
        },
        now: Timestamp::UNIX_EPOCH,
    }
}

/// What is told within so many seconds of the view, or in more of them until it is enough, since a busy machine is slow; and
/// how many seconds it were. The view is paused from the beginning or not.
async fn told(cluster: &Cluster, seconds: u32, is_paused: bool, enough: impl Fn(&[News]) -> bool) -> (Vec<News>, f64) {
    let route = Route {
        namespaces: Namespaces::default(),
        prometheus: None,
    };
    let fast = |pace: Duration| pace * MILLIS / 1000;
    let gatherer = Gatherer {
        cluster,
        route: &route,
        scene: scene(),
        pace: Pace {
            figures: fast(PACE.figures),
            slower: fast(PACE.slower),
            walk: fast(PACE.walk),
            rarely: fast(PACE.rarely),
        },
    };
    let (desk, mut arriving) = Desk::new();
    desk.is_paused.send_replace(is_paused);
    let span = fast(Duration::from_secs(seconds.into()));
    let began = Instant::now();
    let mut news = Vec::new();
    let mut going = Box::pin(gatherer.go_on(&desk));
    while began.elapsed() < span || !enough(&news) {
        assert!(began.elapsed() < Duration::from_secs(30), "{news:?}");
        tokio::select! {
            () = &mut going => panic!("it goes on"),
            Some(one) = arriving.recv() => news.push(one),
            () = tokio::time::sleep(fast(PACE.figures)) => {}
        }
    }
    let millis = began.elapsed().as_secs_f64() * 1000.0;
    (news, millis / f64::from(MILLIS))
}

fn looks(news: &[News]) -> usize {
    news.iter().filter(|one| matches!(one, News::Figures(Ok(_)))).count()
}

fn walks(news: &[News]) -> usize {
    news.iter().filter(|one| matches!(one, News::Diagnosis(_))).count()
}

/// Looks that told everything that moves.
fn full(news: &[News]) -> usize {
    let full = news.iter().filter(|one| match one {
        News::Figures(Ok(figures)) => {
            figures.board.sample.ready == 10 && figures.pods.as_ref().is_ok_and(|pods| pods.len() == 10)
        }
        _ => false,
    });
    full.count()
}

fn whys(news: &[News]) -> Vec<&String> {
    let whys = news.iter().filter_map(|one| match one {
        News::Figures(Err(why)) => Some(why),
        _ => None,
    });
    whys.collect()
}

fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap())
}

#[tokio::test]
async fn a_minute_of_watching_asks_no_more_than_eight_questions_a_second() {
    let (cluster, asked) = cluster("");
    let enough = |news: &[News]| looks(news) >= 5 && walks(news) >= 1;
    let (news, seconds) = told(&cluster, 60, false, enough).await;
    let asked = asked.lock().unwrap();
    assert!(
        number(asked.len()) <= 8.0 * seconds,
        "{} questions in {seconds} s",
        asked.len()
    );
    assert!(number(looks(&news)) <= seconds + 1.0, "{} looks", looks(&news));
    assert!(number(walks(&news)) <= seconds / 20.0 + 1.0, "{} walks", walks(&news));
    // Pods are not asked for one by one, however many there are: a walk looks at three.
    let of_pods = asked
        .iter()
        .filter(|path| path.contains("/pods/http:web-app-1-"))
        .count();
    assert!((1..=3 * (walks(&news) + 1)).contains(&of_pods), "{of_pods}");
}

#[tokio::test]
async fn a_paused_view_asks_nothing() {
    let (cluster, asked) = cluster("");
    told(&cluster, 60, true, |news| !news.is_empty()).await;
    let asked = asked.lock().unwrap();
    // What was before the view is asked for once.
    assert!(
        asked.iter().all(|path| path.ends_with("/query_range")) && asked.len() == 1,
        "{asked:?}"
    );
}

#[tokio::test]
async fn what_a_pause_kept_from_being_asked_is_asked_once_at_its_end() {
    let (desk, mut arriving) = Desk::new();
    desk.is_paused.send_replace(true);
    let ask = || async { News::Rescales(Ok(Vec::new())) };
    let mut going = Box::pin(desk.every(Duration::from_hours(1), ask));
    let mut within = async |millis| {
        tokio::select! {
            () = &mut going => panic!("it goes on"),
            one = arriving.recv() => one.is_some(),
            () = tokio::time::sleep(Duration::from_millis(millis)) => false,
        }
    };
    assert!(!within(50).await, "it is paused");
    desk.is_paused.send_replace(false);
    assert!(within(20_000).await, "not an hour later");
    assert!(!within(50).await, "and the next only then");
}

#[tokio::test]
async fn what_hangs_keeps_nothing_else_from_being_told() {
    for hangs in ["custom.metrics", "/proxy/", "metrics.k8s.io", "/events"] {
        let (cluster, asked) = cluster(hangs);
        let (_, seconds) = told(&cluster, 60, false, |news| full(news) >= 3).await;
        let asked = asked.lock().unwrap().len();
        assert!(
            number(asked) <= 8.0 * seconds,
            "{hangs}: {asked} questions in {seconds} s"
        );
    }
}

#[tokio::test]
async fn a_cluster_that_is_gone_is_told_again_and_again() {
    let gone = tower::service_fn(|_: http::Request<Body>| async {
        Err::<http::Response<Body>, _>(std::io::Error::from(std::io::ErrorKind::ConnectionRefused))
    });
    let cluster = Cluster::from_client(kube::Client::new(gone, "default"));
    let (news, _) = told(&cluster, 60, false, |news| whys(news).len() >= 5).await;
    let whys = whys(&news);
    assert!(
        whys.iter().all(|why| why.contains("Deployment `web-app/web-app`")),
        "{whys:?}"
    );
}

//! Runs cases against a target for a while, and looks at what must not happen in any.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use fastrand::Rng;

use crate::world::World;
use crate::{Options, archive, registry, settings};

/// How much memory one case may take in kB: a zstd window of 128 MiB, which is kept twice while it is filled, the longest
/// manifests, and what reading them takes.
const MOST_MEMORY: u64 = 512 * 1024;
/// How long one case may take.
const LONGEST: Duration = Duration::from_mins(1);

/// What a case came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Accepted,
    Refused,
}

/// What is given foreign bytes.
struct Target {
    name: &'static str,
    /// Its share of the time.
    weight: u64,
    /// One case; the error is what must not be.
    run: fn(&mut Rng, &World) -> Result<Outcome, String>,
}

const TARGETS: [Target; 6] = [
    Target {
        name: "references",
        weight: 1,
        run: settings::references,
    },
    Target {
        name: "binaries",
        weight: 1,
        run: settings::binaries,
    },
    Target {
        name: "settings",
        weight: 1,
        run: settings::file,
    },
    Target {
        name: "archive",
        weight: 4,
        run: archive::archive,
    },
    Target {
        name: "layout",
        weight: 2,
        run: archive::layout,
    },
    Target {
        name: "registry",
        weight: 3,
        run: registry::registry,
    },
];

/// The last panic of any thread: those of the runtime's own come back as mere errors.
static PANIC: Mutex<Option<String>> = Mutex::new(None);
/// The case that is under way, and since when.
static UNDER_WAY: Mutex<Option<(String, Instant)>> = Mutex::new(None);

/// Runs the targets one after the other; fails where one case of them did.
pub(crate) fn run(options: &Options, world: &World) -> ExitCode {
    watch();
    let chosen: Vec<&Target> = TARGETS
        .iter()
        .filter(|target| options.target.as_deref().is_none_or(|name| name == target.name))
        .collect();
    if chosen.is_empty() {
        let names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
        eprintln!("error: the targets are {}", names.join(", "));
        return ExitCode::from(2);
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let seed = options.seed.unwrap_or_else(|| now.map_or(0, |since| since.as_secs()));
    eprintln!("fuzz: seed {seed}, {} s", options.seconds);
    let weights: u64 = chosen.iter().map(|target| target.weight).sum();
    let mut failed = false;
    for target in chosen {
        let mut numbers = Rng::with_seed(seed);
        let until = Instant::now() + Duration::from_millis(1000 * options.seconds * target.weight / weights);
        let cases: Box<dyn Iterator<Item = u64>> = if let Some(case) = options.case {
            Box::new(std::iter::once(case))
        } else {
            Box::new(std::iter::from_fn(move || {
                (Instant::now() < until).then(|| numbers.u64(..))
            }))
        };
        failed |= !series(target, cases, world);
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Whether all of `cases` went well; the first that did not is told and ends it.
fn series(target: &Target, cases: impl Iterator<Item = u64>, world: &World) -> bool {
    let (mut accepted, mut refused) = (0, 0);
    for case in cases {
        match one(target, case, world) {
            Ok(Outcome::Accepted) => accepted += 1,
            Ok(Outcome::Refused) => refused += 1,
            Err(finding) => {
                eprintln!("{}: {finding}\n{}", target.name, repeat(target, case));
                return false;
            }
        }
    }
    eprintln!("{}: {accepted} accepted, {refused} refused", target.name);
    // Inputs of which all end the same way would find nothing.
    let is_one_sided = (accepted == 0 || refused == 0) && accepted + refused > 1000;
    if is_one_sided {
        eprintln!("{}: its inputs are no good", target.name);
    }
    !is_one_sided
}

fn repeat(target: &Target, case: u64) -> String {
    format!(
        "to repeat it: cargo test -p provisioner --test fuzz -- --target {} --case {case}",
        target.name
    )
}

fn one(target: &Target, case: u64, world: &World) -> Result<Outcome, String> {
    let repeat = repeat(target, case);
    world.next(&repeat);
    *held(&UNDER_WAY) = Some((repeat, Instant::now()));
    world.begin();
    let mut rng = Rng::with_seed(case);
    let outcome = catch_unwind(AssertUnwindSafe(|| (target.run)(&mut rng, world)));
    *held(&UNDER_WAY) = None;
    if let Some(panic) = held(&PANIC).take() {
        return Err(format!("panic: {panic}"));
    }
    let grown = world.grown();
    if grown > MOST_MEMORY {
        return Err(format!("it took {grown} kB of memory"));
    }
    let strays = world.strays();
    if !strays.is_empty() {
        return Err(format!("it wrote, left or removed {}", strays.join(", ")));
    }
    outcome.unwrap_or_else(|_| Err("panic".to_owned()))
}

/// Writes panics down instead of telling them, and ends the process where a case does not end.
fn watch() {
    std::panic::set_hook(Box::new(|info| *held(&PANIC) = Some(info.to_string())));
    std::thread::spawn(|| {
        loop {
            std::thread::sleep(Duration::from_secs(1));
            let under_way = held(&UNDER_WAY).clone();
            if let Some((repeat, _)) = under_way.filter(|(_, since)| since.elapsed() > LONGEST) {
                eprintln!("a case takes longer than {} s\n{repeat}", LONGEST.as_secs());
                std::process::abort();
            }
        }
    });
}

fn held<T>(shared: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

//! What the kernel knows of the process, read at each scrape.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::metrics::Meter;

/// Clock ticks per second in `/proc/PID/stat`: the kernel's `USER_HZ`, 100 on every architecture that we build for
/// (proc(5), sysconf(3)).
const TICKS_PER_SECOND: f64 = 100.0;

/// Registers the `process_*` series that Prometheus's own client libraries have, under their names. Where the kernel does
/// not tell, the series are absent.
pub(crate) fn observe(meter: &Meter) {
    // The exporter appends the unit, and `_total` to the counter.
    meter
        .f64_observable_counter("process.cpu")
        .with_unit("s")
        .with_description("User and system CPU time of the process")
        .with_callback(|cpu| {
            if let Some(stat) = stat() {
                cpu.observe(stat.cpu_s, &[]);
            }
        })
        .build();
    gauge(
        meter,
        "process.resident.memory",
        "By",
        "Resident memory of the process",
        || read("/proc/self/status").as_deref().and_then(resident_bytes),
    );
    gauge(
        meter,
        "process.virtual.memory",
        "By",
        "Virtual memory of the process",
        || stat().map(|stat| stat.virtual_bytes),
    );
    gauge(meter, "process.threads", "{thread}", "Threads of the process", || {
        stat().map(|stat| stat.threads)
    });
    gauge(
        meter,
        "process.open_fds",
        "{fd}",
        "Open file descriptors of the process",
        || {
            // Listing them opens one.
            let open = std::fs::read_dir("/proc/self/fd").ok()?.count();
            u64::try_from(open.saturating_sub(1)).ok()
        },
    );
    gauge(
        meter,
        "process.max_fds",
        "{fd}",
        "Most file descriptors that the process may open",
        || read("/proc/self/limits").as_deref().and_then(max_fds),
    );
    let started = started();
    meter
        .f64_observable_gauge("process.start_time")
        .with_unit("s")
        .with_description("When the process started, in seconds since 1970")
        .with_callback(move |time| {
            if let Some(started) = started {
                time.observe(started, &[]);
            }
        })
        .build();
}

fn gauge(
    meter: &Meter,
    name: &'static str,
    unit: &'static str,
    description: &'static str,
    value: impl Fn() -> Option<u64> + Send + Sync + 'static,
) {
    meter
        .u64_observable_gauge(name)
        .with_unit(unit)
        .with_description(description)
        .with_callback(move |gauge| {
            if let Some(value) = value() {
                gauge.observe(value, &[]);
            }
        })
        .build();
}

fn read(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

/// What `/proc/self/stat` tells.
#[derive(Debug, PartialEq)]
struct Stat {
    cpu_s: f64,
    threads: u64,
    /// Since the machine started.
    started_s: f64,
    virtual_bytes: u64,
}

fn stat() -> Option<Stat> {
    parse_stat(&read("/proc/self/stat")?)
}

/// Fields by their numbers in proc(5). Field 2, the program's name, may hold spaces and brackets: fields count from its
/// last one.
fn parse_stat(stat: &str) -> Option<Stat> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3);
    let ticks = |number| field(number)?.parse::<u32>().ok().map(f64::from);
    Some(Stat {
        cpu_s: (ticks(14)? + ticks(15)?) / TICKS_PER_SECOND,
        threads: field(20)?.parse().ok()?,
        started_s: field(22)?.parse::<f64>().ok()? / TICKS_PER_SECOND,
        virtual_bytes: field(23)?.parse().ok()?,
    })
}

/// Seconds since 1970, to the hundredth: from the age of the process, since the kernel's own start time (`btime`) has whole
/// seconds only.
fn started() -> Option<f64> {
    let uptime = read("/proc/uptime")?;
    let up: f64 = uptime.split_whitespace().next()?.parse().ok()?;
    let age = Duration::try_from_secs_f64(up - stat()?.started_s).unwrap_or_default();
    let started = SystemTime::now().checked_sub(age)?;
    Some(started.duration_since(UNIX_EPOCH).ok()?.as_secs_f64())
}

/// `VmRSS`, which is in KiB whatever the size of a page.
fn resident_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024)
}

/// The soft limit; `unlimited` counts as unknown.
fn max_fds(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_fields_are_read_past_any_name() {
        let stat = "7 (a b) c) S 1 7 7 0 -1 4194560 109 0 0 0 250 50 9 9 20 0 3 0 100 4096 2 3";
        let expected = Stat {
            cpu_s: 3.0,
            threads: 3,
            started_s: 1.0,
            virtual_bytes: 4096,
        };
        assert_eq!(parse_stat(stat), Some(expected));
        assert_eq!(parse_stat("7 (a) S 1"), None);
    }

    #[test]
    fn memory_is_read_in_bytes() {
        assert_eq!(resident_bytes("Name:\tapp\nVmRSS:\t    2048 kB\n"), Some(2_097_152));
        assert_eq!(resident_bytes("Name:\tapp\n"), None);
    }

    #[test]
    fn the_soft_limit_of_descriptors_counts() {
        let limits = |soft| format!("Max processes  1  1  processes\nMax open files  {soft}  4096  files\n");
        assert_eq!(max_fds(&limits("1024")), Some(1024));
        assert_eq!(max_fds(&limits("unlimited")), None);
    }

    #[test]
    fn this_process_started_a_moment_ago() {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
        let started = started().unwrap();
        assert!((now - 3600.0..now + 1.0).contains(&started), "{started} of {now}");
    }
}

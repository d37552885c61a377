//! CPU time and memory of the process, read from the kernel at each scrape.

use opentelemetry::metrics::Meter;

/// Clock ticks per second in `/proc/PID/stat`: the kernel's `USER_HZ`, 100 on every architecture that we build for
/// (proc(5), sysconf(3)).
const TICKS_PER_SECOND: f64 = 100.0;

/// Registers `process_cpu_seconds_total` and `process_resident_memory_bytes`, the names that Prometheus's own client
/// libraries use. Where the kernel does not tell, the series are absent.
pub(crate) fn observe(meter: &Meter) {
    // The exporter appends the unit, and `_total` to the counter.
    meter
        .f64_observable_counter("process.cpu")
        .with_unit("s")
        .with_description("User and system CPU time of the process")
        .with_callback(|cpu| {
            if let Some(seconds) = read("/proc/self/stat").as_deref().and_then(cpu_seconds) {
                cpu.observe(seconds, &[]);
            }
        })
        .build();
    meter
        .u64_observable_gauge("process.resident.memory")
        .with_unit("By")
        .with_description("Resident memory of the process")
        .with_callback(|memory| {
            if let Some(bytes) = read("/proc/self/status").as_deref().and_then(resident_bytes) {
                memory.observe(bytes, &[]);
            }
        })
        .build();
}

fn read(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

/// Fields 14 and 15, `utime` and `stime`. Field 2, the program's name, may hold spaces and brackets: fields count from
/// its last one.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut ticks = after_name.split_whitespace().skip(11).map(str::parse::<u32>);
    let (user, system) = (ticks.next()?.ok()?, ticks.next()?.ok()?);
    Some((f64::from(user) + f64::from(system)) / TICKS_PER_SECOND)
}

/// `VmRSS`, which is in KiB whatever the size of a page.
fn resident_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_read_past_any_name() {
        let stat = "7 (a b) c) S 1 7 7 0 -1 4194560 109 0 0 0 250 50 9 9 20 0 1 0 100 1 2 3";
        assert_eq!(cpu_seconds(stat), Some(3.0));
        assert_eq!(cpu_seconds("7 (a) S 1"), None);
    }

    #[test]
    fn memory_is_read_in_bytes() {
        assert_eq!(resident_bytes("Name:\tapp\nVmRSS:\t    2048 kB\n"), Some(2_097_152));
        assert_eq!(resident_bytes("Name:\tapp\n"), None);
    }
}

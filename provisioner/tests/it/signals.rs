//! A signal ends the program at once, with its own exit code, after saying how to go on.

use std::net::TcpListener;
use std::time::Duration;

use crate::run::Run;

#[test]
fn a_signal_ends_a_command_with_the_way_to_resume_it() {
    for (signal, code, word) in [("INT", 130, "interrupted"), ("TERM", 143, "terminated")] {
        // It accepts and never answers.
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let run = Run::of("push --cluster demo --region eu-west-1")
            .file("Cargo.toml", "[workspace]\n")
            .aws(&format!("http://{}", silent.local_addr().unwrap()));
        let child = run.start();
        // The program is connected, so its handlers are in place.
        let (_connection, _) = silent.accept().unwrap();
        std::thread::sleep(Duration::from_millis(100));
        child.signal(signal);
        let stderr = child.end().refused(code);
        assert!(stderr.contains(&format!("error: {word}")), "{stderr}");
        assert!(
            stderr.contains("to resume:  provisioner push --cluster demo --region eu-west-1"),
            "{stderr}"
        );
        assert!(stderr.contains("to remove:  provisioner teardown"), "{stderr}");
    }
}

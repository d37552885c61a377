//! A signal ends the program at once, with its own exit code, after saying how to go on.

use std::net::TcpListener;
use std::time::Duration;

use crate::fake_aws::FakeAws;
use crate::run::Run;

#[test]
fn a_signal_ends_a_command_with_the_way_to_resume_it() {
    for (signal, code, word) in [("INT", 130, "interrupted"), ("TERM", 143, "terminated")] {
        // It accepts and never answers.
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let run = Run::in_workspace("push --cluster demo --region eu-west-1")
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
        assert!(!stderr.contains("to remove:"), "nothing was made: {stderr}");
    }
}

#[test]
fn a_question_takes_an_answer_and_a_signal() {
    for (keys, code, says) in [
        ("n\n", 2, "not confirmed, nothing was changed"),
        ("\n", 2, "not confirmed, nothing was changed"),
        ("\u{3}", 130, "error: interrupted"),
    ] {
        let aws = FakeAws::start();
        let run = Run::in_workspace("bootstrap --cluster demo --region eu-west-1 --create-cluster");
        let mut child = run.aws(&aws.url).on_a_terminal().start();
        child.answer("[y/N]", keys);
        let ended = child.end();
        // A terminal has one stream.
        assert_eq!(ended.code(), code, "{}", ended.stdout());
        assert!(ended.stdout().contains(says), "{}", ended.stdout());
    }
}

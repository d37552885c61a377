//! A running `app serve` and a plain HTTP client.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// Every wait ends by then; on a busy machine most of it is never needed.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// The binary, without the settings of whoever runs the tests.
pub(crate) fn app(args: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_app"));
    command.args(args.split_whitespace());
    for (name, _) in std::env::vars() {
        if ["APP_", "LOAD_", "OTEL_", "POD_"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
        {
            command.env_remove(name);
        }
    }
    command
}

pub(crate) fn run(args: &str) -> Output {
    app(args).output().unwrap()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Polls until `condition` gives a value.
pub(crate) fn wait_for<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < end, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

pub(crate) fn signal(child: &Child, signal: Signal) {
    kill(Pid::from_raw(child.id().try_into().unwrap()), signal).unwrap();
}

pub(crate) fn wait_exit(child: &mut Child) -> ExitStatus {
    wait_for("the process to exit", || child.try_wait().unwrap())
}

/// A running `app serve` named `web-1` in `shop`, killed on drop.
pub(crate) struct Service {
    pub(crate) child: Child,
    pub(crate) address: SocketAddr,
    log: Receiver<Value>,
}

impl Service {
    pub(crate) fn start(args: &str) -> Self {
        Self::start_with(args, &[])
    }

    /// With more variables in its environment.
    pub(crate) fn start_with(args: &str, variables: &[(&str, &str)]) -> Self {
        let mut child = app(&format!("serve --addr 127.0.0.1:0 --log-format json {args}"))
            .env("POD_NAME", "web-1")
            .env("POD_NAMESPACE", "shop")
            .envs(variables.iter().copied())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (sender, log) = channel();
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let line = serde_json::from_str(&line).unwrap_or(Value::String(line));
                sender.send(line).ok();
            }
        });
        let unbound = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut service = Self {
            child,
            address: unbound,
            log,
        };
        service.address = service.logged("listening")["address"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap();
        service
    }

    /// The next log line with this message; earlier ones are taken, too.
    pub(crate) fn logged(&self, message: &str) -> Value {
        let end = Instant::now() + DEADLINE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let line = self
                .log
                .recv_timeout(left)
                .unwrap_or_else(|_| panic!("`{message}` was not logged"));
            if line["message"].as_str().is_some_and(|text| text.contains(message)) {
                return line;
            }
        }
    }

    pub(crate) fn next_logged(&self) -> Value {
        self.log.recv_timeout(DEADLINE).unwrap()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        Client::connect(self.address).request("GET", path)
    }

    pub(crate) fn signal(&self, name: Signal) {
        signal(&self.child, name);
    }

    /// `http_requests_total` as the exposition gives it: names, labels, value.
    pub(crate) fn requests_total(&self) -> Vec<String> {
        let text = self.get("/metrics").body;
        text.lines()
            .filter(|line| line.starts_with("http_requests_total"))
            .map(str::to_owned)
            .collect()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// One connection.
pub(crate) struct Client(BufReader<TcpStream>);

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        Self(BufReader::new(stream))
    }

    pub(crate) fn write(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).unwrap();
    }

    pub(crate) fn request(&mut self, method: &str, path: &str) -> Answer {
        self.write(&format!("{method} {path} HTTP/1.1\r\nhost: test\r\n\r\n"));
        self.answer()
    }

    /// None where the server closes the connection instead of answering.
    pub(crate) fn try_request(&mut self, method: &str, path: &str) -> Option<Answer> {
        let request = format!("{method} {path} HTTP/1.1\r\nhost: test\r\n\r\n");
        self.0.get_mut().write_all(request.as_bytes()).ok()?;
        self.0
            .fill_buf()
            .is_ok_and(|bytes| !bytes.is_empty())
            .then(|| self.answer())
    }

    pub(crate) fn into_stream(self) -> TcpStream {
        self.0.into_inner()
    }

    pub(crate) fn answer(&mut self) -> Answer {
        let mut answer = self.head();
        let length: u64 = answer
            .header("content-length")
            .map_or(0, |length| length.parse().unwrap());
        (&mut self.0).take(length).read_to_string(&mut answer.body).unwrap();
        answer
    }

    /// An answer without a body.
    pub(crate) fn head(&mut self) -> Answer {
        let head = read_head(&mut self.0).expect("the server closed the connection");
        let status = head[0].split(' ').nth(1).unwrap().parse().unwrap();
        let headers: Vec<_> = head[1..]
            .iter()
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        Answer {
            status,
            headers,
            body: String::new(),
        }
    }

    pub(crate) fn is_at_end(&mut self) -> bool {
        self.0.fill_buf().is_ok_and(<[u8]>::is_empty)
    }
}

/// The lines of a head; None at the end of the connection.
pub(crate) fn read_head(stream: &mut impl BufRead) -> Option<Vec<String>> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => return Some(lines),
            text => lines.push(text.to_owned()),
        }
    }
}

//! A server whose manners the tests choose.

use std::io::{BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::support::read_head;

/// What a [`Peer`] does with its `nth` request, which is the `on_connection`th of its connection, both from 1: the text to
/// write, None for silence, and whether to hang up then.
pub(crate) type Manners = fn(nth: usize, on_connection: usize) -> (Option<&'static str>, bool);

pub(crate) const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
pub(crate) const TRUNCATED: &str = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok";
pub(crate) const ERROR: &str = "HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n";

/// A server that counts the requests of each connection.
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    connections: Arc<Mutex<Vec<usize>>>,
}

impl Peer {
    pub(crate) fn start(manners: Manners) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(Mutex::new(Vec::new()));
        let counts = Arc::clone(&connections);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let counts = Arc::clone(&counts);
                thread::spawn(move || converse(stream, &counts, manners));
            }
        });
        Self { address, connections }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// How many requests each connection carried.
    pub(crate) fn per_connection(&self) -> Vec<usize> {
        self.connections.lock().unwrap().clone()
    }

    pub(crate) fn requests(&self) -> usize {
        self.per_connection().iter().sum()
    }
}

fn converse(stream: TcpStream, counts: &Mutex<Vec<usize>>, manners: Manners) {
    let index = {
        let mut counts = counts.lock().unwrap();
        counts.push(0);
        counts.len() - 1
    };
    let mut stream = BufReader::new(stream);
    while read_head(&mut stream).is_some() {
        let (nth, on_connection) = {
            let mut counts = counts.lock().unwrap();
            counts[index] += 1;
            (counts.iter().sum(), counts[index])
        };
        let (text, hang_up) = manners(nth, on_connection);
        if let Some(text) = text {
            stream.get_mut().write_all(text.as_bytes()).ok();
        }
        if hang_up {
            return;
        }
    }
}

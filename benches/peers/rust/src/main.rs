//! Kiln, and each Rust peer, as a process: lines of JSON come on standard input, and one answers each.
//! `../python/server.py`, which says what the messages are, serves the peers that Python calls.

mod candle;
mod copy;
mod fidget;
mod kiln;
mod memory;
mod ndarray;
mod peer;
mod products;
mod symjit;

use memory::Arena;
use peer::{Array, Bound, Case, Peer, Unable};
use serde::Deserialize;
use serde_json::{Value, json};
use std::io::{BufRead, Write};
use std::time::{Duration, Instant};

/// What is asked of a server.
#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "lowercase")]
enum Message {
    Hello,
    Open(Case),
    Place { offsets: Vec<usize> },
    Time { seconds: f64 },
    Result { file: String },
    Close,
}

/// A case, and where its arrays lie.
struct Open {
    // Dropped before the memory that it points to.
    bound: Option<Bound>,
    case: Case,
    inputs: Vec<Vec<u8>>,
    arenas: Vec<Arena>,
    output: Array,
}

struct Server {
    peer: &'static dyn Peer,
    open: Option<Open>,
}

impl Server {
    fn answer(&mut self, message: Message) -> Result<Value, Unable> {
        match message {
            Message::Hello => {
                let knows: Vec<&str> = self.peer.knows().split(' ').collect();
                return Ok(json!({"version": self.peer.version(), "knows": knows}));
            }
            Message::Open(case) => {
                let read = |one: &peer::Input| std::fs::read(&one.file).map_err(|e| e.to_string());
                let inputs = case.inputs.iter().map(read).collect::<Result<Vec<_>, _>>()?;
                let output: usize = case.shape.iter().product::<usize>() * case.dtype.bytes();
                let sizes = inputs.iter().map(Vec::len).chain([output]);
                let arenas: Vec<Arena> = sizes.map(Arena::new).collect();
                let output = Array::new(&arenas[inputs.len()], 0, &case.shape, case.dtype, false);
                let offsets = vec![0; arenas.len()];
                self.open = Some(Open { bound: None, case, inputs, arenas, output });
                self.place(&offsets)?;
                self.time(Duration::ZERO)?;
            }
            Message::Place { offsets } => self.place(&offsets)?,
            Message::Time { seconds } => return self.time(Duration::from_secs_f64(seconds)),
            Message::Result { file } => {
                let open = self.open()?;
                let bound = open.bound.as_mut().expect("an open case is bound");
                (bound.call)();
                (bound.read)();
                std::fs::write(file, open.output.bytes()).map_err(|error| error.to_string())?;
            }
            Message::Close => self.open = None,
        }
        Ok(json!({}))
    }

    fn open(&mut self) -> Result<&mut Open, Unable> {
        self.open.as_mut().ok_or_else(|| "no case is open".to_string())
    }

    /// Lays the arrays out anew, and binds them to a call.
    fn place(&mut self, offsets: &[usize]) -> Result<(), Unable> {
        let peer = self.peer;
        let open = self.open()?;
        open.bound = None;
        let dtype = open.case.dtype;
        let mut arrays = Vec::new();
        for (at, one) in open.case.inputs.iter().enumerate() {
            let array =
                Array::new(&open.arenas[at], offsets[at], &one.stored, dtype, one.transposed);
            array.bytes().copy_from_slice(&open.inputs[at]);
            arrays.push(array);
        }
        let last = open.case.inputs.len();
        open.output = Array::new(&open.arenas[last], offsets[last], &open.case.shape, dtype, false);
        open.bound = Some(peer.bind(&open.case, &arrays, &open.output)?);
        Ok(())
    }

    /// The median and the smallest time of a call in nanoseconds.
    fn time(&mut self, length: Duration) -> Result<Value, Unable> {
        /// Long enough for the clock.
        const BATCH: u128 = 50_000;
        let call = &mut self.open()?.bound.as_mut().expect("an open case is bound").call;
        call();
        let start = Instant::now();
        call();
        let once = start.elapsed().as_nanos().max(1);
        let count = (BATCH / once).clamp(1, 10_000);
        let mut times = Vec::new();
        // A call that takes longer than a visit is timed as it is, not once more.
        if once > length.as_nanos().max(BATCH) {
            times.push(once as f64);
        }
        while times.is_empty() || start.elapsed() < length {
            let before = Instant::now();
            for _ in 0..count {
                call();
            }
            times.push(before.elapsed().as_nanos() as f64 / count as f64);
        }
        times.sort_by(f64::total_cmp);
        let calls = count as usize * times.len();
        Ok(json!({"ns": times[times.len() / 2], "low": times[0], "calls": calls}))
    }
}

fn main() {
    let name = std::env::args().nth(1).unwrap_or_default();
    let Some((_, peer)) = peer::PEERS.iter().find(|(known, _)| *known == name) else {
        eprintln!("no peer is named {name:?}");
        std::process::exit(2);
    };
    let mut server = Server { peer: *peer, open: None };
    let mut answers = std::io::stdout();
    for line in std::io::stdin().lock().lines() {
        let line = line.expect("standard input is text");
        let message = serde_json::from_str(&line).expect("a message is JSON of a known kind");
        let answer = server.answer(message).unwrap_or_else(|why| json!({"unable": why}));
        writeln!(answers, "{answer}").and_then(|()| answers.flush()).expect("someone listens");
    }
}

//! Foreign bytes into everything that reads some: references, settings, archives, folders, answers of registries.
//!
//! Valid inputs are changed at random places, each from a number of its own, so that one case can be repeated by itself:
//!
//! ```text
//! cargo test -p provisioner --test fuzz -- [--seconds 60] [--seed N] [--target NAME] [--case N]
//! ```
//!
//! Whatever comes, there is no panic, no endless run, no more memory than a bound, no file left or written elsewhere; what
//! is refused is refused as the input's fault, and what is accepted is what it says it is. A driver of our own and no
//! libFuzzer: that one needs a nightly compiler. Inputs are made so that what is changed in the middle (a configuration,
//! a manifest) is named rightly by all above it, which takes the cases as deep without looking at the code's branches.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a test in a program of its own: it gives up loudly and talks on stderr"
)]

mod archive;
mod driver;
mod image;
mod mutate;
mod registry;
mod server;
mod settings;
mod verify;
mod world;

use std::process::ExitCode;

/// What to do.
#[derive(Debug, Clone, Default)]
struct Options {
    seconds: u64,
    seed: Option<u64>,
    target: Option<String>,
    case: Option<u64>,
}

impl Options {
    fn read(words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            seconds: 10,
            ..Self::default()
        };
        let mut words = words;
        while let Some(flag) = words.next() {
            let value = words.next().ok_or_else(|| format!("`{flag}` needs a value"))?;
            let number = || value.parse::<u64>().map_err(|_| format!("`{value}` is no number"));
            match flag.as_str() {
                "--seconds" => options.seconds = number()?,
                "--seed" => options.seed = Some(number()?),
                "--case" => options.case = Some(number()?),
                "--target" => options.target = Some(value),
                _ => return Err(format!("there is no `{flag}`")),
            }
        }
        if options.case.is_some() && options.target.is_none() {
            return Err("`--case` needs its `--target`".to_owned());
        }
        Ok(options)
    }
}

fn main() -> ExitCode {
    match Options::read(std::env::args().skip(1)) {
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::from(2)
        }
        Ok(options) => match world::World::inside() {
            Some(world) => driver::run(&options, &world),
            None => world::shut_in(),
        },
    }
}

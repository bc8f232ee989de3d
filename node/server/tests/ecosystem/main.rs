//! The server beside the tools of its field: stock `redis-cli`, the Python client and real
//! `redis-server` nodes. What is not installed is said, and what needs it is left out.
//!
//! Ports 7000 to 7009 of the guides stand for ten free ports in a row, `/opt/redis-cluster` for a
//! folder that is removed at the end.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says what it leaves out"
)]

mod answers;
mod figures;
mod guides;
mod load;
mod mixed;
mod place;
mod tools;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};
use place::Place;
use tools::{Tool, Tools};

/// A test: its name, what it needs beside this project's server, and what it does.
struct Test {
    name: &'static str,
    needs: &'static [Tool],
    run: fn(&mut Place),
}

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Clusters that share two cores would mistake each other's load for failures.
    arguments.test_threads.get_or_insert(1);
    let tools = Tools::find();
    let tests = [guides::TESTS, mixed::TESTS, load::TESTS, answers::TESTS]
        .into_iter()
        .flatten();
    let mut trials: Vec<Trial> = tests.map(|test| trial(test, &tools)).collect();
    let figures = figures::TESTS.iter();
    trials.extend(figures.map(|test| trial(test, &tools).with_ignored_flag(true)));
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn trial(test: &'static Test, tools: &Tools) -> Trial {
    let missing: Vec<Tool> = tools.missing(test.needs).collect();
    for tool in &missing {
        eprintln!("left out: {}: {}", test.name, tool.advice());
    }
    let tools = tools.clone();
    let run = move || {
        let mut place = Place::new(tools);
        let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| (test.run)(&mut place)));
        ran.map_err(|panic| Failed::from(place.report(panic.as_ref())))
    };
    Trial::test(test.name, run).with_ignored_flag(!missing.is_empty())
}

//! The server's log: Redis's lines on standard output or in a file.

use std::cell::Cell;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::PathBuf;

use redrill_node::{Fact, LogLevel, NodeId, Now};
use redrill_server::{Control, Observer};

/// Where and how loud a server logs.
pub(crate) struct Log {
    /// `None`: standard output.
    file: Option<PathBuf>,
    /// Until the node is there to ask.
    level: Cell<LogLevel>,
    control: Control,
}

/// What the letter before the time says of the process.
#[derive(Clone, Copy)]
enum Role {
    Starting,
    Master,
    Replica,
}

impl Log {
    /// A log into the file `path`, which is opened anew for each line so that it may be moved
    /// away; an empty path stands for standard output.
    pub(crate) fn new(path: &str, level: LogLevel, control: Control) -> Self {
        Self {
            file: (!path.is_empty()).then(|| path.into()),
            level: Cell::new(level),
            control,
        }
    }

    /// A line of a server that does not run yet.
    pub(crate) fn starting(&self, level: LogLevel, line: &str) {
        self.write(Role::Starting, level, line);
    }

    /// A line.
    pub(crate) fn line(&self, level: LogLevel, line: &str) {
        self.write(self.role(), level, line);
    }

    fn role(&self) -> Role {
        let is_replica = (self.control)
            .with_node(|node| !node.view().is_master())
            .unwrap_or_default();
        if is_replica {
            Role::Replica
        } else {
            Role::Master
        }
    }

    /// What is written may be lost when the disk is full or standard output gone; the server goes
    /// on.
    fn write(&self, role: Role, level: LogLevel, line: &str) {
        if let Some(level) = (self.control).with_node(|node| node.config().loglevel) {
            self.level.set(level);
        }
        if level < self.level.get() {
            return;
        }
        let role = match role {
            Role::Starting => 'C',
            Role::Master => 'M',
            Role::Replica => 'S',
        };
        let (pid, symbol) = (std::process::id(), level.symbol());
        let time = chrono::Local::now().format("%d %b %Y %H:%M:%S%.3f");
        let text = format!("{pid}:{role} {time} {symbol} {line}\n");
        let _ = match &self.file {
            None => io::stdout().lock().write_all(text.as_bytes()),
            Some(path) => OpenOptions::new()
                .append(true)
                .create(true)
                .open(path)
                .and_then(|mut file| file.write_all(text.as_bytes())),
        };
    }
}

impl Observer for Log {
    fn fact(&self, _: Now, fact: Fact) {
        let name = |node: NodeId| node.to_string();
        if fact.level() >= self.level.get() {
            self.line(fact.level(), &fact.log_line(&name));
        }
    }

    fn log(&self, _: Now, level: LogLevel, line: &str) {
        self.line(level, line);
    }
}

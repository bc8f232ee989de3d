//! Where a test runs: a folder, ten ports, and everything that was started there.

use std::any::Any;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::tools::{Tool, Tools};

/// How long a step may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// The ports the texts speak of.
const FIRST_PORT: u16 = 7000;

/// How many ports a place has.
const PORTS: u16 = 10;

/// Whose server runs at a port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Make {
    /// This project's.
    Redrill,
    /// The real one.
    Redis,
}

/// A folder and ports of a test's own; all that was started ends with it.
pub(crate) struct Place {
    tools: Tools,
    folder: TempDir,
    first_port: u16,
    groups: Vec<u32>,
    servers: Vec<(u16, Child)>,
    transcript: String,
}

/// What a step printed, and whether it succeeded.
#[derive(Debug)]
pub(crate) struct Printed {
    pub(crate) text: String,
    pub(crate) success: bool,
}

impl Place {
    pub(crate) fn new(tools: Tools) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let bin = folder.path().join("bin");
        fs::create_dir(&bin).unwrap();
        // The texts start `redis-server`: here that is this project's, unless one wants to see
        // what the real one makes of the same steps.
        let server = std::env::var_os("GUIDE_SERVER")
            .unwrap_or_else(|| env!("CARGO_BIN_EXE_redrill-server").into());
        std::os::unix::fs::symlink(server, bin.join("redis-server")).unwrap();
        Self {
            tools,
            folder,
            first_port: free_ports(),
            groups: Vec::new(),
            servers: Vec::new(),
            transcript: String::new(),
        }
    }

    /// The folder that stands for `/opt/redis-cluster`.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The port that stands for this one of the texts.
    pub(crate) fn port(&self, port: u16) -> u16 {
        assert!(
            (FIRST_PORT..FIRST_PORT + PORTS).contains(&port),
            "port {port}"
        );
        self.first_port + port - FIRST_PORT
    }

    /// A text with this place's ports and folder for those it names.
    fn here(&self, text: &str) -> String {
        let mut text = text.replace("/opt/redis-cluster", &self.folder().to_string_lossy());
        for port in FIRST_PORT..FIRST_PORT + PORTS {
            text = text.replace(&port.to_string(), &self.port(port).to_string());
        }
        text
    }

    /// Runs a step of a guide in a shell, with `answers` for what it asks, one a question. Servers
    /// it leaves behind run on until the end of the test.
    pub(crate) fn shell_with(&mut self, step: &str, answers: &[&str]) -> Printed {
        let step = self.here(step);
        // Servers that a step leaves behind go on printing to its file.
        let output = self.folder().join(format!("output-{}", self.groups.len()));
        let mut path = OsString::from(self.folder().join("bin"));
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        let mut child = Command::new("bash")
            .args(["-c", &step])
            .current_dir(self.folder())
            .env("PATH", path)
            .stdin(Stdio::piped())
            .stdout(File::create(&output).unwrap())
            .stderr(File::options().append(true).open(&output).unwrap())
            .process_group(0)
            .spawn()
            .expect("bash runs");
        self.groups.push(child.id());
        let mut input = child.stdin.take().unwrap();
        let mut heard = 0;
        for answer in answers {
            heard = question_after(heard, &output, &mut child);
            // `redis-cli` reads whatever there is: an answer must come whole, and not before its
            // question.
            let _ = input.write_all(format!("{answer}\n").as_bytes());
        }
        drop(input);
        let success = wait_for(&mut child, &step).success();
        let text = String::from_utf8_lossy(&fs::read(&output).unwrap()).into_owned();
        self.transcript.push_str(&format!("$ {step}\n{text}\n"));
        Printed { text, success }
    }

    /// Runs a step that must succeed and says what it printed.
    pub(crate) fn shell(&mut self, step: &str) -> String {
        let printed = self.shell_with(step, &[]);
        assert!(
            printed.success,
            "the step failed:\n{step}\n{}",
            printed.text
        );
        printed.text
    }

    /// Runs a Python program that must succeed and says what it printed.
    pub(crate) fn python(&mut self, program: &str) -> String {
        let file = self.folder().join("program.py");
        fs::write(&file, self.here(program)).unwrap();
        let python = self.tools.path(Tool::PythonClient).unwrap().to_owned();
        self.shell(&format!("{} {}", python.display(), file.display()))
    }

    /// What `redis-cli -p PORT ...` says; empty if it fails.
    pub(crate) fn cli(&self, port: u16, words: &[&str]) -> String {
        let output = Command::new(self.tools.path(Tool::Cli).unwrap())
            .args(["-p", &self.port(port).to_string()])
            .args(words)
            .output()
            .expect("redis-cli runs");
        String::from_utf8_lossy(&output.stdout)
            .trim_end()
            .to_owned()
    }

    /// What `redis-cli` says to the lines of a script.
    pub(crate) fn cli_with(&self, words: &[&str], script: &str) -> String {
        let mut child = Command::new(self.tools.path(Tool::Cli).unwrap())
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("redis-cli runs");
        let _ = child.stdin.take().unwrap().write_all(script.as_bytes());
        let output = child.wait_with_output().unwrap();
        String::from_utf8_lossy(&output.stdout)
            .trim_end()
            .to_owned()
    }

    /// Starts a server at a port, with directives beside those that every test wants.
    pub(crate) fn start(&mut self, make: Make, port: u16, directives: &[(&str, &str)]) {
        let program = match make {
            Make::Redrill => PathBuf::from(env!("CARGO_BIN_EXE_redrill-server")),
            Make::Redis => self.tools.path(Tool::RealServer).unwrap().to_owned(),
        };
        let dir = self.folder().join(self.port(port).to_string());
        fs::create_dir_all(&dir).unwrap();
        let log = File::options()
            .create(true)
            .append(true)
            .open(dir.join("log"))
            .unwrap();
        let mut command = Command::new(program);
        command
            .args(["--port", &self.port(port).to_string()])
            .args(["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"])
            .args([
                "--repl-diskless-sync-delay",
                "0",
                "--enable-debug-command",
                "yes",
            ])
            .args(["--save", "", "--dir", &dir.to_string_lossy()]);
        for (name, value) in directives {
            command.arg(format!("--{name}")).arg(value);
        }
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("the server starts");
        self.servers.push((port, child));
        self.eventually(&format!("{port} answers"), |place| {
            place.cli(port, &["PING"]) == "PONG"
        });
    }

    /// Starts servers that are clusters of their own, each with all slots.
    pub(crate) fn start_alone(&mut self, servers: &[(Make, u16)], directives: &[(&str, &str)]) {
        for &(make, port) in servers {
            self.start(make, port, directives);
            self.cli(port, &["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
        }
        self.whole(&servers.iter().map(|&(_, port)| port).collect::<Vec<_>>());
    }

    /// Waits until the nodes of these ports find the cluster whole.
    pub(crate) fn whole(&self, ports: &[u16]) {
        for &port in ports {
            self.eventually(&format!("{port} finds the cluster ok"), |place| {
                let info = place.cli(port, &["CLUSTER", "INFO"]);
                info.contains("cluster_state:ok")
            });
        }
    }

    /// Kills the server at a port at once (`kill -9`).
    pub(crate) fn kill(&mut self, port: u16) {
        let place = self.servers.iter().position(|&(at, _)| at == port).unwrap();
        let (_, mut child) = self.servers.remove(place);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Ends all servers and forgets what they kept.
    pub(crate) fn stop_all(&mut self) {
        for (port, mut child) in std::mem::take(&mut self.servers) {
            child.kill().unwrap();
            child.wait().unwrap();
            fs::remove_dir_all(self.folder().join(self.port(port).to_string())).unwrap();
        }
    }

    /// The process of the server at a port.
    pub(crate) fn pid(&self, port: u16) -> u32 {
        let found = self.servers.iter().find(|&&(at, _)| at == port);
        found.unwrap().1.id()
    }

    /// Resident memory of the server at a port, KiB.
    pub(crate) fn resident_kb(&self, port: u16) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid(port))).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.unwrap().trim().trim_end_matches(" kB");
        number.parse().unwrap()
    }

    /// Waits until something holds.
    pub(crate) fn eventually(&self, what: &str, holds: impl Fn(&Self) -> bool) -> Duration {
        let began = Instant::now();
        while !holds(self) {
            assert!(
                began.elapsed() < PATIENCE,
                "not within {PATIENCE:?}: {what}"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        began.elapsed()
    }

    /// What went wrong, with what led to it.
    pub(crate) fn report(&self, panic: &(dyn Any + Send)) -> String {
        let why = panic.downcast_ref::<String>().map(String::as_str);
        let why = why.or_else(|| panic.downcast_ref::<&str>().copied());
        let mut report = format!("{}\n\n{}", why.unwrap_or("it panicked"), self.transcript);
        for port in FIRST_PORT..FIRST_PORT + PORTS {
            let logs = ["log", "redis.log"]
                .map(|name| self.folder().join(self.here(&port.to_string())).join(name));
            for log in logs {
                let text = fs::read_to_string(&log).unwrap_or_default();
                let lines: Vec<&str> = text.lines().collect();
                if !lines.is_empty() {
                    let last = lines[lines.len().saturating_sub(30)..].join("\n");
                    report.push_str(&format!("\n-- the log of {port}\n{last}\n"));
                }
            }
        }
        report
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        for group in &self.groups {
            let _ = Command::new("kill")
                .args(["-9", "--", &format!("-{group}")])
                .stderr(Stdio::null())
                .status();
        }
        for (_, child) in &mut self.servers {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Waits until what a step printed grew to more than `heard` bytes and ends with a question, or
/// the step is over, and says how long it is.
fn question_after(heard: usize, output: &Path, child: &mut Child) -> usize {
    let began = Instant::now();
    loop {
        let printed = fs::read(output).unwrap();
        let asks = printed.ends_with(b"? ") || printed.ends_with(b": ");
        let over = child.try_wait().unwrap().is_some();
        if over || (printed.len() > heard && asks) {
            return printed.len();
        }
        assert!(
            began.elapsed() < PATIENCE,
            "no question within {PATIENCE:?}"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn wait_for(child: &mut Child, step: &str) -> std::process::ExitStatus {
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if began.elapsed() > PATIENCE {
            let _ = child.kill();
            panic!("not over within {PATIENCE:?}:\n{step}");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The first of ten ports in a row that are free, and so are their bus ports.
fn free_ports() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let offset = (std::process::id() % 500) as u16;
    loop {
        let tried = NEXT.fetch_add(1, Ordering::Relaxed);
        assert!(tried < 900, "ten free ports in a row");
        let first = 11_000 + (offset + tried) % 900 * PORTS;
        let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
        if (first..first + PORTS).all(|port| free(port) && free(port + 10_000)) {
            return first;
        }
    }
}

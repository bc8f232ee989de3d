//! `redrill-server`: a node on real TCP.

mod log;
mod options;
mod process;

use std::io::{self, Write};
use std::path::Path;
use std::pin::pin;
use std::rc::Rc;

use log::Log;
use miette::{IntoDiagnostic, Result, WrapErr};
use options::Options;
use process::PidFile;
use redrill_node::{Engine, LogLevel, Seed};
use redrill_server::{
    Control, FileDisk, LoadError, ServeError, Server, TokioClock, TokioNetwork, os_words, serve,
};

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let Some(text) = options::information(&words) {
        // Whoever closed standard output does not want to read it.
        let _ = io::stdout().lock().write_all(text.as_bytes());
        return Ok(());
    }
    let is_configured = !words.is_empty();
    let options = Options::parse(words.into_iter())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .into_diagnostic()
        .wrap_err("the runtime cannot be set up")?;
    runtime.block_on(run(options, is_configured))
}

async fn run(options: Options, is_configured: bool) -> Result<()> {
    let mut seed = [0; 32];
    let mut run_id = [0; 20];
    for random in [&mut seed[..], &mut run_id] {
        getrandom::fill(random)
            .map_err(|error| miette::miette!("the system gives no random numbers: {error}"))?;
    }
    let Options {
        mut config,
        bind,
        state_file,
        config_file,
        warnings,
    } = options;
    config.host = process::host(config_file.as_deref(), &run_id);
    let control = Control::new();
    // Redis works in its folder: that is where names without one belong.
    let in_dir = |file: &str| {
        let file = Path::new(&*config.dir).join(file);
        file.to_string_lossy().into_owned()
    };
    let log_file = match &*config.logfile {
        "" => String::new(),
        file => in_dir(file),
    };
    let pid_file = config.pidfile.as_deref().map(in_dir);
    let log = Rc::new(Log::new(&log_file, config.loglevel, control.clone()));
    greet(&log, is_configured);
    for warning in &warnings {
        log.line(LogLevel::Warning, warning);
    }
    process::allow_files(&mut config, &log)?;
    let running = format!("Running mode=cluster, port={}.", config.port);
    log.line(LogLevel::Notice, &running);
    log.line(LogLevel::Warning, "Server initialized");
    let pid_file = PidFile::write(pid_file.as_deref(), &log);
    let (port, backlog) = (config.port, config.tcp_backlog);
    let server = Server {
        config,
        seed: Seed(seed),
        network: TokioNetwork::new(bind, backlog),
        clock: TokioClock::new(),
        disk: FileDisk::new(state_file.clone()),
        observer: Rc::clone(&log),
        control: control.clone(),
    };
    let mut serving = pin!(serve(server));
    // A server that cannot save its data goes on, and may be asked again.
    let ended = loop {
        tokio::select! {
            ended = &mut serving => break ended,
            asked = asked_to_end() => {
                let signal = asked.into_diagnostic().wrap_err("signals cannot be received")?;
                let line = format!("Received {signal} scheduling shutdown...");
                log.line(LogLevel::Warning, &line);
                control.stop();
            }
        }
    };
    pid_file.remove(&log);
    match ended {
        Ok(_) => {
            let bye = "Redrill is now ready to exit, bye bye...";
            log.line(LogLevel::Warning, bye);
            Ok(())
        }
        Err(error) => {
            tell(&log, &error, port);
            let way_out = way_out(&error);
            let report = Err(error).into_diagnostic();
            match way_out {
                Some(way_out) => report.wrap_err(way_out),
                None => {
                    report.wrap_err_with(|| format!("with the state file {}", state_file.display()))
                }
            }
        }
    }
}

/// The first lines of a log.
fn greet(log: &Log, is_configured: bool) {
    let pid = std::process::id();
    let version = format!(
        "Redrill version={}, Redis version={}, bits={}, pid={pid}, just started",
        env!("CARGO_PKG_VERSION"),
        Engine::Redis70.version(),
        usize::BITS
    );
    log.starting(
        LogLevel::Warning,
        "oO0OoO0OoO0Oo Redrill is starting oO0OoO0OoO0Oo",
    );
    log.starting(LogLevel::Warning, &version);
    log.starting(
        LogLevel::Warning,
        if is_configured {
            "Configuration loaded"
        } else {
            "Warning: no config file specified, using the default config. In order to specify a \
             config file use redrill-server /path/to/redis.conf"
        },
    );
}

/// Logs in Redis's words why the server ends.
fn tell(log: &Log, error: &ServeError, client_port: u16) {
    match error {
        ServeError::Listen { port, source } => {
            let socket = os_words(source);
            let kind = if *port == client_port {
                "TCP"
            } else {
                "cluster"
            };
            let lines = [
                format!("Warning: Could not create server TCP listening socket {socket}"),
                format!("Failed listening on port {port} ({kind}), aborting."),
            ];
            for line in lines {
                log.line(LogLevel::Warning, &line);
            }
        }
        // Told when it was found.
        ServeError::Load(
            LoadError::Manifest { .. }
            | LoadError::AppendOnly { .. }
            | LoadError::UnknownCommand(_)
            | LoadError::NotLast(_),
        )
        | ServeError::Append(_) => {}
        ServeError::LoadState(_)
        | ServeError::Locked { .. }
        | ServeError::Load(LoadError::Io { .. } | LoadError::Rdb { .. })
        | ServeError::BadState(_)
        | ServeError::Config(_)
        | ServeError::SaveState(_) => log.line(LogLevel::Warning, &error.to_string()),
    }
}

/// What can be done about it.
fn way_out(error: &ServeError) -> Option<&'static str> {
    match error {
        ServeError::Listen { source, .. } if source.kind() == io::ErrorKind::AddrInUse => Some(
            "another server has the port: stop it, or choose others with --port and --cluster-port",
        ),
        ServeError::Listen { source, .. } if source.kind() == io::ErrorKind::AddrNotAvailable => {
            Some("this host does not have the address: choose others with --bind")
        }
        ServeError::Listen { .. } => Some("choose other ports with --port and --cluster-port"),
        ServeError::Locked { .. } => Some(
            "stop the other server, or choose another file with --cluster-config-file or --dir",
        ),
        ServeError::Append(_) => Some(
            "make room on the disk; with `appendfsync everysec` writes are refused instead, and the \
             server goes on",
        ),
        ServeError::LoadState(_)
        | ServeError::Load(_)
        | ServeError::BadState(_)
        | ServeError::Config(_)
        | ServeError::SaveState(_) => None,
    }
}

/// Waits for a signal that ends the server; returns its name.
async fn asked_to_end() -> io::Result<&'static str> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            _received = terminate.recv() => Ok("SIGTERM"),
            interrupted = tokio::signal::ctrl_c() => interrupted.map(|()| "SIGINT"),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await.map(|()| "SIGINT")
}

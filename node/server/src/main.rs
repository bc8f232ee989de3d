//! `redrill-server`: a node on real TCP.

mod options;

use std::io::{self, Write};
use std::pin::pin;

use miette::{IntoDiagnostic, Result, WrapErr};
use options::Options;
use redrill_node::{Fact, NodeId, Now, Seed, Warning};
use redrill_server::{Control, FileDisk, Observer, Server, TokioClock, TokioNetwork, serve};

fn main() -> Result<()> {
    let options = Options::parse(std::env::args().skip(1))?;
    for warning in &options.warnings {
        let Warning {
            line,
            directive,
            problem,
            ..
        } = warning;
        log('#', &format!("line {line}, {directive}: {problem}"));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .into_diagnostic()
        .wrap_err("the runtime cannot be set up")?;
    runtime.block_on(run(options))
}

async fn run(options: Options) -> Result<()> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)
        .map_err(|error| miette::miette!("the system gives no random numbers: {error}"))?;
    let backlog = options.config.tcp_backlog;
    let control = Control::new();
    let server = Server {
        config: options.config,
        seed: Seed(seed),
        network: TokioNetwork::new(options.bind, backlog),
        clock: TokioClock::new(),
        disk: FileDisk::new(options.state_file.clone()),
        observer: Log,
        control: control.clone(),
    };
    let mut serving = pin!(serve(server));
    let ended = tokio::select! {
        ended = &mut serving => ended,
        asked = asked_to_end() => {
            asked.into_diagnostic().wrap_err("signals cannot be received")?;
            control.stop();
            serving.await
        }
    };
    ended
        .map(|_ended| ())
        .into_diagnostic()
        .wrap_err_with(|| format!("with the state file {}", options.state_file.display()))
}

/// Waits for a signal that ends the server.
async fn asked_to_end() -> io::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            _received = terminate.recv() => Ok(()),
            interrupted = tokio::signal::ctrl_c() => interrupted,
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}

/// Writes what happens to standard output, in the words of Redis's log.
struct Log;

impl Observer for Log {
    fn fact(&self, _: Now, fact: Fact) {
        let name = |node: NodeId| node.to_string();
        log(fact.level().symbol(), &fact.log_line(&name));
    }
}

fn log(symbol: char, line: &str) {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let at_ms = since.unwrap_or_default().as_millis();
    let pid = std::process::id();
    // A server whose standard output is gone goes on.
    let _ = writeln!(io::stdout().lock(), "{pid}:M {at_ms} {symbol} {line}");
}

//! The command line, as `redis-server` takes it: a configuration file, then `--directive value`.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use miette::{Diagnostic, IntoDiagnostic, WrapErr};
use redrill_node::{Config, ConfigFileError, Warning};
use redrill_server::BindAddress;

/// What the command line says.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) config: Config,
    pub(crate) bind: Vec<BindAddress>,
    pub(crate) state_file: PathBuf,
    /// What does not do what it says.
    pub(crate) warnings: Vec<Warning>,
}

/// A configuration that Redis, too, would refuse.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("*** FATAL CONFIG FILE ERROR (Redis {version}) ***\n{error}", version = redrill_node::Engine::Redis70.version())]
struct Refused {
    error: ConfigFileError,
    #[help]
    help: Option<String>,
}

impl Options {
    /// Reads the words after the program's name, and the configuration file if they name one.
    pub(crate) fn parse(words: impl Iterator<Item = String>) -> miette::Result<Self> {
        let mut words = words.peekable();
        let mut text = Vec::new();
        if let Some(file) = words.next_if(|word| !word.starts_with("--")) {
            text = fs::read(&file)
                .into_diagnostic()
                .wrap_err_with(|| format!("can't open the configuration file '{file}'"))?;
        }
        text.extend(directives(words).into_bytes());
        let read = |file: &str| fs::read(file).map_err(|error| error.to_string());
        let (config, warnings) = Config::parse_file_with(&text, read).map_err(|error| Refused {
            help: error.hint.clone(),
            error,
        })?;
        let bind = config
            .bind
            .iter()
            .map(|word| address(word))
            .collect::<miette::Result<_>>()?;
        let state_file = PathBuf::from(&*config.dir).join(&*config.cluster_config_file);
        Ok(Self {
            config,
            bind,
            state_file,
            warnings,
        })
    }
}

/// The words of the command line as lines of a configuration file, which they follow.
fn directives(words: impl Iterator<Item = String>) -> String {
    let mut lines = String::new();
    for word in words {
        match word.strip_prefix("--") {
            Some(name) => {
                lines.push('\n');
                lines.push_str(name);
            }
            None => {
                lines.push_str(" \"");
                lines.extend(word.bytes().map(|byte| byte.escape_ascii().to_string()));
                lines.push('"');
            }
        }
    }
    lines
}

/// An address of `bind`. `*` stands for every address of its family, `-` in front lets it be
/// missing.
fn address(word: &str) -> miette::Result<BindAddress> {
    let (optional, text) = match word.strip_prefix('-') {
        Some(text) => (true, text),
        None => (false, word),
    };
    let ip = match text {
        "*" => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        "::*" => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        text => text
            .parse()
            .map_err(|_| miette::miette!("bind {text}: only IP addresses can be bound to"))?,
    };
    Ok(BindAddress { ip, optional })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> miette::Result<Options> {
        Options::parse(words.iter().map(|&word| word.to_owned()))
    }

    #[test]
    fn directives_are_taken_as_redis_server_takes_them() {
        let directory = tempfile::tempdir().unwrap();
        let dir = directory.path().to_str().unwrap();
        let options = parse(&[
            "--port",
            "7000",
            "--cluster-enabled",
            "yes",
            "--cluster-node-timeout",
            "5000",
            "--bind",
            "127.0.0.1",
            "-::1",
            "--dir",
            dir,
            "--cluster-config-file",
            "nodes 7000.conf",
        ])
        .unwrap();
        assert_eq!(options.config.port, 7000);
        assert_eq!(options.config.bus_port, 17000);
        assert_eq!(options.config.cluster_node_timeout_ms, 5000);
        let ips: Vec<_> = options
            .bind
            .iter()
            .map(|bind| (bind.ip.to_string(), bind.optional))
            .collect();
        assert_eq!(
            ips,
            [("127.0.0.1".to_owned(), false), ("::1".to_owned(), true)]
        );
        assert_eq!(options.state_file, directory.path().join("nodes 7000.conf"));
    }

    #[test]
    fn the_command_line_comes_after_the_file_and_wins() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("redis.conf");
        fs::write(&file, "port 7000\ncluster-enabled yes\nhz 50").unwrap();
        let options = parse(&[file.to_str().unwrap(), "--port", "7001"]).unwrap();
        assert_eq!((options.config.port, options.config.hz), (7001, 50));
    }

    #[test]
    fn mistakes_are_named() {
        let message = |words: &[&str]| format!("{:?}", parse(words).unwrap_err());
        let unknown = message(&["--prot", "7000"]);
        assert!(unknown.contains(">>> 'prot \"7000\"'"), "{unknown}");
        assert!(message(&["--port", "70000"]).contains("65535"));
        assert!(message(&["/no/such/redis.conf"]).contains("/no/such/redis.conf"));
        assert!(message(&["--bind", "nowhere"]).contains("only IP addresses"));
    }
}

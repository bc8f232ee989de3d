//! The command line, as `redis-server` takes it: a configuration file, then `--directive value`.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use miette::{Diagnostic, IntoDiagnostic, WrapErr};
use redrill_node::{Config, ConfigFileError, Warning, quoted};
use redrill_server::{BindAddress, os_words};

/// What the command line says.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) config: Config,
    pub(crate) bind: Vec<BindAddress>,
    pub(crate) state_file: PathBuf,
    /// The configuration file, if one was named.
    pub(crate) config_file: Option<PathBuf>,
    /// What does not do what it says, in lines for the log.
    pub(crate) warnings: Vec<String>,
}

/// A configuration that Redis, too, would refuse.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("*** FATAL CONFIG FILE ERROR (Redis {version}) ***\n{}{error}", included(error), version = redrill_node::Engine::Redis70.version())]
struct Refused {
    error: ConfigFileError,
    #[help]
    help: Option<String>,
}

fn included(error: &ConfigFileError) -> String {
    error.file.as_ref().map_or_else(String::new, |file| {
        format!("In the included file '{file}'\n")
    })
}

impl Options {
    /// Reads the words after the program's name, and the configuration file if they name one.
    pub(crate) fn parse(words: impl Iterator<Item = String>) -> miette::Result<Self> {
        let mut words = words.peekable();
        let mut text = Vec::new();
        let mut config_file = None;
        if let Some(file) = words.next_if(|word| !word.starts_with("--")) {
            text = fs::read(&file)
                .into_diagnostic()
                .wrap_err_with(|| format!("can't open the configuration file '{file}'"))?;
            config_file = Some(absolute(&file));
        }
        if !text.is_empty() {
            text.push(b'\n');
        }
        text.extend(directives(words).into_bytes());
        let read = |file: &str| fs::read(file).map_err(|error| os_words(&error));
        let (mut config, warnings) =
            Config::parse_file_with(&text, read).map_err(|error| Refused {
                help: error.hint.clone(),
                error,
            })?;
        let mut warnings: Vec<String> = warnings.iter().map(warning_line).collect();
        become_cluster_node(&mut config, &mut warnings);
        if config.daemonize {
            warnings.push(
                "daemonize: redrill-server stays in the foreground; have the shell or a service \
                 manager send it to the background"
                    .to_owned(),
            );
        }
        let bind = config
            .bind
            .iter()
            .map(|word| address(word))
            .collect::<miette::Result<_>>()?;
        let dir = absolute(&config.dir);
        if !dir.is_dir() {
            return Err(miette::miette!(
                help = "make the folder, or name another with --dir",
                "Can't chdir to '{}': No such file or directory",
                config.dir
            ));
        }
        config.dir = dir.to_string_lossy().into();
        let state_file = dir.join(&*config.cluster_config_file);
        Ok(Self {
            config,
            bind,
            state_file,
            config_file,
            warnings,
        })
    }
}

/// What is asked for instead of a server, if it is.
pub(crate) fn information(words: &[String]) -> Option<String> {
    let [word] = words else { return None };
    match word.as_str() {
        "-v" | "--version" => Some(format!(
            "Redrill server v={} (speaks as Redis {}) bits={}\n",
            env!("CARGO_PKG_VERSION"),
            redrill_node::Engine::Redis70.version(),
            usize::BITS
        )),
        "-h" | "--help" => Some(
            "Usage: redrill-server [/path/to/redis.conf] [--directive value ...]\n\n\
             Examples:\n\
             \x20      redrill-server --port 7000 --cluster-enabled yes\n\
             \x20      redrill-server /etc/redis/7000.conf --loglevel verbose\n"
                .to_owned(),
        ),
        _ => None,
    }
}

/// There is no other way for a redrill node: whoever does not ask for a cluster gets one, and is
/// told.
fn become_cluster_node(config: &mut Config, warnings: &mut Vec<String>) {
    if config.get("cluster-enabled").as_deref() == Some("no") {
        warnings.push(
            "cluster-enabled is not set to yes: redrill-server is always a cluster node and runs \
             as one"
                .to_owned(),
        );
        // The directive takes this value.
        let _ = config.set("cluster-enabled", "yes");
    }
}

fn warning_line(warning: &Warning) -> String {
    let Warning {
        file,
        line,
        directive,
        problem,
    } = warning;
    match file {
        Some(file) => format!("{file}, line {line}, {directive}: {problem}"),
        None => format!("line {line}, {directive}: {problem}"),
    }
}

fn absolute(path: &str) -> PathBuf {
    let path = Path::new(path);
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// The words of the command line as lines of a configuration file, which they follow.
fn directives(words: impl Iterator<Item = String>) -> String {
    let mut lines = String::new();
    for word in words {
        match word.strip_prefix("--") {
            Some(name) => {
                if !lines.is_empty() {
                    lines.push('\n');
                }
                lines.push_str(name);
            }
            None => {
                lines.push(' ');
                lines.push_str(&quoted(word));
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
    fn the_command_of_a_guide_starts_a_cluster_node_and_warns() {
        let words = "--port 7000 --cluster-config-file nodes-7000.conf --cluster-save-config";
        let words: Vec<&str> = words.split(' ').collect();
        let options = parse(&words).unwrap();
        assert_eq!(options.config.get("cluster-enabled").unwrap(), "yes");
        assert_eq!(
            options.warnings,
            [
                "line 3, cluster-save-config: there is no such directive, it is passed over",
                "cluster-enabled is not set to yes: redrill-server is always a cluster node and \
                 runs as one"
            ]
        );
    }

    #[test]
    fn mistakes_are_named() {
        let message = |words: &[&str]| format!("{:?}", parse(words).unwrap_err());
        assert!(message(&["--port", "70000"]).contains("65535"));
        assert!(message(&["/no/such/redis.conf"]).contains("/no/such/redis.conf"));
        assert!(message(&["--bind", "nowhere"]).contains("only IP addresses"));
        assert!(message(&["--dir", "/no/such/folder"]).contains("/no/such/folder"));
        let renamed = message(&["--rename-command", "nonsense", "x"]);
        assert!(renamed.contains("No such command"), "{renamed}");
    }
}

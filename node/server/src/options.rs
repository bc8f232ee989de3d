//! The command line, as `redis-server` takes it: `--directive value`.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use miette::Diagnostic;
use redrill_node::Config;

/// What the command line says.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Options {
    pub(crate) config: Config,
    pub(crate) bind: Vec<IpAddr>,
    pub(crate) state_file: PathBuf,
}

/// A command line that cannot be followed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error, Diagnostic)]
pub(crate) enum OptionsError {
    #[error("'{0}' is not a directive")]
    #[diagnostic(help("directives begin with two dashes, as in --port 7000"))]
    NotADirective(String),
    #[error("--{0} is not supported")]
    #[diagnostic(help(
        "supported are --port, --bind, --cluster-enabled, --cluster-port, \
         --cluster-config-file, --cluster-node-timeout and --dir"
    ))]
    Unsupported(String),
    #[error("--{0} needs a value")]
    NoValue(String),
    #[error("--{directive}: '{value}' is not {expected}")]
    Value {
        directive: String,
        value: String,
        expected: &'static str,
    },
    #[error("a redrill server is a cluster node")]
    #[diagnostic(help("start it with --cluster-enabled yes"))]
    NotACluster,
}

impl Options {
    /// Reads the words after the program's name.
    pub(crate) fn parse(words: impl Iterator<Item = String>) -> Result<Self, OptionsError> {
        let mut config = Config::default();
        let mut bind = Vec::new();
        let mut bus_port = None;
        let mut cluster_enabled = false;
        let mut directory = PathBuf::new();
        let mut file = PathBuf::from("nodes.conf");
        for Directive { name, values } in directives(words)? {
            let value = values[0].as_str();
            match name.as_str() {
                "port" => config.port = number(&name, value)?,
                "cluster-port" => bus_port = Some(number(&name, value)?),
                "cluster-node-timeout" => config.cluster_node_timeout_ms = number(&name, value)?,
                "cluster-enabled" => cluster_enabled = yes_or_no(&name, value)?,
                "cluster-config-file" => file = PathBuf::from(value),
                "dir" => directory = PathBuf::from(value),
                "bind" => {
                    bind = values
                        .iter()
                        .map(|value| address(&name, value))
                        .collect::<Result<_, _>>()?;
                }
                _other => return Err(OptionsError::Unsupported(name)),
            }
        }
        if !cluster_enabled {
            return Err(OptionsError::NotACluster);
        }
        config.bus_port = match bus_port {
            Some(port) => port,
            None => config
                .port
                .checked_add(10_000)
                .ok_or_else(|| OptionsError::Value {
                    directive: "port".to_owned(),
                    value: config.port.to_string(),
                    expected: "below 55536, which leaves room for the bus port 10000 above it",
                })?,
        };
        if bind.is_empty() {
            bind.push(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        }
        let state_file = directory.join(file);
        Ok(Self {
            config,
            bind,
            state_file,
        })
    }
}

/// A directive and its values, of which there is at least one.
struct Directive {
    name: String,
    values: Vec<String>,
}

fn directives(words: impl Iterator<Item = String>) -> Result<Vec<Directive>, OptionsError> {
    let mut directives: Vec<Directive> = Vec::new();
    for word in words {
        if let Some(name) = word.strip_prefix("--") {
            let name = name.to_lowercase();
            directives.push(Directive {
                name,
                values: Vec::new(),
            });
        } else {
            match directives.last_mut() {
                Some(directive) => directive.values.push(word),
                None => return Err(OptionsError::NotADirective(word)),
            }
        }
    }
    match directives
        .iter()
        .find(|directive| directive.values.is_empty())
    {
        Some(directive) => Err(OptionsError::NoValue(directive.name.clone())),
        None => Ok(directives),
    }
}

fn number<T: std::str::FromStr>(name: &str, value: &str) -> Result<T, OptionsError> {
    value
        .parse()
        .map_err(|_| wrong(name, value, "a number in range"))
}

fn yes_or_no(name: &str, value: &str) -> Result<bool, OptionsError> {
    match value {
        "yes" => Ok(true),
        "no" => Ok(false),
        _other => Err(wrong(name, value, "'yes' or 'no'")),
    }
}

/// `*` means every IPv4 address.
fn address(name: &str, value: &str) -> Result<IpAddr, OptionsError> {
    if value == "*" {
        return Ok(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    }
    value
        .parse()
        .map_err(|_| wrong(name, value, "an IP address"))
}

fn wrong(name: &str, value: &str, expected: &'static str) -> OptionsError {
    OptionsError::Value {
        directive: name.to_owned(),
        value: value.to_owned(),
        expected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, OptionsError> {
        Options::parse(line.split_whitespace().map(str::to_owned))
    }

    fn message(line: &str) -> String {
        parse(line).unwrap_err().to_string()
    }

    #[test]
    fn directives_are_taken_as_redis_server_takes_them() {
        let options = parse(
            "--port 7000 --cluster-enabled yes --cluster-node-timeout 5000 --bind 127.0.0.1 ::1 \
             --dir /data --cluster-config-file nodes-7000.conf",
        )
        .unwrap();
        assert_eq!(options.config.port, 7000);
        assert_eq!(options.config.bus_port, 17000);
        assert_eq!(options.config.cluster_node_timeout_ms, 5000);
        assert_eq!(options.bind.len(), 2);
        assert_eq!(options.state_file, PathBuf::from("/data/nodes-7000.conf"));
    }

    #[test]
    fn mistakes_are_named() {
        assert_eq!(message("7000"), "'7000' is not a directive");
        assert_eq!(message("--prot 7000"), "--prot is not supported");
        assert_eq!(message("--port"), "--port needs a value");
        assert_eq!(
            message("--port 70000"),
            "--port: '70000' is not a number in range"
        );
        assert_eq!(
            message("--cluster-enabled on"),
            "--cluster-enabled: 'on' is not 'yes' or 'no'"
        );
        assert_eq!(message("--port 7000"), "a redrill server is a cluster node");
        assert!(message("--cluster-enabled yes --port 60000").contains("below 55536"));
    }
}

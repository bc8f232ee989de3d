//! What has to be installed beside the project.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Something a test needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Tool {
    /// `redis-cli`.
    Cli,
    /// `redis-server`, the real one.
    RealServer,
    /// Python with the client.
    PythonClient,
}

/// Where the tools are.
#[derive(Clone, Debug)]
pub(crate) struct Tools {
    cli: Option<PathBuf>,
    real_server: Option<PathBuf>,
    python: Option<PathBuf>,
}

impl Tool {
    /// What is missing, and the way out.
    pub(crate) const fn advice(self) -> &'static str {
        match self {
            Self::Cli => "there is no redis-cli (Debian: apt-get install redis-tools)",
            Self::RealServer => "there is no redis-server (Debian: apt-get install redis-server)",
            Self::PythonClient => {
                "no Python has the client (pip install redis, and name the interpreter by PYTHON)"
            }
        }
    }
}

impl Tools {
    pub(crate) fn find() -> Self {
        let python = std::env::var_os("PYTHON").map_or_else(|| "python3".into(), PathBuf::from);
        let knows_client = Command::new(&python)
            .args(["-c", "import redis.cluster"])
            .output()
            .is_ok_and(|output| output.status.success());
        Self {
            cli: on_path("redis-cli"),
            real_server: on_path("redis-server"),
            python: knows_client.then_some(python),
        }
    }

    pub(crate) fn missing(&self, needs: &[Tool]) -> impl Iterator<Item = Tool> {
        needs
            .iter()
            .copied()
            .filter(|&tool| self.path(tool).is_none())
    }

    pub(crate) fn path(&self, tool: Tool) -> Option<&Path> {
        match tool {
            Tool::Cli => self.cli.as_deref(),
            Tool::RealServer => self.real_server.as_deref(),
            Tool::PythonClient => self.python.as_deref(),
        }
    }
}

fn on_path(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}

//! The process around the node: what it is allowed, and what it leaves for others to find.

use std::fs;
use std::path::{Path, PathBuf};

use miette::{Result, miette};
use redrill_node::{Config, Host, LogLevel};

use crate::log::Log;
use redrill_server::os_words;

/// Files a server needs beside its clients' connections (`CONFIG_MIN_RESERVED_FDS`).
const RESERVED_FILES: u64 = 32;

/// What the node is told of its process.
pub(crate) fn host(config_file: Option<&Path>, run_id: &[u8; 20]) -> Host {
    let executable = std::env::current_exe().unwrap_or_default();
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.into());
    let text = |path: PathBuf| path.to_string_lossy().into_owned().into_boxed_str();
    Host {
        process_id: std::process::id(),
        run_id: run_id.iter().map(|byte| format!("{byte:02x}")).collect(),
        os: os(),
        executable: text(executable),
        config_file: config_file.map(|file| text(absolute(file))),
        is_timed: true,
    }
}

fn os() -> Box<str> {
    let read = |name: &str| {
        let text = fs::read_to_string(format!("/proc/sys/kernel/{name}"));
        text.unwrap_or_default().trim().to_owned()
    };
    let (name, release) = (read("ostype"), read("osrelease"));
    let name = if name.is_empty() {
        std::env::consts::OS.to_owned()
    } else {
        name
    };
    let words = [name, release, std::env::consts::ARCH.to_owned()];
    let words: Vec<String> = words.into_iter().filter(|word| !word.is_empty()).collect();
    words.join(" ").into()
}

/// Has the system allow as many open files as `maxclients` needs, or lowers that
/// (`adjustOpenFilesLimit`).
///
/// # Errors
/// If the system does not even allow the files that a server without clients needs.
pub(crate) fn allow_files(config: &mut Config, log: &Log) -> Result<()> {
    let wanted = u64::from(config.maxclients) + RESERVED_FILES;
    let Ok((allowed, most)) = rlimit::getrlimit(rlimit::Resource::NOFILE) else {
        log.line(
            LogLevel::Warning,
            "Unable to obtain the current NOFILE limit, assuming 1024 and setting the max clients \
             configuration accordingly.",
        );
        config.maxclients = 1024 - RESERVED_FILES as u32;
        return Ok(());
    };
    if allowed >= wanted {
        return Ok(());
    }
    // Above what the system grants at most, only the administrator can go.
    let set = |limit| rlimit::setrlimit(rlimit::Resource::NOFILE, limit, most.max(limit));
    let Err(error) = set(wanted) else {
        let line = format!(
            "Increased maximum number of open files to {wanted} (it was originally set to \
             {allowed})."
        );
        log.line(LogLevel::Notice, &line);
        return Ok(());
    };
    let best = if most > allowed && set(most.min(wanted)).is_ok() {
        most.min(wanted)
    } else {
        allowed
    };
    if best <= RESERVED_FILES {
        return Err(miette!(
            help = "raise it with `ulimit -n`, or lower maxclients",
            "Your current 'ulimit -n' of {allowed} is not enough for the server to start. Please \
             increase your open file limit to at least {wanted}. Exiting."
        ));
    }
    let asked = config.maxclients;
    config.maxclients = u32::try_from(best - RESERVED_FILES).unwrap_or(u32::MAX);
    let lines = [
        format!(
            "You requested maxclients of {asked} requiring at least {wanted} max file descriptors."
        ),
        format!(
            "Server can't set maximum open files to {wanted} because of OS error: {}.",
            os_words(&error)
        ),
        format!(
            "Current maximum open files is {best}. maxclients has been reduced to {} to compensate \
             for low ulimit. If you need higher maxclients increase 'ulimit -n'.",
            config.maxclients
        ),
    ];
    for line in lines {
        log.line(LogLevel::Warning, &line);
    }
    Ok(())
}

/// The file that names the process (`pidfile`). It goes when this is dropped.
pub(crate) struct PidFile(Option<PathBuf>);

impl PidFile {
    /// Writes it, if one is asked for. A server that cannot goes on without it, as Redis does.
    pub(crate) fn write(path: Option<&str>, log: &Log) -> Self {
        let Some(path) = path else { return Self(None) };
        match fs::write(path, format!("{}\n", std::process::id())) {
            Ok(()) => Self(Some(path.into())),
            Err(error) => {
                let line = format!("The pid file {path} cannot be written: {error}");
                log.line(LogLevel::Warning, &line);
                Self(None)
            }
        }
    }

    /// Removes it.
    pub(crate) fn remove(self, log: &Log) {
        if let Some(path) = &self.0 {
            log.line(LogLevel::Notice, "Removing the pid file.");
            // Somebody may have been quicker.
            let _ = fs::remove_file(path);
        }
    }
}

//! `redrill init`

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::Path;

use redrill::STARTER;

use super::{Exit, InitArguments, output};

pub(crate) fn init(arguments: &InitArguments) -> Exit {
    let path = arguments.path.display().to_string();
    let text = STARTER.replace("DRILL.toml", &path);
    match write_new(&arguments.path, &text) {
        Ok(()) => {
            output::message(&format!("wrote {path}; run it with: redrill run {path}"));
            Exit::Pass
        }
        Err(error) => {
            output::error(&error);
            Exit::Usage
        }
    }
}

/// Writes a file that must not be there yet.
///
/// # Errors
/// A message that names the path and the way out.
pub(crate) fn write_new(path: &Path, text: &str) -> Result<(), String> {
    let shown = path.display();
    let file = OpenOptions::new().write(true).create_new(true).open(path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| {
        if error.kind() == ErrorKind::AlreadyExists {
            format!("{shown} is there already; give another path, or move it away")
        } else {
            format!("cannot write {shown}: {error}")
        }
    })
}

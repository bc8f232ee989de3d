//! `redrill import`

use std::io::Read;
use std::path::Path;

use redrill::{BadDrill, import};

use super::{Exit, ImportArguments, init, output};

pub(crate) fn import(arguments: &ImportArguments) -> Exit {
    match drill_text(arguments) {
        Ok(text) => write(arguments, &text),
        Err(bad) => {
            output::bad_drill(&bad);
            Exit::BadDrill
        }
    }
}

fn write(arguments: &ImportArguments, text: &str) -> Exit {
    let Some(path) = &arguments.out else {
        output::result(text);
        return Exit::Pass;
    };
    match init::write_new(path, text) {
        Ok(()) => {
            output::message(&format!("wrote {}", path.display()));
            Exit::Pass
        }
        Err(error) => {
            output::error(&error);
            Exit::Usage
        }
    }
}

fn drill_text(arguments: &ImportArguments) -> Result<String, BadDrill> {
    let is_stdin = arguments.file == Path::new("-");
    let (shown, text) = if is_stdin {
        let mut bytes = Vec::new();
        let read = std::io::stdin().read_to_end(&mut bytes);
        let text = read
            .map_err(|error| error.to_string())
            .and_then(|_| String::from_utf8(bytes).map_err(|_| "it is not text".to_owned()));
        let text = text.map_err(|why| BadDrill::about_file("standard input", &why))?;
        ("standard input".to_owned(), text)
    } else {
        let text = redrill::read_text(&arguments.file)?;
        (arguments.file.display().to_string(), text)
    };
    let is_state_file = arguments
        .file
        .extension()
        .is_some_and(|ending| ending == "conf");
    let name = arguments
        .name
        .clone()
        .unwrap_or_else(|| "imported".to_owned());
    let drill = import::import(
        text.as_bytes(),
        is_state_file,
        &arguments.zone,
        &name,
        &shown,
    )
    .map_err(|error| error.explain(&shown, &text))?;
    // What a real cluster has may be more than a drill can run, such as slots without an owner.
    match redrill::parse("the imported drill", &name, &drill, &[]) {
        Ok(loaded) => output::warnings(&loaded.warnings),
        Err(bad) => {
            output::message("the drill needs your hand before it can run:");
            output::bad_drill(&bad);
        }
    }
    Ok(drill)
}

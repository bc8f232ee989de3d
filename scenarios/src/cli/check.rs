//! `redrill check`

use redrill::Drill;

use super::{CheckArguments, Exit, changes, output};

pub(crate) fn check(arguments: &CheckArguments) -> Exit {
    let mut exit = Exit::Pass;
    for (place, path) in arguments.drills.iter().enumerate() {
        match Drill::from_file_with(path, &changes(arguments.engine, &arguments.set)) {
            Ok(drill) => {
                output::warnings(drill.warnings());
                if !arguments.quiet {
                    let gap = if place > 0 { "\n" } else { "" };
                    output::result(&format!("{gap}{}", drill.describe()));
                }
            }
            Err(bad) => {
                output::bad_drill(&bad);
                exit = Exit::BadDrill;
            }
        }
    }
    exit
}

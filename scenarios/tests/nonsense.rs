//! Whatever stands in a drill, reading it ends with a scenario or with mistakes, never a panic.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use redrill::import::{ZoneRule, import};
use redrill::{Look, parse};

fn text(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    fs::read_to_string(path).unwrap()
}

/// Reads a drill and shows what it came to, as a user would see it.
fn read(text: &str, overrides: &[String]) -> usize {
    match parse("drill.toml", "drill", text, overrides) {
        Ok(loaded) => {
            let look = Look::default();
            let warnings = loaded.warnings.iter();
            warnings.map(|warning| warning.render(look).len()).sum()
        }
        Err(bad) => {
            assert!(!bad.mistakes.is_empty());
            bad.render(Look::default()).len()
        }
    }
}

/// Pieces of drills, and things that do not belong in them.
fn value() -> impl Strategy<Value = String> {
    let written = [
        "0",
        "-1",
        "3",
        "9223372036854775807",
        "1e308",
        "true",
        "[]",
        "{}",
        "[[]]",
        "1979-05-27",
        "\"\"",
        "\" \"",
        "\"m1\"",
        "\"µs\"",
        "\"1µ\"",
        "\"-\"",
        "\"(\"",
        "\")(\"",
        "\"zone:\"",
        "\"one:one:one\"",
        "\"master-of:\"",
        "\"replica-of:slot:\"",
        "\"1e9h\"",
        "\"p(\"",
        "\"< 3\"",
        "\"max <\"",
        "\"normal(,)\"",
        "\"zipf(1e99, 1)\"",
        "\"é:é\"",
        "'''\nx'''",
        "{ from = \"m1\" }",
        "{ count = 3 }",
        "[\"a\", \"a\"]",
        "[1, \"rest\"]",
    ];
    prop_oneof![
        proptest::sample::select(written.to_vec()).prop_map(str::to_owned),
        "\\PC{0,12}".prop_map(|text| format!("{text:?}")),
    ]
}

proptest! {
    #[test]
    fn a_drill_that_is_cut_off_anywhere_is_read_or_refused(cut in 0_usize..5000) {
        let whole = text("tests/good/every-verb.toml");
        let mut cut = cut.min(whole.len());
        while !whole.is_char_boundary(cut) {
            cut -= 1;
        }
        read(&whole[..cut], &[]);
    }

    #[test]
    fn a_drill_with_a_wrong_value_anywhere_is_read_or_refused(line in 0_usize..150, value in value()) {
        let whole = text("tests/good/every-verb.toml");
        let changed: Vec<String> = (whole.lines().enumerate())
            .map(|(number, text)| match text.split_once('=') {
                Some((key, _)) if number == line => format!("{key}= {value}"),
                _ => text.to_owned(),
            })
            .collect();
        read(&changed.join("\n"), &[]);
    }

    #[test]
    fn a_wrong_override_is_told(
        path in "(config|cluster|step|workload|expect|network)?(\\.[a-z0-9-]{0,9}){0,3}",
        value in value(),
    ) {
        read(&text("tests/good/every-verb.toml"), &[format!("{path}={value}")]);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,200}", set in "\\PC{0,30}") {
        read(&text, &[set]);
    }

    #[test]
    fn a_damaged_state_file_is_refused_or_becomes_a_drill(cut in 0_usize..900, byte: u8) {
        let mut bytes = text("tests/data/nodes-7000.after.conf").into_bytes();
        let cut = cut % bytes.len();
        bytes[cut] = byte;
        for text in [&bytes[..], &bytes[..cut]] {
            if let Ok(drill) = import(text, false, &[] as &[ZoneRule], "imported", "a file") {
                read(&drill, &[]);
            }
        }
    }
}

use bytes::BytesMut;
use proptest::prelude::*;

use super::*;
use crate::input::CommandLine;
use crate::wire::resp::encode_command;
use crate::word::Word;

const REAL_MANIFEST: &[u8] = b"file appendonly-7001.aof.1.base.rdb seq 1 type b\n\
                               file appendonly-7001.aof.1.incr.aof seq 1 type i\n";

fn line(words: &[&str]) -> CommandLine {
    words
        .iter()
        .map(|word| Word::copy_from_slice(word.as_bytes()))
        .collect()
}

fn encoded(commands: &[CommandLine]) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    for command in commands {
        encode_command(command, &mut bytes);
    }
    bytes.to_vec()
}

/// What can be read, where that ends, and what ended it.
fn read(bytes: &[u8]) -> (Vec<CommandLine>, usize, Option<AofError>) {
    let mut reader = AofReader::new(bytes, 0);
    let mut commands = Vec::new();
    loop {
        match reader.next_command() {
            Ok(Some(command)) => commands.push(command),
            Ok(None) => return (commands, reader.valid_up_to(), None),
            Err(error) => return (commands, reader.valid_up_to(), Some(error)),
        }
    }
}

fn any_command() -> impl Strategy<Value = CommandLine> {
    prop_oneof![
        8 => prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 2..5).prop_map(
            |words| words.into_iter().map(Word::from).collect::<CommandLine>()
        ),
        1 => Just(line(&["MULTI"])),
        1 => Just(line(&["EXEC"])),
    ]
}

proptest! {
    #[test]
    fn any_prefix_of_a_file_loads_to_a_prefix_of_its_commands(
        commands in prop::collection::vec(any_command(), 0..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let whole = encoded(&commands);
        let (all, ..) = read(&whole);
        let cut = cut.index(whole.len() + 1);
        let (some, valid_up_to, error) = read(&whole[..cut]);
        prop_assert_eq!(&all[..some.len()], &some[..]);
        prop_assert!(valid_up_to <= cut);
        prop_assert!(error.is_none_or(|error| error.fault.is_truncation()));
        // What is left after the repair is read as the same commands, without an error.
        let (repaired, end, error) = read(&whole[..valid_up_to]);
        prop_assert_eq!((repaired, end, error), (some, valid_up_to, None));
    }
}

#[test]
fn a_transaction_is_loaded_whole_or_not_at_all() {
    let commands = [
        line(&["SET", "a", "1"]),
        line(&["MULTI"]),
        line(&["SET", "b", "2"]),
        line(&["SET", "c", "3"]),
        line(&["EXEC"]),
    ];
    let (read_commands, _, error) = read(&encoded(&commands));
    assert_eq!((read_commands.len(), error), (3, None));
    let before = encoded(&commands[..1]).len();
    for end in 2..=4 {
        let (some, valid_up_to, error) = read(&encoded(&commands[..end]));
        assert_eq!((some.len(), valid_up_to), (1, before), "cut behind {end}");
        assert_eq!(error.unwrap().fault, AofFault::Transaction);
    }
}

#[test]
fn remarks_are_passed_over() {
    let mut bytes = b"#TS:1700000000\r\n".to_vec();
    bytes.extend(encoded(&[line(&["SET", "a", "1"])]));
    let (commands, valid_up_to, error) = read(&bytes);
    assert_eq!((commands.len(), error), (1, None));
    assert_eq!(valid_up_to, bytes.len());
}

#[test]
fn damage_in_the_middle_is_told_with_its_place() {
    let first = encoded(&[line(&["SET", "a", "1"])]);
    for (damage, fault) in [
        (&b"+OK\r\n"[..], AofFault::Format),
        (b"*0\r\n", AofFault::Format),
        (b"*x\r\n", AofFault::Format),
        (b"*1\r\n+PING\r\n", AofFault::Format),
        (b"*1\r\n$-1\r\n", AofFault::Format),
        (b"*1\r\n$4\r\nPINGxx", AofFault::Format),
        (b"*1\r\n$99\r\nPING\r\n", AofFault::EndOfFile),
        (b"*1\r\n$4\r\nPIN", AofFault::EndOfFile),
        (b"*", AofFault::EndOfFile),
    ] {
        let bytes = [&first, damage].concat();
        let (commands, valid_up_to, error) = read(&bytes);
        let error = error.unwrap();
        assert_eq!((commands.len(), valid_up_to), (1, first.len()));
        assert_eq!(error.fault, fault, "{}", damage.escape_ascii());
        assert!(error.offset >= first.len());
    }
}

#[test]
fn the_manifest_of_a_real_server_is_written_as_it_was_read() {
    let manifest = Manifest::parse(REAL_MANIFEST).unwrap();
    assert_eq!(manifest.to_text().as_bytes(), REAL_MANIFEST);
}

#[test]
fn a_rewrite_makes_a_new_base_and_history_of_what_was_before() {
    let mut manifest = Manifest::parse(REAL_MANIFEST).unwrap();
    let increment = manifest.new_increment("appendonly-7001.aof");
    assert_eq!(increment, "appendonly-7001.aof.2.incr.aof");
    let base = manifest.new_base("appendonly-7001.aof", false);
    manifest.retire_increments(true);
    assert_eq!(base, "appendonly-7001.aof.2.base.aof");
    assert_eq!(
        manifest.to_text(),
        "file appendonly-7001.aof.2.base.aof seq 2 type b\n\
         file appendonly-7001.aof.1.incr.aof seq 1 type h\n\
         file appendonly-7001.aof.1.base.rdb seq 1 type h\n\
         file appendonly-7001.aof.2.incr.aof seq 2 type i\n"
    );
    assert_eq!(
        Manifest::parse(manifest.to_text().as_bytes()).unwrap(),
        manifest
    );
}

#[test]
fn names_with_blanks_are_quoted() {
    let mut manifest = Manifest::default();
    manifest.new_increment("my \"file\".aof");
    let text = manifest.to_text();
    assert_eq!(
        text,
        "file \"my \\\"file\\\".aof.1.incr.aof\" seq 1 type i\n"
    );
    assert_eq!(Manifest::parse(text.as_bytes()).unwrap(), manifest);
}

#[test]
fn mistakes_in_a_manifest_are_told_with_their_line_in_redis_s_words() {
    let told = |text: &str| {
        let error = Manifest::parse(text.as_bytes()).unwrap_err();
        (error.line, error.reason)
    };
    assert_eq!(told(""), (0, "Found an empty AOF manifest"));
    assert_eq!(
        told("file a seq 1 type b\nfile b seq"),
        (2, "The AOF manifest file contains too long line")
    );
    assert_eq!(
        told("file a seq 1\n"),
        (1, "Invalid AOF manifest file format")
    );
    assert_eq!(told("\n"), (1, "Invalid AOF manifest file format"));
    assert_eq!(
        told("file ../a seq 1 type b\n"),
        (1, "File can't be a path, just a filename")
    );
    assert_eq!(told("file a seq 1 type x\n"), (1, "Unknown AOF file type"));
    assert_eq!(
        told("file a seq 0 type b\n"),
        (1, "Invalid AOF manifest file format")
    );
    assert_eq!(
        told("file a seq 1 type b\nfile b seq 2 type b\n"),
        (2, "Found duplicate base file information")
    );
    assert_eq!(
        told("file a seq 2 type i\n# a remark\nfile b seq 2 type i\n"),
        (3, "Found a non-monotonic sequence number")
    );
}

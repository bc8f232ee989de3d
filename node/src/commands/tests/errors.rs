use super::*;

/// Lines that are refused, by families. Their answers are what clients and operators search for:
/// they must be Redis's, to the letter.
const REFUSED: &[&str] = &[
    "NONSENSE",
    "NONSENSE a 'b c' d",
    "'line\r\nbreak' 'a\nb'",
    "GET",
    "GET a b",
    "SET k",
    "MSET a",
    "MSET {t}a 1 {t}b",
    "MSETNX {t}a 1 {t}b",
    "CLUSTER",
    "CLUSTER NONSENSE",
    "cluster nonsense here",
    "CLUSTER NODES now",
    "CLUSTER FAILOVER A B",
    "CLUSTER RESET A B",
    "CONFIG",
    "CONFIG NONSENSE",
    "CLIENT",
    "CLIENT TRACKING ON",
    "CLIENT PAUSE 1 2 3",
    "CLIENT PAUSE 1 NONE",
    "CLIENT PAUSE x",
    "CLIENT PAUSE -1",
    "CLIENT UNBLOCK 1 2 3",
    "COMMAND NONSENSE",
    "DEBUG",
    "DEBUG NONSENSE",
    "DEBUG JMAP",
    "DEBUG SLEEP",
    "DEBUG SLEEP 1 2",
    "DEBUG ERROR 'CUSTOM words'",
    "SET k v EX 0",
    "SET k v EX -1",
    "SET k v EX x",
    "SET k v EX 9223372036854775807",
    "SET k v PX 9223372036854775807",
    "SETEX k 0 v",
    "PSETEX k -5 v",
    "SETEX k x v",
    "EXPIRE s 9223372036854775807",
    "PEXPIRE s 9223372036854775807",
    "EXPIRE s x",
    "GETEX s EX 0",
    "GETEX s NX",
    "GETEX s EX 1 PERSIST",
    "SETRANGE s -1 x",
    "SETRANGE s 536870912 x",
    "GETRANGE s x 1",
    "PSYNC a",
    "REPLCONF listening-port",
    "REPLCONF nonsense 1",
    "WAIT 1",
    "XADD s 1-1 f v",
    "EXEC",
];

#[test]
fn refusals_are_worded_as_in_redis() {
    let mut lone = serving();
    lone.ask("SET s text");
    let mut text = String::new();
    for line in REFUSED {
        let said = lone.ask(line);
        assert!(said.starts_with('-'), "{line:?} was not refused: {said}");
        text.push_str(&format!("{line:?}\n    {said}\n"));
    }
    insta::assert_snapshot!(text);
}

#[test]
fn only_the_start_of_a_long_command_is_said_back() {
    let mut lone = serving();
    let long = "x".repeat(200);
    let said = lone.ask(&format!("{long} {long} more"));
    let shown = "x".repeat(128);
    assert_eq!(
        said,
        format!("-ERR unknown command '{shown}', with args beginning with: '{shown}' ")
    );
    let said = lone.ask(&format!("CONFIG {long}"));
    assert_eq!(
        said,
        format!("-ERR unknown subcommand '{shown}'. Try CONFIG HELP.")
    );
}

#[test]
fn bytes_that_are_no_text_are_refused_like_any_other() {
    let mut lone = serving();
    lone.actions.clear();
    for command in [
        vec![&b"\xff\xfe"[..], b"\x00\x01"],
        vec![b""],
        vec![b"GET", b"\xff\x00"],
    ] {
        let command: CommandLine = command.into_iter().map(Word::copy_from_slice).collect();
        let wire_len = command_len(&command);
        lone.give(Input::Command {
            client: ALICE,
            command,
            wire_len,
        });
    }
    lone.give(Input::Command {
        client: ALICE,
        command: [].into(),
        wire_len: 0,
    });
    lone.end_turn();
    assert_eq!(
        lone.said_to(ALICE),
        [
            "-ERR unknown command '\u{fffd}\u{fffd}', with args beginning with: '' ",
            "-ERR unknown command '', with args beginning with: ",
            "(nil)",
        ]
    );
}

proptest::proptest! {
    #[test]
    fn no_command_line_makes_the_node_panic(
        lines in proptest::collection::vec(
            proptest::collection::vec(
                proptest::prop_oneof![
                    proptest::sample::select(words()),
                    "[ -~]{0,6}",
                    "-?[0-9]{1,20}",
                ],
                1..7,
            ),
            1..30,
        ),
    ) {
        let mut lone = serving();
        lone.attach_replica();
        for (number, line) in lines.into_iter().enumerate() {
            let command: CommandLine = line.into_iter().map(Word::from).collect();
            let wire_len = command_len(&command);
            let client = [ALICE, BOB, REPLICA][number % 3];
            lone.give(Input::Command { client, command, wire_len });
            if number % 4 == 0 {
                lone.pass_ms(101);
                lone.cron();
            }
        }
        lone.end_turn();
    }
}

#[test]
fn no_number_makes_the_node_panic_by_way_of_its_configuration() {
    for number in ["0", "1", "2147483647", "9223372036854775807"] {
        let mut lone = serving();
        lone.attach_replica();
        let suspect = lone.know(2, NodeFlags::MASTER);
        lone.node.cluster.set_owner(1, Some(suspect));
        for directive in crate::config::Config::directives() {
            lone.ask(&format!("CONFIG SET {} {number}", directive.name));
        }
        for _ in 0..30 {
            lone.pass_ms(100);
            lone.cron();
            lone.ask("SET k v");
        }
        lone.become_replica_of(suspect);
        for _ in 0..30 {
            lone.pass_ms(1000);
            lone.cron();
        }
    }
}

/// Every command, and words that mean something to some of them.
fn words() -> Vec<String> {
    let mut words: Vec<String> = super::super::spec::commands()
        .flat_map(|spec| std::iter::once(spec).chain(spec.subcommands))
        .flat_map(|spec| spec.name.split('|').map(str::to_owned))
        .collect();
    let others = "k {k}2 NX XX GET EX PX PXAT KEEPTTL MATCH COUNT * STABLE NODE MIGRATING IMPORTING \
                  FORCE HARD ID TYPE normal ON OFF SKIP WRITE 0 1 -1 16383 9223372036854775807 \
                  -9223372036854775808";
    words.extend(others.split_whitespace().map(str::to_owned));
    let directives = crate::config::Config::directives().iter();
    words.extend(directives.map(|directive| directive.name.to_owned()));
    words
}

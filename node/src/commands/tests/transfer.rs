use super::*;
use crate::exchange::{Exchange, ExchangeFailure, Exchanged};
use crate::slot::key_slot;
use crate::store::{Hash, List, Set, SortedSet, Value};
use crate::wire::rdb;

fn payload_of(lone: &mut Lone, key: &str) -> Word {
    lone.ask(&format!("DUMP {key}"));
    let reply = lone.actions.iter().find_map(|action| match action {
        Action::Reply {
            reply: Reply::Bulk(payload),
            ..
        } => Some(payload.clone()),
        _ => None,
    });
    reply.expect("a payload")
}

impl Lone {
    /// A whole turn with one command whose words are any bytes.
    fn ask_words(&mut self, words: &[&[u8]]) -> String {
        self.actions.clear();
        let command: CommandLine = words
            .iter()
            .map(|word| Word::copy_from_slice(word))
            .collect();
        let wire_len = command_len(&command);
        self.give(Input::Command {
            client: ALICE,
            command,
            wire_len,
        });
        self.end_turn();
        self.said_to(ALICE).join(" | ")
    }

    fn restore(&mut self, key: &str, ttl: &str, payload: &[u8], options: &[&str]) -> String {
        let mut words: Vec<&[u8]> = vec![b"RESTORE", key.as_bytes(), ttl.as_bytes(), payload];
        words.extend(options.iter().map(|option| option.as_bytes()));
        self.ask_words(&words)
    }

    fn exchange(&self) -> Option<&Exchange> {
        self.actions.iter().find_map(|action| match action {
            Action::Exchange(exchange) => Some(&**exchange),
            _ => None,
        })
    }

    /// The other server answered; the client's answer.
    fn answered(&mut self, replies: &[Reply], failure: Option<ExchangeFailure>) -> String {
        self.exchanged(Exchanged {
            replies: replies.to_vec(),
            failure,
            ..Exchanged::default()
        })
    }

    fn exchanged(&mut self, outcome: Exchanged) -> String {
        self.actions.clear();
        self.give(Input::Exchanged(Box::new(outcome)));
        self.end_turn();
        self.said_to(ALICE).join(" | ")
    }
}

#[test]
fn a_value_of_any_type_is_dumped_and_restored() {
    let mut lone = serving();
    let word = |text: &str| Word::from(text.to_owned());
    let values: [Value; 5] = [
        Value::String(word("text")),
        List::from_iter(["a", "7"].map(word)).into(),
        Set::from_iter(["1", "2"].map(word)).into(),
        SortedSet::from_iter([(word("a"), 1.5)]).into(),
        Hash::from_iter([(word("f"), word("v"))]).into(),
    ];
    for value in values {
        lone.node.store.set(word("from"), value.clone(), None);
        let payload = payload_of(&mut lone, "from");
        assert_eq!(lone.restore("to", "0", &payload, &["REPLACE"]), "OK");
        assert_eq!(lone.node.store.get(b"to", lone.now.wall), Some(&value));
    }
    assert_eq!(lone.ask("DUMP missing"), "(nil)");
}

#[test]
fn restore_refuses_what_it_cannot_take() {
    let mut lone = serving();
    lone.ask("SET k v");
    let good = payload_of(&mut lone, "k");
    let mut changed = good.to_vec();
    changed[1] ^= 1;
    let stream = rdb_payload(b"\x0f\x00");
    let said = [
        lone.restore("k", "0", &good, &[]),
        lone.restore("n", "-1", &good, &[]),
        lone.restore("n", "soon", &good, &[]),
        lone.restore("n", "0", &changed, &[]),
        lone.restore("n", "0", b"short", &[]),
        lone.restore("n", "0", &stream, &[]),
        lone.restore("n", "0", &good, &["BEHIND"]),
        lone.restore("n", "0", &good, &["IDLETIME"]),
        lone.restore("n", "0", &good, &["IDLETIME", "-1"]),
        lone.restore("n", "0", &good, &["FREQ", "256"]),
        lone.restore("n", "0", &good, &["FREQ", "1", "IDLETIME", "1"]),
        // What is wrong with the key comes before what is wrong with the value.
        lone.restore("k", "-1", &changed, &[]),
        lone.restore("k", "0", &changed, &["REPLACE"]),
    ];
    insta::assert_snapshot!(said.join("\n"), @r"
    -BUSYKEY Target key name already exists.
    -ERR Invalid TTL value, must be >= 0
    -ERR value is not an integer or out of range
    -ERR DUMP payload version or checksum are wrong
    -ERR DUMP payload version or checksum are wrong
    -ERR Bad data format
    -ERR syntax error
    -ERR syntax error
    -ERR Invalid IDLETIME value, must be >= 0
    -ERR Invalid FREQ value, must be >= 0 and <= 255
    -ERR syntax error
    -BUSYKEY Target key name already exists.
    -ERR DUMP payload version or checksum are wrong
    ");
    assert_eq!(
        lone.ask("GET k"),
        r#""v""#,
        "a refused value leaves the old one"
    );
    assert_eq!(
        lone.restore("n", "0", &good, &["IDLETIME", "9", "ABSTTL"]),
        "OK"
    );
}

/// A payload with the footer that belongs to it.
fn rdb_payload(content: &[u8]) -> Vec<u8> {
    let mut payload = [content, &[10, 0]].concat();
    // The sum over a payload is the one thing that a good payload of the same start tells.
    let crc = crc::Crc::<u64>::new(&crc::CRC_64_REDIS);
    let sum = crc.checksum(&payload);
    payload.extend_from_slice(&sum.to_le_bytes());
    assert_eq!(rdb::verify(&payload), Ok(()));
    payload
}

#[test]
fn a_time_to_live_goes_to_replicas_as_a_point_in_time() {
    let mut lone = serving();
    lone.attach_replica();
    lone.ask("SET k v");
    let payload = payload_of(&mut lone, "k");
    let fed = |lone: &Lone| {
        let words = lone.actions.iter().find_map(|action| match action {
            Action::ToReplica {
                what: ToReplica::Stream(words),
                ..
            } => Some(words.clone()),
            _ => None,
        });
        let shown = |(place, word): (usize, &Word)| match place {
            3 => "...".to_owned(),
            _ => text(word),
        };
        words.map(|words| {
            words
                .iter()
                .enumerate()
                .map(shown)
                .collect::<Vec<_>>()
                .join(" ")
        })
    };
    assert_eq!(lone.restore("a", "0", &payload, &[]), "OK");
    assert_eq!(fed(&lone).unwrap(), "RESTORE a 0 ...");
    assert_eq!(lone.restore("b", "5000", &payload, &[]), "OK");
    let at_ms = START_MS + 5000;
    assert_eq!(fed(&lone).unwrap(), format!("RESTORE b {at_ms} ... ABSTTL"));
    assert_eq!(lone.ask("PTTL b"), "5000");
    let absolute = (START_MS + 7000).to_string();
    assert_eq!(lone.restore("c", &absolute, &payload, &["ABSTTL"]), "OK");
    assert_eq!(
        fed(&lone).unwrap(),
        format!("RESTORE c {absolute} ... ABSTTL")
    );
    assert_eq!(lone.ask("PTTL c"), "7000");
    // One that is over already is not made, and one it was to replace goes.
    assert_eq!(lone.restore("d", "1", &payload, &["ABSTTL"]), "OK");
    assert_eq!((lone.ask("EXISTS d"), fed(&lone)), ("0".to_owned(), None));
    assert_eq!(
        lone.restore("c", "1", &payload, &["ABSTTL", "REPLACE"]),
        "OK"
    );
    assert_eq!(lone.stream(), ["DEL c"]);
}

#[test]
fn keys_that_arrived_elsewhere_go_and_the_rest_stays() {
    let mut lone = serving();
    lone.attach_replica();
    for line in [
        "SET {t}a 1",
        "SET {t}b 2",
        "SET {t}c 3",
        "PEXPIRE {t}c 9000",
    ] {
        lone.ask(line);
    }
    let line = "MIGRATE 10.0.0.2 7002 '' 0 500 REPLACE KEYS {t}a {t}missing {t}b {t}c";
    assert_eq!(
        lone.ask(line),
        "",
        "nothing is said before the other server answers"
    );
    let exchange = lone.exchange().unwrap();
    let to = (&*exchange.host, exchange.port, exchange.timeout_ms);
    assert_eq!(to, ("10.0.0.2", 7002, 500));
    let lines: Vec<String> = exchange
        .lines(None)
        .map(|words| match &words[..] {
            [name, key, ttl, _, rest @ ..] => {
                let rest: Vec<String> = rest.iter().map(text).collect();
                format!(
                    "{} {} {} ... {}",
                    text(name),
                    text(key),
                    text(ttl),
                    rest.join(" ")
                )
            }
            _ => line_of(&words),
        })
        .collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
    SELECT 0
    RESTORE-ASKING {t}a 0 ... REPLACE
    RESTORE-ASKING {t}b 0 ... REPLACE
    RESTORE-ASKING {t}c 9000 ... REPLACE
    ");
    assert!(
        exchange
            .commands
            .iter()
            .all(|words| rdb::verify(&words[3]).is_ok())
    );
    let replies = [Reply::OK, Reply::error("OOM no room"), Reply::OK];
    assert_eq!(
        lone.answered(&replies, None),
        "-ERR Target instance replied with error: OOM no room"
    );
    assert_eq!(lone.stream(), ["DEL {t}a {t}c"]);
    assert_eq!(lone.ask("EXISTS {t}a {t}b {t}c"), "1");
}

#[test]
fn a_copy_leaves_the_key_where_it_was() {
    let mut lone = serving();
    lone.attach_replica();
    lone.ask("SET k v");
    lone.ask("MIGRATE 10.0.0.2 7002 k 0 500 COPY");
    let command = &lone.exchange().unwrap().commands[0];
    assert_eq!((command.len(), text(&command[1])), (4, "k".to_owned()));
    assert_eq!(lone.answered(&[Reply::OK], None), "OK");
    assert!(lone.stream().is_empty());
    assert_eq!(lone.ask("GET k"), r#""v""#);
}

#[test]
fn what_breaks_off_is_told_and_deletes_what_had_arrived() {
    let mut lone = serving();
    lone.attach_replica();
    let ask = |lone: &mut Lone| {
        lone.ask("MSET {t}a 1 {t}b 2");
        lone.ask("MIGRATE 10.0.0.2 7002 '' 0 500 KEYS {t}a {t}b");
    };
    ask(&mut lone);
    assert_eq!(
        lone.answered(&[], Some(ExchangeFailure::Connecting)),
        "-IOERR error or timeout connecting to the client"
    );
    ask(&mut lone);
    assert_eq!(
        lone.answered(&[], Some(ExchangeFailure::Writing)),
        "-IOERR error or timeout writing to target instance"
    );
    assert!(lone.stream().is_empty());
    assert_eq!(lone.ask("EXISTS {t}a {t}b"), "2");
    ask(&mut lone);
    assert_eq!(
        lone.answered(&[Reply::OK], Some(ExchangeFailure::Reading)),
        "-IOERR error or timeout reading to target instance"
    );
    assert_eq!(lone.stream(), ["DEL {t}a"]);
    assert_eq!(lone.ask("EXISTS {t}a {t}b"), "1");
    // An error of the other server is told rather than that it broke off.
    ask(&mut lone);
    assert_eq!(
        lone.answered(&[Reply::error("BUSYKEY x")], Some(ExchangeFailure::Reading)),
        "-ERR Target instance replied with error: BUSYKEY x"
    );
}

#[test]
fn a_password_goes_first_and_its_refusal_keeps_every_key() {
    let mut lone = serving();
    lone.ask("SET k v");
    lone.ask("MIGRATE 10.0.0.2 7002 k 0 500 AUTH secret");
    let lines: Vec<_> = lone.exchange().unwrap().lines(Some(0)).collect();
    assert_eq!(line_of(&lines[0]), "AUTH secret");
    assert_eq!(lines.len(), 2);
    lone.answered(&[Reply::OK], None);
    lone.ask("SET k v");
    lone.ask("MIGRATE 10.0.0.2 7002 k 3 500 AUTH2 user secret");
    let lines: Vec<_> = lone.exchange().unwrap().lines(Some(0)).collect();
    assert_eq!(line_of(&lines[0]), "AUTH user secret");
    assert_eq!(line_of(&lines[1]), "SELECT 3");
    let refused = Exchanged {
        refused: Some("WRONGPASS no".into()),
        replies: vec![Reply::OK],
        failure: None,
    };
    assert_eq!(
        lone.exchanged(refused),
        "-ERR Target instance replied with error: WRONGPASS no"
    );
    assert_eq!(lone.ask("EXISTS k"), "1");
}

#[test]
fn migrate_is_refused_or_answered_at_once_where_nothing_is_to_be_sent() {
    let mut lone = serving();
    lone.ask("SET k v");
    lone.check(&[
        ("MIGRATE 10.0.0.2 7002 missing 0 500", "NOKEY"),
        ("MIGRATE 10.0.0.2 7002 '' 0 500 KEYS", "NOKEY"),
        (
            "MIGRATE 10.0.0.2 7002 k 0 soon",
            "-ERR value is not an integer or out of range",
        ),
        (
            "MIGRATE 10.0.0.2 7002 k x 500",
            "-ERR value is not an integer or out of range",
        ),
        ("MIGRATE 10.0.0.2 7002 k 0 500 SWIFTLY", "-ERR syntax error"),
        ("MIGRATE 10.0.0.2 7002 k 0 500 AUTH", "-ERR syntax error"),
        (
            "MIGRATE 10.0.0.2 7002 k 0 500 AUTH2 user",
            "-ERR syntax error",
        ),
        (
            "MIGRATE 10.0.0.2 7002 k 0 500 KEYS k",
            "-ERR When using MIGRATE KEYS option, the key argument must be set to the empty string",
        ),
        (
            "MIGRATE 10.0.0.2 7002 k 0",
            "-ERR wrong number of arguments for 'migrate' command",
        ),
    ]);
    lone.ask("MIGRATE 10.0.0.2 many k 0 0");
    let exchange = lone.exchange().unwrap();
    assert_eq!((exchange.port, exchange.timeout_ms), (0, 1000));
}

#[test]
fn a_key_that_expires_on_its_way_is_not_sent() {
    let mut lone = serving();
    lone.ask("SET k v PX 100");
    lone.ask("MIGRATE 10.0.0.2 7002 k 0 500");
    let command = &lone.exchange().unwrap().commands[0];
    assert_eq!(text(&command[2]), "100");
}

#[test]
fn commands_that_wait_run_after_the_keys_have_arrived() {
    let mut lone = serving();
    lone.ask("SET k v");
    lone.ask_as(BOB, "CLIENT PAUSE 1000 ALL");
    for line in ["MIGRATE 10.0.0.2 7002 k 0 500", "EXISTS k"] {
        lone.send(ALICE, line);
    }
    lone.pass_ms(2000);
    lone.cron();
    assert!(lone.exchange().is_some());
    assert!(lone.said_to(ALICE).is_empty(), "the process stands still");
    assert_eq!(lone.answered(&[Reply::OK], None), "OK | 0");
}

#[test]
fn keys_of_an_open_slot_move_freely() {
    let mut lone = serving();
    let other = lone.know(2, NodeFlags::MASTER);
    let slot = key_slot(b"foo");
    slots::set_migrating(&mut lone.node, slot, other);
    lone.check(&[
        ("MIGRATE 10.0.0.2 7002 foo 0 500", "NOKEY"),
        ("GET foo", "-ASK 12182 10.0.0.2:7002"),
    ]);
    let mut lone = serving();
    lone.ask("SET foo bar");
    let payload = payload_of(&mut lone, "foo");
    lone.ask("DEL foo");
    let other = lone.know(2, NodeFlags::MASTER);
    lone.node.cluster.set_owner(slot, Some(other));
    let moved = "-MOVED 12182 10.0.0.2:7002";
    let restore = |lone: &mut Lone, name: &[u8]| lone.ask_words(&[name, b"foo", b"0", &payload]);
    assert_eq!(restore(&mut lone, b"RESTORE-ASKING"), moved);
    assert_eq!(lone.ask("MIGRATE 10.0.0.2 7002 foo 0 500"), moved);
    slots::set_importing(&mut lone.node, slot, other);
    assert_eq!(restore(&mut lone, b"RESTORE"), moved);
    assert_eq!(restore(&mut lone, b"RESTORE-ASKING"), "OK");
    assert_eq!(lone.ask("GET foo"), moved);
    lone.ask("ASKING");
    assert_eq!(lone.ask("GET foo"), r#""bar""#);
    assert_eq!(lone.ask("MIGRATE 10.0.0.2 7002 foo 0 500"), "");
    assert_eq!(lone.answered(&[Reply::OK], None), "OK");
}

#[test]
fn the_keys_of_migrate_are_what_it_names_not_the_empty_word_before_them() {
    serving().check(&[
        ("COMMAND GETKEYS MIGRATE h 1 k 0 500 COPY", r#"["k"]"#),
        (
            "COMMAND GETKEYS MIGRATE h 1 '' 0 500 AUTH keys REPLACE KEYS a b",
            r#"["a", "b"]"#,
        ),
        (
            "COMMAND GETKEYS MIGRATE h 1 k 0 500 KEYS a",
            "-ERR Invalid arguments specified for command",
        ),
    ]);
}

#[test]
fn keys_of_several_slots_do_not_travel_together() {
    let mut lone = serving();
    lone.ask("SET a 1");
    let refused = "-CROSSSLOT Keys in request don't hash to the same slot";
    assert_eq!(lone.ask("MIGRATE 10.0.0.2 7002 '' 0 500 KEYS a b"), refused);
    assert_eq!(
        lone.ask("COMMAND GETKEYS MIGRATE 10.0.0.2 7002 '' 0 500 COPY AUTH keys KEYS {x}a {x}b"),
        r#"["{x}a", "{x}b"]"#
    );
}

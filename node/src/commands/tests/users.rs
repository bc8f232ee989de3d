use super::*;
use crate::input::ConfigRewrite;
use crate::replication;

fn guarded() -> Lone {
    let mut lone = serving();
    lone.check(&[("CONFIG SET requirepass secret", "OK"), ("PING", "PONG")]);
    for client in [BOB, REPLICA] {
        lone.give(Input::ClientClosed { client });
        arrive(&mut lone, client, "10.9.9.7:5000");
    }
    lone
}

fn arrive(lone: &mut Lone, client: ClientId, peer: &str) {
    lone.actions.clear();
    lone.give(Input::ClientAccepted {
        client,
        peer: peer.parse().unwrap(),
        local: [10, 0, 0, 1].into(),
    });
    lone.end_turn();
}

#[test]
fn a_client_says_the_password_before_anything_else() {
    let mut lone = guarded();
    let noauth = "-NOAUTH Authentication required.";
    let wrong = "-WRONGPASS invalid username-password pair or user is disabled.";
    for (line, expected) in [
        ("GET k", noauth),
        ("PING", noauth),
        ("MULTI", noauth),
        ("AUTH wrong", wrong),
        ("AUTH nobody secret", wrong),
        ("AUTH default wrong", wrong),
        ("GET k", noauth),
        ("AUTH secret", "OK"),
        ("GET k", "(nil)"),
        ("ACL WHOAMI", r#""default""#),
        ("AUTH wrong", wrong),
        ("GET k", "(nil)"),
        ("RESET", "RESET"),
        ("GET k", noauth),
        ("AUTH default secret", "OK"),
    ] {
        assert_eq!(lone.ask_as(BOB, line), expected, "{line}");
    }
    assert_eq!(lone.ask("GET k"), "(nil)", "who was there already may stay");
}

#[test]
fn hello_takes_the_password() {
    let mut lone = guarded();
    let refused = lone.ask_as(BOB, "HELLO 3");
    assert!(
        refused.starts_with("-NOAUTH HELLO must be called with"),
        "{refused}"
    );
    assert!(
        lone.ask_as(BOB, "HELLO 3 AUTH default wrong")
            .starts_with("-WRONGPASS")
    );
    let hello = lone.ask_as(BOB, "HELLO 3 AUTH default secret SETNAME bob");
    assert!(hello.contains(r#""proto": 3"#), "{hello}");
    assert_eq!(lone.ask_as(BOB, "CLIENT GETNAME"), r#""bob""#);
}

#[test]
fn without_a_password_there_is_nothing_to_say() {
    let mut lone = serving();
    lone.check(&[
        (
            "AUTH x",
            "-ERR AUTH <password> called without any password configured for the default user. \
             Are you sure your configuration is correct?",
        ),
        ("AUTH default anything", "OK"),
        ("ACL LIST", r#"["user default on nopass ~* &* +@all"]"#),
        ("ACL USERS", r#"["default"]"#),
        ("ACL GETUSER nobody", "(nil)"),
    ]);
    assert!(
        lone.ask("ACL SETUSER bob on")
            .starts_with("-ERR redrill has one user")
    );
    assert!(lone.ask("ACL CAT").contains(r#""transaction""#));
    assert!(lone.ask("ACL CAT transaction").contains(r#""exec""#));
    lone.check(&[("CONFIG SET requirepass x", "OK")]);
    assert_eq!(
        lone.ask("ACL LIST"),
        r##"["user default on #2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881 ~* &* +@all"]"##
    );
}

#[test]
fn a_protected_node_serves_its_own_host_alone() {
    let mut lone = serving();
    lone.node.config_mut().protected_mode = true;
    arrive(&mut lone, ClientId(20), "192.168.1.7:5000");
    let said = lone.said_to(ClientId(20));
    assert!(said[0].starts_with("-DENIED Redis is running in protected mode"));
    assert!(lone.closed(ClientId(20)));
    for (client, peer) in [
        (21, "127.0.0.1:5000"),
        (22, "[::1]:5000"),
        (23, "[::ffff:127.0.0.1]:5000"),
    ] {
        arrive(&mut lone, ClientId(client), peer);
        assert!(!lone.closed(ClientId(client)), "{peer}");
    }
    lone.node.config_mut().requirepass = Some("secret".into());
    arrive(&mut lone, ClientId(24), "192.168.1.7:5000");
    assert!(
        !lone.closed(ClientId(24)),
        "whoever knows the password may come"
    );
    assert!(lone.ask("INFO stats").contains("rejected_connections:1"));
}

#[test]
fn more_clients_than_allowed_are_sent_away() {
    let mut lone = serving();
    lone.node.config_mut().maxclients = 4;
    arrive(&mut lone, ClientId(20), "10.9.9.20:5000");
    assert!(!lone.closed(ClientId(20)));
    arrive(&mut lone, ClientId(21), "10.9.9.21:5000");
    assert_eq!(
        lone.said_to(ClientId(21)),
        ["-ERR max number of clients + cluster connections reached"]
    );
    assert!(lone.closed(ClientId(21)));
}

#[test]
fn idle_clients_are_closed_but_not_those_that_listen() {
    let mut lone = serving();
    lone.ask_as(BOB, "SUBSCRIBE a");
    lone.ask("CONFIG SET timeout 5");
    lone.pass_ms(4_000);
    lone.ask_as(REPLICA, "PING");
    lone.pass_ms(3_000);
    lone.cron();
    assert!(lone.closed(ALICE));
    assert!(!lone.closed(BOB) && !lone.closed(REPLICA));
}

#[test]
fn a_renamed_command_answers_to_its_new_name_alone() {
    let mut config = Config::default();
    config.renames.rename("config", "").unwrap();
    config.renames.rename("flushall", "wipe").unwrap();
    let mut lone = serving_with(config);
    lone.check(&[
        ("SET k 1", "OK"),
        (
            "FLUSHALL",
            "-ERR unknown command 'FLUSHALL', with args beginning with: ",
        ),
        (
            "CONFIG GET port",
            "-ERR unknown command 'CONFIG', with args beginning with: 'GET' 'port' ",
        ),
        ("Wipe", "OK"),
        ("GET k", "(nil)"),
    ]);
}

#[test]
fn whoever_monitors_sees_the_commands_of_others() {
    let mut lone = serving();
    assert_eq!(lone.ask_as(BOB, "MONITOR"), "OK");
    lone.ask(r#"SET k "a\n\"b""#);
    assert_eq!(
        lone.said_to(BOB),
        [r#"1700000000.000000 [0 10.9.9.1:5000] "SET" "k" "a\n\"b""#]
    );
    lone.ask("AUTH default secret");
    lone.ask("CONFIG GET port");
    assert!(lone.said_to(BOB).is_empty());
    lone.ask_as(BOB, "RESET");
    lone.ask("PING");
    assert!(lone.said_to(BOB).is_empty());
}

#[test]
fn slow_commands_are_remembered() {
    let mut config = Config::default();
    config.host.is_timed = true;
    config.set("slowlog-max-len", "2").unwrap();
    let mut lone = serving_with(config);
    lone.ask("CLIENT SETNAME alice");
    for value in ["1", "2", "3"] {
        lone.send(ALICE, &format!("SET k {value}"));
        lone.now.mono = lone.now.mono.plus_us(20_000);
        lone.end_turn();
    }
    lone.ask("PING");
    assert_eq!(lone.ask("SLOWLOG LEN"), "2");
    assert_eq!(
        lone.ask("SLOWLOG GET 1"),
        r#"[[2, 1700000000, 20000, ["SET", "k", "3"], "10.9.9.1:5000", "alice"]]"#
    );
    assert!(
        lone.ask("INFO commandstats")
            .contains("cmdstat_set:calls=3,usec=60000")
    );
    lone.check(&[("SLOWLOG RESET", "OK"), ("SLOWLOG GET", "[]")]);
}

#[test]
fn a_shutdown_waits_for_replicas_as_long_as_it_may() {
    let mut lone = serving();
    lone.attach_replica();
    lone.ask("SET k 1");
    assert_eq!(lone.ask("SHUTDOWN NOSAVE"), "");
    assert!(!lone.actions.contains(&Action::Exit));
    lone.check(&[]);
    assert_eq!(lone.ask_as(BOB, "SET k 2"), "", "writes wait");
    lone.pass_ms(10_100);
    lone.cron();
    assert!(lone.actions.contains(&Action::Exit));
}

#[test]
fn a_shutdown_ends_the_process_once_replicas_have_everything() {
    let mut lone = serving();
    lone.attach_replica();
    lone.ask("SET k 1");
    lone.ask("SHUTDOWN NOSAVE");
    assert_eq!(lone.stream(), ["REPLCONF GETACK *"]);
    let offset = replication::offset(&lone.node);
    lone.ask_as(REPLICA, &format!("REPLCONF ACK {offset}"));
    lone.cron();
    assert!(lone.actions.contains(&Action::Exit));
}

#[test]
fn a_shutdown_can_be_called_off() {
    let mut lone = serving();
    lone.check(&[
        ("SHUTDOWN SAVE NOSAVE", "-ERR syntax error"),
        ("SHUTDOWN ABORT NOW", "-ERR syntax error"),
        ("SHUTDOWN ABORT", "-ERR No shutdown in progress."),
    ]);
    lone.attach_replica();
    lone.ask("SET k 1");
    lone.ask_as(BOB, "SHUTDOWN NOSAVE");
    assert_eq!(lone.ask("SHUTDOWN ABORT"), "OK");
    assert_eq!(
        lone.said_to(BOB),
        ["-ERR Errors trying to SHUTDOWN. Check logs."]
    );
    assert_eq!(lone.ask_as(BOB, "SET k 2"), "OK");
}

#[test]
fn a_shutdown_that_need_not_wait_ends_the_process_at_once() {
    let mut lone = serving();
    lone.attach_replica();
    lone.ask("SET k 1");
    lone.ask("SHUTDOWN NOSAVE NOW");
    assert!(lone.actions.contains(&Action::Exit));
}

#[test]
fn what_is_not_for_a_cluster_or_not_here_is_refused_in_plain_words() {
    let mut lone = serving();
    lone.check(&[
        ("SELECT 1", "-ERR SELECT is not allowed in cluster mode"),
        ("SWAPDB 0 1", "-ERR SWAPDB is not allowed in cluster mode"),
        ("MOVE k 1", "-ERR MOVE is not allowed in cluster mode"),
        (
            "REPLICAOF no one",
            "-ERR REPLICAOF not allowed in cluster mode.",
        ),
        (
            "CLIENT TRACKING on",
            "-ERR redrill does not track keys: turn client-side caching off",
        ),
        ("CLIENT TRACKING off", "OK"),
        (
            "CLIENT TRACKINGINFO",
            r#"{"flags": ~["off"], "redirect": -1, "prefixes": []}"#,
        ),
        ("LOLWUT", "Redis ver. 7.0.15\n"),
    ]);
}

#[test]
fn parameters_are_changed_together_or_not_at_all() {
    let mut lone = serving();
    lone.check(&[
        (
            "CONFIG SET timeout 7 maxclients abc",
            "-ERR CONFIG SET failed (possibly related to argument 'maxclients') - argument \
             couldn't be parsed into an integer",
        ),
        ("CONFIG GET timeout", r#"{"timeout": "0"}"#),
        (
            "CONFIG SET timeout 7 port 1",
            "-ERR CONFIG SET failed (possibly related to argument 'port') - Unable to listen on \
             this port. Check server logs.",
        ),
        ("CONFIG SET timeout 7 port 7000 maxclients 5", "OK"),
        (
            "CONFIG GET timeout maxc*",
            r#"{"maxclients": "5", "timeout": "7"}"#,
        ),
        (
            "CONFIG REWRITE",
            "-ERR The server is running without a config file",
        ),
    ]);
}

#[test]
fn a_node_tells_others_where_it_says_it_is() {
    let mut lone = serving();
    lone.ask("CONFIG SET cluster-announce-ip 10.1.1.1 cluster-announce-port 8000 cluster-announce-bus-port 18001");
    let myself = lone.ask("CLUSTER NODES");
    assert!(myself.contains(" 10.1.1.1:8000@18001 myself"), "{myself}");
    lone.ask("CONFIG SET cluster-announce-hostname here.example");
    let myself = lone.ask("CLUSTER NODES");
    assert!(myself.contains("@18001,here.example myself"), "{myself}");
}

#[test]
fn the_file_is_rewritten_by_the_process_and_the_client_told() {
    let mut config = Config::default();
    config.host.config_file = Some("/etc/redis.conf".into());
    let mut lone = serving_with(config);
    assert_eq!(lone.ask("CONFIG REWRITE"), "");
    assert!(
        lone.actions
            .contains(&Action::RewriteConfig { client: ALICE })
    );
    for (result, said) in [
        (ConfigRewrite::Done, "OK"),
        (
            ConfigRewrite::Failed("Permission denied".into()),
            "-ERR Rewriting config file: Permission denied",
        ),
    ] {
        lone.actions.clear();
        lone.give(Input::ConfigRewritten {
            client: ALICE,
            result,
        });
        lone.end_turn();
        assert_eq!(lone.said_to(ALICE), [said]);
    }
}

/// What a replica that knows a password sends to its master, and what it answers to each.
fn handshake(config: Config, answers: &[Reply]) -> (Lone, Vec<String>) {
    use crate::action::ToMaster;
    use crate::input::FromMaster;
    let mut lone = serving_with(config);
    lone.become_replica();
    lone.actions.clear();
    lone.give(Input::Master(FromMaster::Up));
    for answer in answers {
        lone.give(Input::Master(FromMaster::Reply(answer.clone())));
    }
    lone.end_turn();
    let sent = lone.actions.iter().filter_map(|action| match action {
        Action::ToMaster(ToMaster::Command(command)) => Some(line_of(command)),
        _ => None,
    });
    let sent = sent.collect();
    (lone, sent)
}

#[test]
fn a_replica_says_the_password_of_its_master() {
    let refused = Reply::error("NOAUTH Authentication required.");
    let mut config = Config::default();
    config.set("masterauth", "secret").unwrap();
    config.set("replica-announce-port", "9000").unwrap();
    let (_, sent) = handshake(config.clone(), &[refused.clone(), Reply::OK]);
    assert_eq!(
        sent[..3],
        ["PING", "AUTH secret", "REPLCONF listening-port 9000"]
    );
    config.set("masteruser", "bob").unwrap();
    let wrong = Reply::error("WRONGPASS invalid username-password pair or user is disabled.");
    let (lone, sent) = handshake(config, &[refused, wrong]);
    assert_eq!(sent, ["PING", "AUTH bob secret"]);
    assert!(lone.actions.contains(&Action::CloseMaster));
    let said = lone.actions.iter().any(|action| match action {
        Action::Log { line, .. } => line.starts_with("Unable to AUTH to MASTER: -WRONGPASS"),
        _ => false,
    });
    assert!(said, "the log tells why");
}

#[test]
fn clients_are_killed_by_what_they_are() {
    let mut lone = serving();
    lone.ask_as(BOB, "SUBSCRIBE a");
    lone.ask_as(REPLICA, "MULTI");
    lone.ask_as(REPLICA, "PING");
    let list = lone.ask("CLIENT LIST");
    assert!(
        list.contains("flags=x db=0 sub=0 psub=0 ssub=0 multi=1"),
        "{list}"
    );
    lone.check(&[
        ("CLIENT KILL TYPE replica", "0"),
        ("CLIENT KILL USER nobody", "-ERR No such user 'nobody'"),
        ("CLIENT KILL LADDR 10.0.0.1:7001", "0"),
        ("CLIENT KILL TYPE pubsub", "1"),
    ]);
    assert!(lone.closed(BOB));
    assert_eq!(lone.ask("PUBSUB CHANNELS"), "[]");
    assert_eq!(
        lone.ask("CLIENT KILL USER default LADDR 10.0.0.1:7000"),
        "1"
    );
    assert!(lone.closed(REPLICA));
}

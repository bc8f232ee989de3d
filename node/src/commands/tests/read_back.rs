use super::*;
use crate::reply::Reply;
use crate::slot::key_slot;
use crate::view::ReadBack;

/// A client that has said nothing yet.
const NEWCOMER: ClientId = ClientId(77);

impl Lone {
    /// What a newcomer is answered to `GET`, which must be what is read back.
    fn reads(&mut self, key: &str) -> String {
        let read_back = self.read_back(key, false);
        self.connect(NEWCOMER);
        let answer = self.ask_as(NEWCOMER, &format!("GET {key}"));
        self.give(Input::ClientClosed { client: NEWCOMER });
        assert_eq!(read_back, answer, "answer to GET {key}");
        answer
    }

    /// The same behind `ASKING`.
    fn reads_asking(&mut self, key: &str) -> String {
        let read_back = self.read_back(key, true);
        self.connect(NEWCOMER);
        self.ask_as(NEWCOMER, "ASKING");
        let answer = self.ask_as(NEWCOMER, &format!("GET {key}"));
        self.give(Input::ClientClosed { client: NEWCOMER });
        assert_eq!(read_back, answer, "answer to ASKING, GET {key}");
        answer
    }

    /// As a person reads it; nothing if there is no answer.
    fn read_back(&self, key: &str, asking: bool) -> String {
        let key = Word::from(key.to_owned());
        let Some(read_back) = self.node.view().read_back(&key, asking) else {
            return String::new();
        };
        shown(&match read_back {
            ReadBack::Value(value) => Reply::Bulk(value.clone()),
            ReadBack::Nil => Reply::Nil,
            ReadBack::Error(text) => Reply::Error(text.into()),
        })
    }
}

#[test]
fn what_is_read_back_is_what_a_client_is_answered() {
    let mut lone = serving();
    let other = lone.know(2, NodeFlags::MASTER);
    lone.ask("SET mine 1");
    lone.ask("RPUSH list 1");
    assert_eq!(lone.reads("mine"), "\"1\"");
    assert_eq!(lone.reads("missing"), "(nil)");
    assert!(lone.reads("list").starts_with("-WRONGTYPE"));
    slots::set_migrating(&mut lone.node, key_slot(b"mine"), other);
    assert_eq!(lone.reads("mine"), "\"1\"");
    assert!(lone.reads("{mine}gone").starts_with("-ASK "));
    lone.node.cluster.set_owner(key_slot(b"foo"), Some(other));
    assert_eq!(lone.reads("foo"), "-MOVED 12182 10.0.0.2:7002");
    slots::set_importing(&mut lone.node, key_slot(b"foo"), other);
    assert_eq!(lone.reads("foo"), "-MOVED 12182 10.0.0.2:7002");
    assert_eq!(lone.reads_asking("foo"), "(nil)");
    lone.node.cluster.set_owner(key_slot(b"nobody"), None);
    assert_eq!(lone.reads("nobody"), "-CLUSTERDOWN Hash slot not served");
    lone.node.cluster.state_ok = false;
    assert!(lone.reads("mine").starts_with("-CLUSTERDOWN"));
}

#[test]
fn a_replica_is_read_back_as_it_answers() {
    let mut lone = serving();
    lone.become_replica();
    assert_eq!(lone.reads("foo"), "-MOVED 12182 10.0.0.2:7002");
}

#[test]
fn a_password_stands_before_what_is_read_back() {
    let mut lone = serving();
    lone.ask("SET mine 1");
    lone.ask("CONFIG SET requirepass secret");
    assert!(lone.reads("mine").starts_with("-NOAUTH"));
}

#[test]
fn nothing_is_read_back_while_all_are_paused() {
    let mut lone = serving();
    lone.ask("SET mine 1");
    lone.ask("CLIENT PAUSE 100 WRITE");
    assert_eq!(lone.reads("mine"), "\"1\"");
    lone.ask("CLIENT PAUSE 100 ALL");
    assert_eq!(lone.reads("mine"), "");
}

#[test]
fn to_be_read_back_leaves_no_trace() {
    let mut lone = serving();
    lone.ask("SET mine 1 PX 10");
    lone.pass_ms(11);
    lone.give(Input::TurnEnd);
    let before = lone.ask("INFO stats");
    assert_eq!(lone.read_back("mine", false), "(nil)");
    assert_eq!(lone.read_back("missing", false), "(nil)");
    let untouched = lone.ask("DBSIZE");
    let hits = |info: &str| {
        let lines = info.lines().filter(|line| line.starts_with("keyspace_"));
        lines.map(str::to_owned).collect::<Vec<String>>()
    };
    assert_eq!(hits(&lone.ask("INFO stats")), hits(&before));
    assert_eq!(untouched, "1");
}

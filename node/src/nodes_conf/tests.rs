use proptest::prelude::*;

use super::*;

const MASTER_7000: &[u8] = include_bytes!("../../tests/fixtures/nodes-7000.before.conf");
const REPLICA_7004: &[u8] = include_bytes!("../../tests/fixtures/nodes-7004.before.conf");
const RETURNED_7001: &[u8] = include_bytes!("../../tests/fixtures/nodes-7001.after.conf");
const CLUSTER_NODES: &[u8] =
    include_bytes!("../../tests/fixtures/cluster-nodes.after-failover.txt");

fn parsed(text: &[u8]) -> SavedState {
    SavedState::parse(text).unwrap().unwrap()
}

fn changed(from: &str, to: &str) -> String {
    let text = String::from_utf8(MASTER_7000.to_vec()).unwrap();
    assert!(text.contains(from), "{from}");
    text.replacen(from, to, 1)
}

fn error(text: &str) -> String {
    SavedState::parse(text.as_bytes()).unwrap_err().to_string()
}

#[test]
fn a_state_file_of_redis_comes_back_as_it_was() {
    for text in [MASTER_7000, REPLICA_7004, RETURNED_7001] {
        assert_eq!(parsed(text).to_text().as_bytes(), text);
    }
}

#[test]
fn a_state_file_of_redis_is_understood() {
    let state = parsed(RETURNED_7001);
    assert_eq!((state.current_epoch, state.last_vote_epoch), (8, 7));
    let myself = state.nodes.last().unwrap();
    assert_eq!(myself.flags, NodeFlags::MYSELF | NodeFlags::REPLICA);
    assert_eq!(myself.replica_of, Some(state.nodes[2].id));
    assert_eq!(state.nodes[2].slots.len(), 5462);
    assert_eq!(state.nodes[0].ping_sent_ms, 1_795_249_412_052);
}

#[test]
fn a_file_of_no_bytes_is_as_none() {
    assert_eq!(SavedState::parse(b""), Ok(None));
}

#[test]
fn every_cut_off_state_file_is_refused() {
    for text in [MASTER_7000, RETURNED_7001] {
        for len in 1..text.len() {
            let error = SavedState::parse(&text[..len]).unwrap_err();
            assert!(error.span.end <= len && !error.hint.is_empty());
        }
    }
}

#[test]
fn migrations_hostnames_and_missing_addresses_come_back_as_they_were() {
    let text = "\
77eed471eebcbef308daec9122905c2fab84f72f ::1:7000@17000,a.example myself,master - 0 0 1 connected 0-9 11 [3->-830223a2a54652b685a7e02d8c71fc8b9f0a50da] [12-<-830223a2a54652b685a7e02d8c71fc8b9f0a50da] [13->-830223a2a54652b685a7e02d8c71fc8b9f0a50da]
830223a2a54652b685a7e02d8c71fc8b9f0a50da :0@0 master,fail?,noaddr - 5 6 2 disconnected
518a519c3c94ff9d2e18d52e7234bef1461677ce 10.0.0.3:7002@17002 noflags - 0 0 0 disconnected
afa365d7bcd6f88701c3297debb9cf16e0ba779d 10.0.0.4:7004@17004 slave,nofailover 830223a2a54652b685a7e02d8c71fc8b9f0a50da 0 0 2 connected
vars currentEpoch 18446744073709551615 lastVoteEpoch 3
";
    assert_eq!(parsed(text.as_bytes()).to_text(), text);
}

#[test]
fn blank_lines_order_case_and_later_versions_are_taken() {
    let text = "
vars currentEpoch 6 lastVoteEpoch 0 somethingNew 1

77eed471eebcbef308daec9122905c2fab84f72f 127.0.0.1:7000 MYSELF,master - 0 0 1 connected\r
830223a2a54652b685a7e02d8c71fc8b9f0a50da 10.0.0.2:7001@17001,,shard-id=69bc080733d1355567173199cff4a6a039a2f024 master - 0 0 2 connected
";
    let state = parsed(text.as_bytes());
    assert_eq!(state.nodes[0].address.bus_port, 17000);
    assert_eq!(state.nodes[1].hostname, None);
    assert_eq!(state.current_epoch, 6);
}

#[test]
fn the_output_of_cluster_nodes_is_read_in_its_order() {
    let nodes = parse_cluster_nodes(CLUSTER_NODES).unwrap();
    let ports: Vec<_> = nodes.iter().map(|node| node.address.port).collect();
    assert_eq!(ports, [7004, 7001, 7005, 7003, 7002, 7000]);
    assert_eq!(nodes[1].flags, NodeFlags::MASTER | NodeFlags::FAIL);
    assert_eq!(
        parse_cluster_nodes(MASTER_7000).unwrap(),
        parsed(MASTER_7000).nodes
    );
    assert!(parse_cluster_nodes(b"\n").is_err());
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    let texts = [
        error(&changed("afa365d7", "AFA365D7")),
        error("\0\0\0\0"),
        error(&changed("127.0.0.1:7004@17004", "127.0.0.1")),
        error(&changed("127.0.0.1:7004@17004", "localhost:7004@17004")),
        error(&changed("127.0.0.1:7004@17004", "127.0.0.1:70004@17004")),
        error(&changed("127.0.0.1:7004@17004", "127.0.0.1:7004@")),
        error(&changed("127.0.0.1:7004@17004", "127.0.0.1:7004@17004,a_b")),
        error(&changed("myself,master", "myself,mastr")),
        error(&changed("myself,master", "master")),
        error(&changed("master -", "myself,master -")),
        error(&changed("master -", "master 77eed471")),
        error(&changed(" 0 1795249376000", " 0 now")),
        error(&changed("connected", "conn")),
        error(&changed("5461-10922", "5461-16384")),
        error(&changed("5461-10922", "5462-5461")),
        error(&changed("5461-10922", "5461-10923")),
        error(&changed("5461-10922", "5461-10922 [93->-x]")),
        error(&changed("5461-10922", "5461-10922 [93]")),
        error(&changed(
            "afa365d7bcd6f88701c3297debb9cf16e0ba779d",
            "830223a2a54652b685a7e02d8c71fc8b9f0a50da",
        )),
        error(&changed(" 2 connected 5461-10922", "")),
        error(&changed("vars currentEpoch 6 lastVoteEpoch 0\n", "")),
        error(&changed("lastVoteEpoch 0", "lastVoteEpoch")),
        error(&changed(" lastVoteEpoch 0", "")),
        error(&changed("currentEpoch 6", "currentEpoch six")),
        error(&changed("lastVoteEpoch 0\n", "lastVoteEpoch 0")),
    ];
    insta::assert_snapshot!(texts.join("\n"), @r#"
    line 1, column 1, id: expected 40 lower-case hexadecimal digits, found `AFA365D7bcd6f88701c3297debb9cf16e0ba779d`
    line 1, column 1, id: expected 40 lower-case hexadecimal digits or `vars`, found `\x00\x00\x00\x00`
    line 1, column 42, address: expected ip:port@bus-port, found `127.0.0.1`
    line 1, column 42, ip: expected an IPv4 or IPv6 address, or nothing, found `localhost`
    line 1, column 52, port: expected a port from 0 to 65535, found `70004`
    line 1, column 57, bus-port: expected a port from 0 to 65535, found nothing
    line 1, column 63, hostname: expected letters, digits, hyphens and dots, found `a_b`
    line 6, column 70, flags: expected myself, master, slave, fail?, fail, handshake, noaddr, nofailover or noflags, found `mastr`
    line 8, column 1, flags: no node has the flag myself
    line 6, column 63, flags: the node on line 2 has the flag myself as well
    line 2, column 70, master: expected 40 lower-case hexadecimal digits or `-`, found `77eed471`
    line 1, column 112, pong-received: expected Unix milliseconds, found `now`
    line 1, column 128, link-state: expected `connected` or `disconnected`, found `conn`
    line 2, column 105, slots: expected a slot from 0 to 16383, found `16384`
    line 2, column 100, slots: expected a range in ascending order, found `5462-5461`
    line 5, column 100, slots: slot 10923 has an owner already
    line 2, column 117, slots: expected 40 lower-case hexadecimal digits, found `x`
    line 2, column 111, slots: expected [slot->-id] or [slot-<-id], found `[93]`
    line 2, column 1, id: this node stands on line 1 as well
    line 2, column 87, config-epoch: a node has 8 fields, this one ends before config-epoch
    line 7, column 1, vars: the line `vars currentEpoch N lastVoteEpoch N` is missing
    line 7, column 34, vars: a name without a value
    line 7, column 20, vars: lastVoteEpoch is missing
    line 7, column 19, currentEpoch: expected an epoch from 0, found `six`
    line 7, column 36, line: the last line has no line end
    "#);
}

#[test]
fn an_error_points_at_the_bytes_at_fault() {
    let text = changed("myself,master", "myself,mastr");
    let error = SavedState::parse(text.as_bytes()).unwrap_err();
    assert_eq!(&text[error.span], "mastr");
    assert_eq!((error.line, error.column, error.field), (6, 70, "flags"));
}

fn any_id() -> impl Strategy<Value = NodeId> {
    any::<[u8; 20]>().prop_map(NodeId)
}

fn any_node() -> impl Strategy<Value = SavedNode> {
    let who = (any_id(), proptest::option::of(any_id()), any::<[bool; 7]>());
    let place = (any::<Option<IpAddr>>(), any::<u16>(), any::<u16>());
    let names = (
        proptest::option::of("[a-zA-Z0-9.-]{1,30}"),
        proptest::option::of(any_id()),
    );
    let times = (0..i64::MAX, 0..i64::MAX, any::<u64>(), any::<bool>());
    (who, place, names, times).prop_map(
        |(
            (id, replica_of, flags),
            (ip, port, bus_port),
            (hostname, shard_id),
            (ping, pong, config_epoch, link_up),
        )| {
            let known = FLAG_NAMES[1..].iter().zip(flags).filter(|(_, set)| *set);
            SavedNode {
                id,
                address: Address { ip, port, bus_port },
                hostname: hostname.map(Into::into),
                shard_id,
                flags: known.map(|((flag, _), _)| *flag).collect(),
                replica_of,
                ping_sent_ms: ping,
                pong_received_ms: pong,
                config_epoch,
                link_up,
                slots: Arc::default(),
                migrating: Vec::new(),
                importing: Vec::new(),
            }
        },
    )
}

/// A state in which each slot has at most one owner.
fn any_state() -> impl Strategy<Value = SavedState> {
    let nodes = proptest::collection::vec(any_node(), 1..6);
    let owners = proptest::collection::btree_map(0..16384_u16, any::<u8>(), 0..60);
    let moves = proptest::collection::btree_map(0..16384_u16, (any::<bool>(), any_id()), 0..5);
    (nodes, owners, moves, any::<(u64, u64)>()).prop_map(
        |(mut nodes, owners, moves, (current_epoch, last_vote_epoch))| {
            for (slot, owner) in owners {
                let owner = usize::from(owner) % nodes.len();
                Arc::make_mut(&mut nodes[owner].slots).insert(slot);
            }
            let myself = &mut nodes[0];
            myself.flags |= NodeFlags::MYSELF;
            myself.link_up = true;
            for (slot, (away, node)) in moves {
                let list = if away {
                    &mut myself.migrating
                } else {
                    &mut myself.importing
                };
                list.push((slot, node));
            }
            SavedState {
                nodes,
                current_epoch,
                last_vote_epoch,
            }
        },
    )
}

proptest! {
    #[test]
    fn any_state_comes_back_from_its_text(state in any_state()) {
        prop_assert_eq!(SavedState::parse(state.to_text().as_bytes()), Ok(Some(state)));
    }

    #[test]
    fn a_changed_byte_never_panics_and_errors_point_into_the_text(
        place in any::<proptest::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut text = MASTER_7000.to_vec();
        let place = place.index(text.len());
        text[place] = byte;
        if let Err(error) = SavedState::parse(&text) {
            prop_assert!(error.span.start <= error.span.end && error.span.end <= text.len());
        }
    }

    #[test]
    fn no_bytes_make_the_reader_panic(text in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = SavedState::parse(&text);
        let _ = parse_cluster_nodes(&text);
    }
}

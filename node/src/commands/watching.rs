//! Looking at what a node does: `SLOWLOG`, `LATENCY`, `MONITOR`.

use super::call::Call;
use super::connection::change_flags;
use super::error::{CommandError, Outcome};
use super::spec::{Flags, Spec, command, container};
use crate::clients::{ClientFlags, SlowCommand};
use crate::reply::Reply;

const ANYTIME: Flags = Flags::LOADING.union(Flags::STALE);
const OPERATOR: Flags = ANYTIME.union(Flags::ADMIN);
const MONITOR: Flags = OPERATOR.union(Flags::NOSCRIPT);
const EVERYWHERE: &[&str] = &[
    "nondeterministic_output",
    "request_policy:all_nodes",
    "response_policy:special",
];

/// How many entries `SLOWLOG GET` shows unless asked for more.
const SHOWN: usize = 10;

const fn about(spec: Spec, since: &'static str, summary: &'static str) -> Spec {
    spec.about("server", since, summary)
}

pub(super) const COMMANDS: &[Spec] = &[
    about(
        command("monitor", 1, MONITOR, monitor),
        "1.0.0",
        "Shows every command in real time.",
    ),
    about(
        container("slowlog", SLOWLOG),
        "2.2.12",
        "Holds the commands about slow commands.",
    ),
    about(
        container("latency", LATENCY),
        "2.8.13",
        "Holds the commands about delays.",
    ),
];

const SLOWLOG: &[Spec] = &[
    about(
        command("slowlog|get", -2, OPERATOR, slowlog_get),
        "2.2.12",
        "Shows slow commands.",
    )
    .tips(&["request_policy:all_nodes", "nondeterministic_output"]),
    about(
        command("slowlog|help", 2, ANYTIME, slowlog_help),
        "6.2.0",
        "Lists the subcommands.",
    ),
    about(
        command("slowlog|len", 2, OPERATOR, slowlog_len),
        "2.2.12",
        "Counts slow commands.",
    )
    .tips(&[
        "request_policy:all_nodes",
        "response_policy:agg_sum",
        "nondeterministic_output",
    ]),
    about(
        command("slowlog|reset", 2, OPERATOR, slowlog_reset),
        "2.2.12",
        "Forgets slow commands.",
    )
    .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"]),
];

const LATENCY: &[Spec] = &[
    about(
        command("latency|doctor", 2, MONITOR, latency_doctor),
        "2.8.13",
        "Explains delays.",
    )
    .tips(EVERYWHERE),
    about(
        command("latency|help", 2, ANYTIME, latency_help),
        "2.8.13",
        "Lists the subcommands.",
    ),
    about(
        command("latency|histogram", -2, MONITOR, nothing_mapped),
        "7.0.0",
        "Shows how long commands took.",
    )
    .tips(EVERYWHERE),
    about(
        command("latency|history", 3, MONITOR, nothing),
        "2.8.13",
        "Shows the delays of an event.",
    )
    .tips(EVERYWHERE),
    about(
        command("latency|latest", 2, MONITOR, nothing),
        "2.8.13",
        "Shows the latest delays.",
    )
    .tips(EVERYWHERE),
    about(
        command("latency|reset", -2, MONITOR, |_| Ok(Reply::Integer(0))),
        "2.8.13",
        "Forgets delays.",
    )
    .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"]),
];

fn monitor(call: &mut Call<'_>) -> Outcome {
    if call.node.clients.is_collecting() {
        return Err(CommandError::fixed(
            "ERR MONITOR isn't allowed for DENY BLOCKING client",
        ));
    }
    let client = call.client();
    let client = client.and_then(|client| call.node.clients.get(client));
    let is_new = client.is_some_and(|client| !client.flags.contains(ClientFlags::MONITOR));
    if is_new {
        call.node.clients.monitors += 1;
    }
    change_flags(call, |client| client.flags.insert(ClientFlags::MONITOR))
}

fn slowlog_help(call: &mut Call<'_>) -> Outcome {
    call.help(&[
        "GET [<count>]",
        "    Show the newest slow commands (default: 10, -1 for all): id, time, microseconds,",
        "    words, client and its name.",
        "LEN",
        "    Count them.",
        "RESET",
        "    Forget them.",
    ])
}

fn slowlog_get(call: &mut Call<'_>) -> Outcome {
    let count = match call.words {
        [_, _] => SHOWN,
        [_, _, _] => match call.integer(2)? {
            -1 => usize::MAX,
            count => usize::try_from(count).map_err(|_| {
                CommandError::fixed("ERR count should be greater than or equal to -1")
            })?,
        },
        _ => return Err(call.subcommand_syntax()),
    };
    let entries = call.node.clients.slow.entries.iter().take(count);
    Ok(Reply::Array(entries.map(entry).collect()))
}

fn entry(slow: &SlowCommand) -> Reply {
    let words = slow.words.iter().cloned().map(Reply::Bulk);
    Reply::Array(vec![
        Reply::Integer(slow.id),
        Reply::Integer(slow.at_s),
        Reply::Integer(slow.took_us as i64),
        Reply::Array(words.collect()),
        Reply::bulk(slow.peer.clone()),
        Reply::Bulk(slow.name.clone()),
    ])
}

fn slowlog_len(call: &mut Call<'_>) -> Outcome {
    Ok(Reply::Integer(call.node.clients.slow.entries.len() as i64))
}

fn slowlog_reset(call: &mut Call<'_>) -> Outcome {
    call.node.clients.slow.entries.clear();
    Ok(Reply::OK)
}

fn latency_help(call: &mut Call<'_>) -> Outcome {
    call.help(&[
        "DOCTOR",
        "    Explain delays.",
        "HISTOGRAM [<command> ...]",
        "    Show how long commands took.",
        "HISTORY <event>",
        "    Show the delays of an event.",
        "LATEST",
        "    Show the latest delays.",
        "RESET [<event> ...]",
        "    Forget delays.",
    ])
}

/// Delays are not monitored, as in a Redis whose `latency-monitor-threshold` is 0.
fn nothing(_: &mut Call<'_>) -> Outcome {
    Ok(Reply::Array(Vec::new()))
}

fn nothing_mapped(_: &mut Call<'_>) -> Outcome {
    Ok(Reply::Map(Vec::new()))
}

fn latency_doctor(_: &mut Call<'_>) -> Outcome {
    Ok(Reply::Verbatim(
        "Delays are not monitored here. SLOWLOG GET shows commands that took long.".to_owned(),
    ))
}

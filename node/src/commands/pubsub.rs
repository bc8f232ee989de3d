//! Channels: `SUBSCRIBE`, `PUBLISH` and their like (`pubsub.c`).

use super::call::Call;
use super::error::{CommandError, Outcome};
use super::glob;
use super::spec::{Flags, Spec, command, container, key, keys, quiet_command};
use crate::clients::{self, Topic};
use crate::reply::Reply;
use crate::word::Word;

type Quiet = Result<Option<Reply>, CommandError>;

const ANYTIME: Flags = Flags::PUBSUB.union(Flags::LOADING).union(Flags::STALE);
const SUBSCRIBES: Flags = ANYTIME.union(Flags::NOSCRIPT);
const PUBLISHES: Flags = ANYTIME.union(Flags::FAST).union(Flags::MAY_REPLICATE);
const NO_KEYS: &[&str] = &["not_key"];

const fn about(spec: Spec, since: &'static str, summary: &'static str) -> Spec {
    spec.about("pubsub", since, summary)
}

pub(super) const COMMANDS: &[Spec] = &[
    about(
        quiet_command("subscribe", -2, SUBSCRIBES, subscribe),
        "2.0.0",
        "Listens for messages published to channels.",
    ),
    about(
        quiet_command("unsubscribe", -1, SUBSCRIBES, unsubscribe),
        "2.0.0",
        "Stops listening for messages posted to channels.",
    ),
    about(
        quiet_command("psubscribe", -2, SUBSCRIBES, psubscribe),
        "2.0.0",
        "Listens for messages published to channels that match patterns.",
    ),
    about(
        quiet_command("punsubscribe", -1, SUBSCRIBES, punsubscribe),
        "2.0.0",
        "Stops listening for messages of channels that match patterns.",
    ),
    about(
        quiet_command("ssubscribe", -2, SUBSCRIBES, ssubscribe),
        "7.0.0",
        "Listens for messages published to shard channels.",
    )
    .keys(&[keys(1, -1, 1, NO_KEYS)]),
    about(
        quiet_command("sunsubscribe", -1, SUBSCRIBES, sunsubscribe),
        "7.0.0",
        "Stops listening for messages of shard channels.",
    )
    .keys(&[keys(1, -1, 1, NO_KEYS)]),
    about(
        command("publish", 3, PUBLISHES, publish),
        "2.0.0",
        "Posts a message to a channel.",
    ),
    about(
        command("spublish", 3, PUBLISHES, spublish),
        "7.0.0",
        "Posts a message to a shard channel.",
    )
    .keys(&[key(1, NO_KEYS)]),
    about(
        container("pubsub", SUBCOMMANDS),
        "2.8.0",
        "Holds the commands about channels.",
    ),
];

const SUBCOMMANDS: &[Spec] = &[
    about(
        command("pubsub|channels", -2, ANYTIME, channels),
        "2.8.0",
        "Names the channels somebody listens to.",
    ),
    about(
        command("pubsub|help", 2, Flags::LOADING.union(Flags::STALE), help),
        "6.2.0",
        "Lists the subcommands.",
    ),
    about(
        command("pubsub|numpat", 2, ANYTIME, numpat),
        "2.8.0",
        "Counts the patterns somebody listens to.",
    ),
    about(
        command("pubsub|numsub", -2, ANYTIME, numsub),
        "2.8.0",
        "Counts who listens to channels.",
    ),
    about(
        command("pubsub|shardchannels", -2, ANYTIME, shardchannels),
        "7.0.0",
        "Names the shard channels somebody listens to.",
    ),
    about(
        command("pubsub|shardnumsub", -2, ANYTIME, shardnumsub),
        "7.0.0",
        "Counts who listens to shard channels.",
    ),
];

fn help(call: &mut Call<'_>) -> Outcome {
    call.help(&[
        "CHANNELS [<pattern>]",
        "    Name the channels somebody listens to.",
        "NUMPAT",
        "    Count the patterns somebody listens to.",
        "NUMSUB [<channel> ...]",
        "    Count who listens to these channels, by pattern aside.",
        "SHARDCHANNELS [<pattern>]",
        "    Name the shard channels somebody listens to.",
        "SHARDNUMSUB [<shardchannel> ...]",
        "    Count who listens to these shard channels.",
    ])
}

fn subscribe(call: &mut Call<'_>) -> Quiet {
    Ok(begin(call, Topic::Channel))
}

fn psubscribe(call: &mut Call<'_>) -> Quiet {
    Ok(begin(call, Topic::Pattern))
}

fn ssubscribe(call: &mut Call<'_>) -> Quiet {
    if call.node.clients.is_collecting() {
        return Err(CommandError::fixed(
            "ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client",
        ));
    }
    Ok(begin(call, Topic::ShardChannel))
}

fn unsubscribe(call: &mut Call<'_>) -> Quiet {
    Ok(end(call, Topic::Channel))
}

fn punsubscribe(call: &mut Call<'_>) -> Quiet {
    Ok(end(call, Topic::Pattern))
}

fn sunsubscribe(call: &mut Call<'_>) -> Quiet {
    Ok(end(call, Topic::ShardChannel))
}

fn begin(call: &mut Call<'_>, topic: Topic) -> Option<Reply> {
    let client = call.client()?;
    for name in &call.words[1..] {
        clients::subscribe(call.node, client, topic, name);
    }
    None
}

fn end(call: &mut Call<'_>, topic: Topic) -> Option<Reply> {
    let client = call.client()?;
    if call.words.len() == 1 {
        clients::unsubscribe_all(call.node, client, topic);
    }
    for name in &call.words[1..] {
        clients::unsubscribe(call.node, client, topic, name);
    }
    None
}

fn publish(call: &mut Call<'_>) -> Outcome {
    let (channel, message) = (call.word(1), call.word(2));
    let receivers = clients::publish(call.node, channel, message, false);
    Ok(Reply::Integer(receivers))
}

fn spublish(call: &mut Call<'_>) -> Outcome {
    let (channel, message) = (call.word(1), call.word(2));
    let receivers = clients::publish(call.node, channel, message, true);
    Ok(Reply::Integer(receivers))
}

fn channels(call: &mut Call<'_>) -> Outcome {
    names(call, Topic::Channel)
}

fn shardchannels(call: &mut Call<'_>) -> Outcome {
    names(call, Topic::ShardChannel)
}

fn names(call: &Call<'_>, topic: Topic) -> Outcome {
    let pattern = match call.words {
        [_, _] => None,
        [_, _, pattern] => Some(pattern),
        _ => return Err(call.subcommand_syntax()),
    };
    let is_named = |name: &Word| pattern.is_none_or(|pattern| glob::matches(pattern, name, false));
    let names = call.node.clients.subscriptions.of(topic);
    let named = names.filter(|(name, _)| is_named(name));
    let named = named.map(|(name, _)| Reply::Bulk(name.clone()));
    Ok(Reply::Array(named.collect()))
}

fn numpat(call: &mut Call<'_>) -> Outcome {
    let patterns = call.node.clients.subscriptions.of(Topic::Pattern);
    Ok(Reply::Integer(patterns.count() as i64))
}

fn numsub(call: &mut Call<'_>) -> Outcome {
    Ok(counts(call, Topic::Channel))
}

fn shardnumsub(call: &mut Call<'_>) -> Outcome {
    Ok(counts(call, Topic::ShardChannel))
}

fn counts(call: &Call<'_>, topic: Topic) -> Reply {
    let subscriptions = &call.node.clients.subscriptions;
    let count = |name: &Word| {
        let count = subscriptions.count(topic, name);
        [Reply::Bulk(name.clone()), Reply::Integer(count as i64)]
    };
    Reply::Array(call.words[2..].iter().flat_map(count).collect())
}

//! Channels: who subscribed to what, and what is published (`pubsub.c`).

use indexmap::{IndexMap, IndexSet};
use rustc_hash::FxBuildHasher;

use super::session::{Names, Session};
use super::{Client, push};
use crate::action::Action;
use crate::cluster::MYSELF;
use crate::commands::glob_matches;
use crate::gossip;
use crate::ids::ClientId;
use crate::message::{Body, Message, MessageFlags};
use crate::node::Node;
use crate::reply::Reply;
use crate::slot::{SlotSet, key_slot};
use crate::word::Word;

type Subscribers = IndexMap<Word, IndexSet<ClientId, FxBuildHasher>, FxBuildHasher>;

/// What clients subscribed to.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions {
    channels: Subscribers,
    patterns: Subscribers,
    shard_channels: Subscribers,
}

/// What can be subscribed to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Topic {
    /// A channel of the whole cluster.
    Channel,
    /// All such channels whose names match.
    Pattern,
    /// A channel of the shard that has its slot.
    ShardChannel,
}

impl Topic {
    const fn subscribed(self) -> &'static str {
        match self {
            Self::Channel => "subscribe",
            Self::Pattern => "psubscribe",
            Self::ShardChannel => "ssubscribe",
        }
    }

    const fn unsubscribed(self) -> &'static str {
        match self {
            Self::Channel => "unsubscribe",
            Self::Pattern => "punsubscribe",
            Self::ShardChannel => "sunsubscribe",
        }
    }
}

impl Subscriptions {
    /// The names of one kind, each with its number of subscribers.
    pub(crate) fn of(&self, topic: Topic) -> impl Iterator<Item = (&Word, usize)> {
        let names = match topic {
            Topic::Channel => &self.channels,
            Topic::Pattern => &self.patterns,
            Topic::ShardChannel => &self.shard_channels,
        };
        names.iter().map(|(name, clients)| (name, clients.len()))
    }

    /// How many subscribed to a name.
    pub(crate) fn count(&self, topic: Topic, name: &[u8]) -> usize {
        let names = match topic {
            Topic::Channel => &self.channels,
            Topic::Pattern => &self.patterns,
            Topic::ShardChannel => &self.shard_channels,
        };
        names.get(name).map_or(0, IndexSet::len)
    }

    fn of_mut(&mut self, topic: Topic) -> &mut Subscribers {
        match topic {
            Topic::Channel => &mut self.channels,
            Topic::Pattern => &mut self.patterns,
            Topic::ShardChannel => &mut self.shard_channels,
        }
    }

    fn drop_client(&mut self, topic: Topic, name: &[u8], client: ClientId) {
        let names = self.of_mut(topic);
        if let Some(clients) = names.get_mut(name) {
            clients.shift_remove(&client);
            if clients.is_empty() {
                names.shift_remove(name);
            }
        }
    }
}

impl Session {
    fn names_mut(&mut self, topic: Topic) -> &mut Names {
        match topic {
            Topic::Channel => &mut self.channels,
            Topic::Pattern => &mut self.patterns,
            Topic::ShardChannel => &mut self.shard_channels,
        }
    }

    fn names(&self, topic: Topic) -> &Names {
        match topic {
            Topic::Channel => &self.channels,
            Topic::Pattern => &self.patterns,
            Topic::ShardChannel => &self.shard_channels,
        }
    }
}

impl Client {
    /// How many names of a kind it subscribed to; channels and patterns are counted together.
    fn subscription_count(&self, topic: Topic) -> i64 {
        let count = self.session.as_deref().map_or(0, |session| match topic {
            Topic::Channel | Topic::Pattern => session.subscriptions(),
            Topic::ShardChannel => session.shard_channels.len(),
        });
        count as i64
    }
}

/// Has a client subscribe, and tells it.
pub(crate) fn subscribe(node: &mut Node, client: ClientId, topic: Topic, name: &Word) {
    let Some(subscriber) = node.clients.get_mut(client) else {
        return;
    };
    let names = subscriber.session_mut().names_mut(topic);
    names.insert(name.clone());
    let clients = node.clients.subscriptions.of_mut(topic);
    clients.entry(name.clone()).or_default().insert(client);
    confirm(
        node,
        client,
        topic,
        topic.subscribed(),
        Reply::Bulk(name.clone()),
    );
}

/// Ends a client's subscription, and tells it, whether there was one or not.
pub(crate) fn unsubscribe(node: &mut Node, client: ClientId, topic: Topic, name: &Word) {
    forget(node, client, topic, name);
    let name = Reply::Bulk(name.clone());
    confirm(node, client, topic, topic.unsubscribed(), name);
}

/// Ends all of a client's subscriptions of a kind. It is told of each, or that there was none.
pub(crate) fn unsubscribe_all(node: &mut Node, client: ClientId, topic: Topic) {
    let names = names_of(node, client, topic);
    if names.is_empty() {
        confirm(node, client, topic, topic.unsubscribed(), Reply::Nil);
    }
    for name in names {
        unsubscribe(node, client, topic, &name);
    }
}

/// Ends all of a client's subscriptions without a word to it.
pub(crate) fn forget_all(node: &mut Node, client: ClientId) {
    for topic in [Topic::Channel, Topic::Pattern, Topic::ShardChannel] {
        for name in names_of(node, client, topic) {
            forget(node, client, topic, &name);
        }
    }
}

fn names_of(node: &Node, client: ClientId, topic: Topic) -> Vec<Word> {
    let session = node.clients.get(client);
    let session = session.and_then(|client| client.session.as_deref());
    session.map_or_else(Vec::new, |session| {
        session.names(topic).iter().cloned().collect()
    })
}

fn forget(node: &mut Node, client: ClientId, topic: Topic, name: &Word) {
    let subscriber = node.clients.get_mut(client);
    if let Some(session) = subscriber.and_then(|client| client.session.as_deref_mut()) {
        session.names_mut(topic).shift_remove(name);
    }
    let subscriptions = &mut node.clients.subscriptions;
    subscriptions.drop_client(topic, name, client);
}

fn confirm(node: &mut Node, client: ClientId, topic: Topic, what: &'static str, name: Reply) {
    let count = node.clients.get(client);
    let count = count.map_or(0, |client| client.subscription_count(topic));
    let message = vec![Reply::bulk(what), name, Reply::Integer(count)];
    push(node, client, Reply::Push(message));
}

/// Sends a message to the clients of this node that subscribed to the channel; returns their
/// number, which counts a client once for each subscription that matches.
pub(crate) fn deliver(node: &mut Node, channel: &Word, message: &Word, sharded: bool) -> i64 {
    let topic = if sharded {
        Topic::ShardChannel
    } else {
        Topic::Channel
    };
    let mut receivers: Vec<(ClientId, Option<Word>)> = Vec::new();
    let subscriptions = &node.clients.subscriptions;
    let direct = match topic {
        Topic::ShardChannel => subscriptions.shard_channels.get(channel),
        Topic::Channel | Topic::Pattern => subscriptions.channels.get(channel),
    };
    receivers.extend(direct.into_iter().flatten().map(|&client| (client, None)));
    if !sharded {
        for (pattern, clients) in &subscriptions.patterns {
            if glob_matches(pattern, channel) {
                let pattern = Some(pattern);
                receivers.extend(clients.iter().map(|&client| (client, pattern.cloned())));
            }
        }
    }
    let count = receivers.len() as i64;
    let bulk = |word: &Word| Reply::Bulk(word.clone());
    for (client, pattern) in receivers {
        let words = match pattern {
            Some(pattern) => vec![
                Reply::bulk("pmessage"),
                Reply::Bulk(pattern),
                bulk(channel),
                bulk(message),
            ],
            None if sharded => vec![Reply::bulk("smessage"), bulk(channel), bulk(message)],
            None => vec![Reply::bulk("message"), bulk(channel), bulk(message)],
        };
        let resp3 = node.clients.get(client).is_some_and(|client| client.resp3);
        node.outbox.push(Action::Reply {
            client,
            reply: Reply::Push(words),
            resp3,
        });
    }
    count
}

/// Publishes a message in the cluster, or in this node's shard; returns how many clients of this
/// node got it (`pubsubPublishMessageAndPropagateToCluster`).
pub(crate) fn publish(node: &mut Node, channel: &Word, message: &Word, sharded: bool) -> i64 {
    let receivers = deliver(node, channel, message, sharded);
    let body = Body::Publish {
        channel: bytes::Bytes::copy_from_slice(channel),
        message: bytes::Bytes::copy_from_slice(message),
        sharded,
    };
    if sharded {
        gossip::send_to_shard(node, &body);
    } else {
        let header = gossip::header(node, MessageFlags::empty());
        gossip::broadcast(node, Message { header, body });
    }
    receivers
}

/// The owner of slots changes: whoever subscribed here to a channel of them has to look elsewhere
/// (`removeChannelsInSlot`).
pub(crate) fn leave_slots(node: &mut Node, slots: &SlotSet) {
    if node.clients.subscriptions.shard_channels.is_empty() {
        return;
    }
    let master = node.cluster.myself().replica_of.unwrap_or(MYSELF);
    let names = &node.clients.subscriptions.shard_channels;
    let left: Vec<(Word, Vec<ClientId>)> = names
        .iter()
        .filter(|(name, _)| {
            let slot = key_slot(name);
            slots.contains(slot) && node.cluster.owner(slot) == Some(master)
        })
        .map(|(name, clients)| (name.clone(), clients.iter().copied().collect()))
        .collect();
    for (name, clients) in left {
        for client in clients {
            unsubscribe(node, client, Topic::ShardChannel, &name);
        }
    }
}

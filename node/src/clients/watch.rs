//! `WATCH`: keys whose change makes a transaction fail (`multi.c`).

use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;

use super::session::Watched;
use crate::commands::{Flags, Spec};
use crate::ids::ClientId;
use crate::node::Node;
use crate::word::Word;

/// Who watches which key.
pub(crate) type Watchers = IndexMap<Word, Vec<ClientId>, FxBuildHasher>;

/// A watched key that a command may change, and whether it was there before the command.
pub(crate) type MayChange = Vec<(Word, bool)>;

/// Has a client watch a key (`watchForKey`).
pub(crate) fn watch(node: &mut Node, client: ClientId, key: &Word) {
    let place = node.store.find(key);
    let was_expired = place.is_some_and(|place| node.store.is_expired(place, node.now.wall));
    let Some(watcher) = node.clients.get_mut(client) else {
        return;
    };
    let session = watcher.session_mut();
    if session.watched.iter().any(|watched| watched.key == *key) {
        return;
    }
    session.watched.push(Watched {
        key: key.clone(),
        was_expired,
    });
    let watchers = node.clients.watchers.entry(key.clone()).or_default();
    watchers.push(client);
}

/// Has a client watch nothing any more (`unwatchAllKeys`).
pub(crate) fn unwatch_all(node: &mut Node, client: ClientId) {
    let session = node.clients.get_mut(client);
    let Some(session) = session.and_then(|client| client.session.as_deref_mut()) else {
        return;
    };
    for watched in std::mem::take(&mut session.watched) {
        if let Some(watchers) = node.clients.watchers.get_mut(&watched.key) {
            watchers.retain(|&watcher| watcher != client);
            if watchers.is_empty() {
                node.clients.watchers.swap_remove(&watched.key);
            }
        }
    }
}

/// Whether the time of a key that a client watches is over by now (`isWatchedKeyExpired`).
pub(crate) fn has_expired(node: &Node, client: ClientId) -> bool {
    let session = node.clients.get(client);
    let session = session.and_then(|client| client.session.as_deref());
    let watched = session.map_or(&[][..], |session| &session.watched);
    watched.iter().any(|watched| {
        let place = node.store.find(&watched.key);
        !watched.was_expired
            && place.is_some_and(|place| node.store.is_expired(place, node.now.wall))
    })
}

/// A key changed: transactions of those who watch it will fail (`touchWatchedKey`).
pub(crate) fn touch(node: &mut Node, key: &[u8]) {
    let Some(watchers) = node.clients.watchers.get(key) else {
        return;
    };
    let is_gone = node.store.find(key).is_none();
    for client in watchers.clone() {
        let session = node.clients.get_mut(client);
        let Some(session) = session.and_then(|client| client.session.as_deref_mut()) else {
            continue;
        };
        let watched = session.watched.iter_mut();
        let known = watched.into_iter().find(|watched| watched.key == *key);
        match known {
            // It was over already; now it is gone, which is no change.
            Some(watched) if watched.was_expired => watched.was_expired = !is_gone,
            Some(_) => {
                session.is_stale = true;
                unwatch_all(node, client);
            }
            None => {}
        }
    }
}

/// The whole keyspace is replaced (`touchAllWatchedKeysInDb`).
pub(crate) fn touch_all(node: &mut Node) {
    for key in watched_keys(node) {
        touch(node, &key);
    }
}

fn watched_keys(node: &Node) -> Vec<Word> {
    node.clients.watchers.keys().cloned().collect()
}

/// The watched keys that a command may change. One without keys that writes may change all.
pub(crate) fn before(node: &Node, spec: &Spec, words: &[Word]) -> MayChange {
    if !spec.flags.contains(Flags::WRITE) {
        return Vec::new();
    }
    let keys: Vec<Word> = if spec.keys.is_empty() {
        watched_keys(node)
    } else {
        let places = spec.key_places(words);
        let written = places.filter(|(_, keys)| !keys.flags.contains(&"RO"));
        let keys = written.map(|(place, _)| words[place].clone());
        keys.filter(|key| node.clients.watchers.contains_key(key))
            .collect()
    };
    keys.into_iter()
        .map(|key| {
            let was_there = node.store.find(&key).is_some();
            (key, was_there)
        })
        .collect()
}

/// The command did change something: those keys that are, or were, there.
pub(crate) fn after(node: &mut Node, may_change: MayChange) {
    for (key, was_there) in may_change {
        if was_there || node.store.find(&key).is_some() {
            touch(node, &key);
        }
    }
}

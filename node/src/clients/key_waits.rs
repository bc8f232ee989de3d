//! Clients that wait for a key to hold something.

use std::collections::VecDeque;

use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;

use super::{Blocked, Clients, reply, unblock};
use crate::commands::Awaited;
use crate::ids::ClientId;
use crate::node::Node;
use crate::reply::Reply;
use crate::time::WallMillis;
use crate::word::Word;

/// Who waits for which keys.
#[derive(Debug, Default)]
pub(super) struct KeyWaits {
    /// The longest wait first.
    waits: IndexMap<ClientId, KeyWait, FxBuildHasher>,
    /// For each key the clients, in the order in which they came.
    by_key: IndexMap<Word, VecDeque<ClientId>, FxBuildHasher>,
}

#[derive(Debug)]
struct KeyWait {
    keys: Vec<Word>,
    awaited: Awaited,
    deadline: Option<WallMillis>,
}

impl KeyWaits {
    pub(super) fn len(&self) -> usize {
        self.waits.len()
    }

    pub(super) fn with_deadline_count(&self) -> usize {
        let waits = self.waits.values();
        waits.filter(|wait| wait.deadline.is_some()).count()
    }

    pub(super) fn remove(&mut self, client: ClientId) {
        let Some(wait) = self.waits.shift_remove(&client) else {
            return;
        };
        for key in &wait.keys {
            if let Some(clients) = self.by_key.get_mut(key) {
                clients.retain(|&waiting| waiting != client);
                if clients.is_empty() {
                    self.by_key.swap_remove(key);
                }
            }
        }
    }

    fn insert(&mut self, client: ClientId, wait: KeyWait) {
        for key in &wait.keys {
            let clients = self.by_key.entry(key.clone()).or_default();
            // A key may be named twice.
            if !clients.contains(&client) {
                clients.push_back(client);
            }
        }
        self.waits.insert(client, wait);
    }
}

impl Clients {
    /// The clients that wait for a key, in the order in which they came.
    pub(crate) fn waiting_for(&self, key: &Word) -> Vec<ClientId> {
        let clients = self.key_waits.by_key.get(key);
        clients.into_iter().flatten().copied().collect()
    }

    /// What a client waits for.
    pub(crate) fn awaited_by(&self, client: ClientId) -> Option<Awaited> {
        let wait = self.key_waits.waits.get(&client)?;
        Some(wait.awaited.clone())
    }

    /// Each client that waits for keys, and the first of them. All are of one slot.
    pub(crate) fn first_awaited_keys(&self) -> Vec<(ClientId, Word)> {
        let waits = self.key_waits.waits.iter();
        waits
            .filter_map(|(&client, wait)| Some((client, wait.keys.first()?.clone())))
            .collect()
    }
}

/// Blocks a client until one of some keys holds what it wants (`blockForKeys`).
pub(crate) fn wait_for_keys(
    node: &mut Node,
    client: ClientId,
    keys: &[Word],
    awaited: Awaited,
    deadline: Option<WallMillis>,
) {
    let Some(waiting) = node.clients.table.get_mut(&client) else {
        return;
    };
    waiting.blocked = Some(Blocked::OnKeys);
    let wait = KeyWait {
        keys: keys.to_vec(),
        awaited,
        deadline,
    };
    node.clients.key_waits.insert(client, wait);
    node.store.note_ready_keys(true);
}

/// Ends a client's wait for keys with an answer.
pub(crate) fn stop_waiting_for_keys(node: &mut Node, client: ClientId, answer: Option<Reply>) {
    if let Some(answer) = answer {
        reply(node, client, answer);
    }
    unblock(node, client);
    let anybody_waits = node.clients.key_waits.len() > 0;
    node.store.note_ready_keys(anybody_waits);
}

/// Ends the waits whose time is over.
pub(super) fn end_overdue(node: &mut Node) {
    let now = node.wall();
    let waits = node.clients.key_waits.waits.iter();
    let mut overdue: Vec<(WallMillis, ClientId)> = waits
        .filter_map(|(&client, wait)| Some((wait.deadline?, client)))
        .filter(|&(deadline, _)| deadline < now)
        .collect();
    overdue.sort_unstable();
    for (_, client) in overdue {
        stop_waiting_for_keys(node, client, Some(Reply::NilArray));
    }
}

/// Whether a client waits for keys.
pub(super) fn waits(node: &Node, client: ClientId) -> bool {
    node.clients.key_waits.waits.contains_key(&client)
}

/// Every client that waits for keys.
pub(super) fn all(node: &Node) -> Vec<ClientId> {
    node.clients.key_waits.waits.keys().copied().collect()
}

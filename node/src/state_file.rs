//! What is to be saved, in the little room it takes while nobody reads it.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use crate::cluster::{ClusterState, MYSELF, PeerIndex};
use crate::directory::{Directory, Name};
use crate::message::NodeFlags;
use crate::nodes_conf::{SavedNode, SavedState};
use crate::slot::SlotSet;
use crate::time::{Stamp, WallMillis};

/// The content of a state file ([`SavedState`]). A large cluster that starts saves a file of all
/// its nodes again and again, and hardly any is ever read.
#[derive(Clone)]
pub struct StateFile {
    /// The greatest epoch known.
    pub current_epoch: u64,
    /// The epoch of the last vote given.
    pub last_vote_epoch: u64,
    form: Form,
}

#[derive(Clone)]
enum Form {
    Spelled(Arc<SavedState>),
    Named {
        directory: Arc<Directory>,
        lines: Vec<Line>,
    },
}

/// A [`SavedNode`] about which there is nothing unusual to say.
#[derive(Clone)]
struct Line {
    config_epoch: u64,
    /// None for no slots.
    slots: Option<Arc<SlotSet>>,
    name: Name,
    replica_of: Option<Name>,
    ping_sent: Stamp,
    pong_received: Stamp,
    flags: NodeFlags,
    link_up: bool,
}

impl StateFile {
    /// What a node would save now in which only names are needed; none if there is more to tell, or
    /// no name. Nodes in handshake are left out.
    pub(crate) fn in_names(cluster: &ClusterState) -> Option<Self> {
        if !cluster.migrating.is_empty() || !cluster.importing.is_empty() {
            return None;
        }
        let members = cluster.peers().filter(|(_, peer)| !peer.in_handshake());
        let mut lines = Vec::with_capacity(cluster.node_count());
        for (index, _) in members {
            lines.push(line(cluster, index)?);
        }
        Some(Self {
            current_epoch: cluster.current_epoch,
            last_vote_epoch: cluster.last_vote_epoch,
            form: Form::Named {
                directory: Arc::clone(cluster.directory()),
                lines,
            },
        })
    }

    /// The state, spelled out.
    #[must_use]
    pub fn state(&self) -> Cow<'_, SavedState> {
        match &self.form {
            Form::Spelled(state) => Cow::Borrowed(state),
            Form::Named { directory, lines } => {
                let reader = directory.read();
                let none = Arc::default();
                let nodes = lines.iter().filter_map(|line| {
                    let identity = reader.identity(line.name)?;
                    let master = line.replica_of.and_then(|name| reader.identity(name));
                    Some(SavedNode {
                        id: identity.id,
                        address: identity.address,
                        hostname: None,
                        shard_id: None,
                        flags: line.flags,
                        replica_of: master.map(|master| master.id),
                        ping_sent_ms: line.ping_sent.time().0,
                        pong_received_ms: line.pong_received.time().0,
                        config_epoch: line.config_epoch,
                        link_up: line.link_up,
                        slots: Arc::clone(line.slots.as_ref().unwrap_or(&none)),
                        migrating: Vec::new(),
                        importing: Vec::new(),
                    })
                });
                Cow::Owned(SavedState {
                    nodes: nodes.collect(),
                    current_epoch: self.current_epoch,
                    last_vote_epoch: self.last_vote_epoch,
                })
            }
        }
    }
}

fn line(cluster: &ClusterState, index: PeerIndex) -> Option<Line> {
    let peer = &cluster[index];
    let master = peer.replica_of.map(|master| &cluster[master]);
    let has_name = |name: Name| (name != Name::NONE).then_some(name);
    if peer.hostname.is_some() {
        return None;
    }
    Some(Line {
        // As `clusterGenNodeDescription` prints it: of a replica its master's.
        config_epoch: match master.filter(|_| peer.is_replica()) {
            Some(master) => master.config_epoch,
            None => peer.config_epoch,
        },
        slots: (!peer.slots.is_empty()).then(|| Arc::clone(&peer.slots)),
        name: has_name(peer.name())?,
        replica_of: match master {
            Some(master) => Some(has_name(master.name())?),
            None => None,
        },
        ping_sent: Stamp::new(peer.ping_sent().unwrap_or(WallMillis(0))),
        pong_received: Stamp::new(cluster.pong_received(index)),
        flags: (peer.flags).difference(NodeFlags::MEET | NodeFlags::MIGRATE_TO),
        link_up: index == MYSELF || peer.is_linked(),
    })
}

impl From<SavedState> for StateFile {
    fn from(state: SavedState) -> Self {
        Arc::new(state).into()
    }
}

impl From<Arc<SavedState>> for StateFile {
    fn from(state: Arc<SavedState>) -> Self {
        Self {
            current_epoch: state.current_epoch,
            last_vote_epoch: state.last_vote_epoch,
            form: Form::Spelled(state),
        }
    }
}

impl PartialEq for StateFile {
    fn eq(&self, other: &Self) -> bool {
        self.state() == other.state()
    }
}

impl fmt::Debug for StateFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.state().fmt(formatter)
    }
}

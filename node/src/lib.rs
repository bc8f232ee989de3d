//! A Redis Cluster node as a pure state machine: events in, actions out.
//!
//! The node has no clock, socket, file or randomness of its own. [`Node::handle`] takes one
//! [`Input`] at a time and appends [`Action`]s; the shell carries them out in order. The same
//! inputs at the same times make the same actions, always.

mod action;
mod attention;
mod bus;
mod clients;
mod cluster;
mod commands;
mod config;
mod directory;
mod election;
mod engine;
mod epoch;
mod eviction;
pub mod exchange;
mod fact;
mod failure;
mod gossip;
pub mod id_map;
mod ids;
mod input;
mod log_words;
mod manual_failover;
mod membership;
mod message;
mod migration;
mod node;
pub mod nodes_conf;
mod open_slots;
mod persistence;
pub mod prefetch;
mod random;
mod replication;
mod reply;
mod restore;
mod section;
mod slot;
mod slots;
mod state;
mod state_file;
pub mod store;
mod time;
mod view;
pub mod wire;
mod word;

pub use action::{Action, FullResync, SnapshotMark, ToDisk, ToMaster, ToReplica};
pub use cluster::{ClusterState, Link, MYSELF, Peer, PeerIndex, Report};
pub use config::{
    AppendFsync, Change, ClientClass, Config, ConfigFileError, Directive, DirectiveError,
    EndpointType, Host, MaxmemoryPolicy, OutputLimit, OutputLimits, ProtectedAction, Renames,
    SavePoint, Setting, Settings, Values, Warning, WarningKind, memory_bytes, quoted,
};
pub use directory::{Directory, Identity};
pub use engine::{Bug, Engine, Quirk};
pub use fact::{
    ElectionReset, EpochChange, Fact, FailCleared, FailoverKind, FailoverObstacle, FailureReport,
    RoleChange, SlotChange, SlotMigration, StateReason, VoteRefusal, key_digest, write_digest,
    write_digest_of,
};
pub use ids::{ClientId, InvalidId, LinkId, NodeId, ReplicationId};
pub use input::{
    ClientCut, CommandLine, ConfigRewrite, FromMaster, Input, LinkFailure, Snapshot, SnapshotEntry,
};
pub use log_words::LogLevel;
pub use message::{
    Address, Body, Gossip, Header, Message, MessageFlags, MessageKind, NodeFlags, Ping,
};
pub use node::{ConfigError, Node, Wake, WakeReason};
pub use nodes_conf::{SavedNode, SavedState};
pub use persistence::{AppendSync, FromDisk, LoadedFrom, ReplayError, Rewrite, Save};
pub use random::Seed;
pub use reply::Reply;
pub use section::Section;
pub use slot::{SLOT_BYTES, SLOT_COUNT, Slot, SlotRange, SlotSet, key_slot};
pub use state_file::StateFile;
pub use time::{Mono, Now, WallMillis};
pub use view::{NodeView, ReadBack};
pub use word::Word;

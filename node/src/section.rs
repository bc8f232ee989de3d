//! Gossip sections: what a ping tells of other nodes.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use crate::directory::{Directory, Name, Reader};
use crate::ids::NodeId;
use crate::message::{Address, Gossip, NodeFlags};

/// A gossip section.
///
/// One that was read off the wire holds its entries as they stand there. One that a node of this
/// process made speaks in names of the [`Directory`], in a quarter of the room, and nodes that share
/// that directory take it in without looking up an id.
#[derive(Clone)]
pub struct Section(Form);

#[derive(Clone)]
enum Form {
    Spelled(Vec<Gossip>),
    Named {
        directory: Arc<Directory>,
        entries: Vec<Entry>,
    },
}

/// A [`Gossip`] by name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) name: Name,
    pub(crate) ping_sent_s: u32,
    pub(crate) pong_received_s: u32,
    pub(crate) flags: NodeFlags,
}

impl Section {
    pub(crate) const fn named(directory: Arc<Directory>, entries: Vec<Entry>) -> Self {
        Self(Form::Named { directory, entries })
    }

    /// Number of entries.
    #[must_use]
    pub const fn len(&self) -> usize {
        match &self.0 {
            Form::Spelled(entries) => entries.len(),
            Form::Named { entries, .. } => entries.len(),
        }
    }

    /// Whether it tells nothing.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The entries, spelled out.
    #[must_use]
    pub fn entries(&self) -> Cow<'_, [Gossip]> {
        match &self.0 {
            Form::Spelled(entries) => Cow::Borrowed(entries),
            Form::Named { directory, entries } => {
                let reader = directory.read();
                let spelled = entries.iter().filter_map(|entry| entry.spelled(&reader));
                Cow::Owned(spelled.collect())
            }
        }
    }

    /// The entries, if they speak in names of this directory.
    pub(crate) fn in_names_of(&self, known: &Arc<Directory>) -> Option<&[Entry]> {
        match &self.0 {
            Form::Named { directory, entries } if Arc::ptr_eq(directory, known) => Some(entries),
            Form::Spelled(_) | Form::Named { .. } => None,
        }
    }
}

impl Entry {
    /// The entry as it goes on the wire; none if its name is of another directory.
    pub(crate) fn spelled(&self, reader: &Reader<'_>) -> Option<Gossip> {
        let identity = reader.identity(self.name)?;
        Some(self.of(identity.id, identity.address))
    }

    /// The entry as it goes on the wire, if it is of this node.
    pub(crate) const fn of(&self, node: NodeId, address: Address) -> Gossip {
        Gossip {
            node,
            ping_sent_s: self.ping_sent_s,
            pong_received_s: self.pong_received_s,
            address,
            plain_port: 0,
            flags: self.flags,
        }
    }
}

impl Default for Section {
    fn default() -> Self {
        Self::from(Vec::new())
    }
}

impl From<Vec<Gossip>> for Section {
    fn from(entries: Vec<Gossip>) -> Self {
        Self(Form::Spelled(entries))
    }
}

impl PartialEq for Section {
    fn eq(&self, other: &Self) -> bool {
        self.entries() == other.entries()
    }
}

impl fmt::Debug for Section {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(&*self.entries()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::Identity;

    #[test]
    fn a_section_in_names_tells_what_it_does_spelled_out() {
        let directory = Arc::new(Directory::default());
        let spelled: Vec<Gossip> = (1..4)
            .map(|number| Gossip {
                node: NodeId([number; 20]),
                ping_sent_s: number.into(),
                pong_received_s: 70,
                address: Address {
                    ip: None,
                    port: 6379,
                    bus_port: 16379,
                },
                plain_port: 0,
                flags: NodeFlags::MASTER,
            })
            .collect();
        let in_names = |gossip: &Gossip| {
            let (id, address) = (gossip.node, gossip.address);
            let (name, _) = directory.enter(&Arc::new(Identity { id, address }));
            Entry {
                name,
                ping_sent_s: gossip.ping_sent_s,
                pong_received_s: gossip.pong_received_s,
                flags: gossip.flags,
            }
        };
        let entries = spelled.iter().map(in_names).collect();
        let named = Section::named(Arc::clone(&directory), entries);
        assert_eq!(named.len(), 3);
        assert_eq!(*named.entries(), *spelled);
        assert_eq!(named, Section::from(spelled));
        assert!(named.in_names_of(&directory).is_some());
        assert!(named.in_names_of(&Arc::default()).is_none());
    }
}

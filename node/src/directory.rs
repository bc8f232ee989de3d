//! Identities under short names.
//!
//! A thousand nodes that know a thousand nodes each hold a million identities, of which a thousand
//! differ. Nodes of one process share a directory of them: what they hold and tell of each other is
//! a name of two bytes, and two names are equal if, and only if, id and address are.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use indexmap::IndexSet;
use rustc_hash::FxBuildHasher;

use crate::ids::NodeId;
use crate::message::Address;

/// Who a node is and where it is reached.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Identity {
    /// Its id; made up while in handshake.
    pub id: NodeId,
    /// Its address.
    pub address: Address,
}

/// What an identity is called in a directory. A name says nothing by itself: which one an identity
/// has depends on who came first, so nothing may be ordered or decided by it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Name(u16);

/// The identities that the nodes of one process have come across. It only grows: by one for each
/// member, and for each change of a member's address.
#[derive(Debug, Default)]
pub struct Directory {
    identities: Mutex<IndexSet<Arc<Identity>, FxBuildHasher>>,
}

/// An open directory, to look up many names.
pub(crate) struct Reader<'a>(MutexGuard<'a, IndexSet<Arc<Identity>, FxBuildHasher>>);

impl Name {
    /// No name.
    pub(crate) const NONE: Self = Self(u16::MAX);

    /// A number to keep things under.
    pub(crate) const fn number(self) -> usize {
        self.0 as usize
    }
}

impl Directory {
    /// The name of an identity, if there is one left, and the one copy of it that all share.
    pub(crate) fn enter(&self, identity: &Arc<Identity>) -> (Name, Arc<Identity>) {
        let mut identities = self.open();
        let number = match identities.get_index_of(identity) {
            Some(number) => number,
            None => identities.insert_full(Arc::clone(identity)).0,
        };
        let name = u16::try_from(number).map_or(Name::NONE, Name);
        (name, Arc::clone(&identities[number]))
    }

    /// Opens it for reading.
    pub(crate) fn read(&self) -> Reader<'_> {
        Reader(self.open())
    }

    fn open(&self) -> MutexGuard<'_, IndexSet<Arc<Identity>, FxBuildHasher>> {
        // A set is whole after any panic of another thread.
        self.identities
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reader<'_> {
    /// The identity of a name; none if the name is of another directory.
    pub(crate) fn identity(&self, name: Name) -> Option<&Identity> {
        self.0.get_index(name.number()).map(AsRef::as_ref)
    }
}

/// A directory in which every name is taken.
#[cfg(test)]
pub(crate) fn full() -> Directory {
    let directory = Directory::default();
    for port in 1..=u16::MAX {
        let address = Address {
            ip: None,
            port,
            bus_port: 1,
        };
        let id = NodeId([1; 20]);
        directory.enter(&Arc::new(Identity { id, address }));
    }
    directory
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(number: u8, port: u16) -> Arc<Identity> {
        let address = Address {
            ip: None,
            port,
            bus_port: 1,
        };
        let id = NodeId([number; 20]);
        Arc::new(Identity { id, address })
    }

    #[test]
    fn names_are_equal_if_id_and_address_are() {
        let directory = Directory::default();
        let (first, shared) = directory.enter(&identity(1, 6379));
        let (again, same) = directory.enter(&identity(1, 6379));
        assert_eq!(first, again);
        assert!(Arc::ptr_eq(&shared, &same));
        let others = [identity(1, 6380), identity(2, 6379)];
        for other in others {
            let (name, _) = directory.enter(&other);
            assert_ne!(name, first);
            assert_eq!(directory.read().identity(name), Some(&*other));
        }
    }

    #[test]
    fn a_full_directory_has_no_name_for_anybody_new() {
        let directory = full();
        let (name, kept) = directory.enter(&identity(7, 2));
        assert_eq!(name, Name::NONE);
        assert_eq!(kept, identity(7, 2));
        assert_ne!(directory.enter(&identity(1, 1)).0, Name::NONE);
    }

    #[test]
    fn a_name_of_nobody_has_no_identity() {
        assert_eq!(Directory::default().read().identity(Name::NONE), None);
    }
}

//! The bus connections of a node. A large cluster has two for each pair of nodes, and each message
//! looks up one, so what is kept of them is small.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use super::PeerIndex;
use crate::id_map::IdMap;
use crate::ids::LinkId;
use crate::time::{Stamp, WallMillis};

/// A bus connection (`clusterLink`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Link {
    /// Its id.
    pub id: LinkId,
    /// The peer, once known.
    pub peer: Option<PeerIndex>,
    /// Whether the peer opened it.
    pub inbound: bool,
    /// Whether it is up. Messages on a link that is still connecting are not sent.
    pub up: bool,
    /// When it was created.
    pub created: WallMillis,
    /// The remote host.
    pub remote_ip: Option<IpAddr>,
    /// The address the peer reached this node at.
    pub local_ip: Option<IpAddr>,
}

/// The bus connections by id.
#[derive(Clone, Debug, Default)]
pub(super) struct Links {
    held: IdMap<Held>,
    /// The ends of those that need more room: remote, local.
    aside: BTreeMap<LinkId, [Option<IpAddr>; 2]>,
}

/// A link as it is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    /// The peer, once known.
    pub(crate) peer: Option<PeerIndex>,
    /// Whether the peer opened it.
    pub(crate) inbound: bool,
    /// Whether it is up.
    pub(crate) up: bool,
    created: Stamp,
    ends: Ends,
}

#[derive(Clone, Copy, Debug)]
enum Ends {
    /// 0.0.0.0 for one that is not known.
    V4 {
        remote: Ipv4Addr,
        local: Ipv4Addr,
    },
    Aside,
}

impl Links {
    /// Has a link come into the processor's cache.
    pub(super) fn prefetch(&self, id: LinkId) {
        self.held.prefetch(id.0);
    }

    pub(super) fn get(&self, id: LinkId) -> Option<Link> {
        Some(self.link(id, self.held.get(id.0)?))
    }

    /// A link as it is kept: each message looks at it more than once.
    pub(super) fn held(&self, id: LinkId) -> Option<&Held> {
        self.held.get(id.0)
    }

    pub(super) fn get_mut(&mut self, id: LinkId) -> Option<&mut Held> {
        self.held.get_mut(id.0)
    }

    pub(super) fn insert(&mut self, link: Link) {
        let ends = match (short(link.remote_ip), short(link.local_ip)) {
            (Some(remote), Some(local)) => {
                self.aside.remove(&link.id);
                Ends::V4 { remote, local }
            }
            (_, None) | (None, _) => {
                (self.aside).insert(link.id, [link.remote_ip, link.local_ip]);
                Ends::Aside
            }
        };
        let held = Held {
            peer: link.peer,
            inbound: link.inbound,
            up: link.up,
            created: Stamp::new(link.created),
            ends,
        };
        self.held.insert(link.id.0, held);
    }

    pub(super) fn remove(&mut self, id: LinkId) -> Option<Link> {
        let held = self.held.remove(id.0)?;
        let link = self.link(id, &held);
        self.aside.remove(&id);
        Some(link)
    }

    pub(super) const fn len(&self) -> usize {
        self.held.len()
    }

    fn link(&self, id: LinkId, held: &Held) -> Link {
        let [remote_ip, local_ip] = match held.ends {
            Ends::V4 { remote, local } => [remote, local].map(|ip| {
                let is_known = !ip.is_unspecified();
                is_known.then_some(IpAddr::V4(ip))
            }),
            Ends::Aside => self.aside.get(&id).copied().unwrap_or_default(),
        };
        Link {
            id,
            peer: held.peer,
            inbound: held.inbound,
            up: held.up,
            created: held.created.time(),
            remote_ip,
            local_ip,
        }
    }
}

/// An end in four bytes; none if it does not fit.
fn short(ip: Option<IpAddr>) -> Option<Ipv4Addr> {
    match ip {
        None => Some(Ipv4Addr::UNSPECIFIED),
        Some(IpAddr::V4(ip)) if !ip.is_unspecified() => Some(ip),
        Some(IpAddr::V4(_) | IpAddr::V6(_)) => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn two_links_fit_into_one_cache_line() {
        assert!(size_of::<Option<(u64, Held)>>() <= 32);
    }

    fn end() -> impl Strategy<Value = Option<IpAddr>> {
        let unspecified = Just(Some(Ipv4Addr::UNSPECIFIED.into()));
        prop_oneof![any::<Option<IpAddr>>(), unspecified]
    }

    proptest! {
        #[test]
        fn a_link_comes_back_as_it_was_put_in(
            ends in (end(), end()),
            marks in any::<(bool, bool)>(),
            peer in any::<Option<u16>>(),
            created in 0..1_i64 << 47,
        ) {
            let id = LinkId(7);
            let link = Link {
                id,
                peer: peer.map(PeerIndex),
                inbound: marks.0,
                up: marks.1,
                created: WallMillis(created),
                remote_ip: ends.0,
                local_ip: ends.1,
            };
            let mut links = Links::default();
            links.insert(link);
            prop_assert_eq!(links.get(id), Some(link));
            prop_assert_eq!(links.remove(id), Some(link));
            prop_assert_eq!(links.len(), 0);
            prop_assert!(links.aside.is_empty());
        }
    }
}

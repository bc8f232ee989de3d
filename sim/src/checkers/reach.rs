//! Who can hear whom: processes that run, links that are cut.

use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;

use crate::trace::{ClientNumber, FaultKind, FaultSource, NodeNumber, Touched};

/// Who can hear whom, as the script of faults and the processes tell.
#[derive(Debug)]
pub struct Reach {
    nodes: Vec<Host>,
    cuts: IndexMap<(NodeNumber, NodeNumber), Cut, FxBuildHasher>,
    active: Vec<ActiveFault>,
    version: u64,
}

#[derive(Clone, Copy, Debug)]
struct Host {
    running: bool,
    /// Since when it runs, or does not.
    since_us: u64,
    /// When it last started, went on, or had a cut link healed.
    unsettled_us: u64,
    clock_touched: bool,
}

#[derive(Clone, Copy, Debug)]
struct Cut {
    faults: u32,
    since_us: u64,
}

/// A fault that holds.
#[derive(Clone, Debug)]
pub struct ActiveFault {
    /// What made it.
    pub source: FaultSource,
    /// What it does.
    pub fault: FaultKind,
    /// The nodes it touches.
    pub nodes: Vec<NodeNumber>,
    /// When it began.
    pub began_us: u64,
    /// The links it cuts, from host to host; clients' hosts follow those of the nodes.
    cut: Vec<(u16, u16)>,
}

impl Reach {
    pub(super) fn new(count: usize) -> Self {
        let host = Host {
            running: true,
            since_us: 0,
            unsettled_us: 0,
            clock_touched: false,
        };
        Self {
            nodes: vec![host; count],
            cuts: IndexMap::default(),
            active: Vec::new(),
            version: 0,
        }
    }

    /// Changes whenever anything here does.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// The faults that hold.
    #[must_use]
    pub fn active(&self) -> &[ActiveFault] {
        &self.active
    }

    /// Whether a fault of this kind holds anywhere.
    #[must_use]
    pub fn any_active(&self, kind: FaultKind) -> bool {
        self.active.iter().any(|fault| fault.fault == kind)
    }

    /// Whether the wall clock of a node was ever moved: its deadlines cannot be judged.
    #[must_use]
    pub fn clock_touched(&self, node: NodeNumber) -> bool {
        self.nodes
            .get(usize::from(node))
            .is_some_and(|host| host.clock_touched)
    }

    /// When a node last started, went on after a stall, or had a link healed.
    #[must_use]
    pub fn unsettled_us(&self, node: NodeNumber) -> u64 {
        self.nodes
            .get(usize::from(node))
            .map_or(0, |host| host.unsettled_us)
    }

    /// Whether a node's process runs.
    #[must_use]
    pub fn runs(&self, node: NodeNumber) -> bool {
        self.nodes
            .get(usize::from(node))
            .is_some_and(|host| host.running)
    }

    /// Whether what `from` says gets to `to` and both run.
    #[must_use]
    pub fn hears(&self, to: NodeNumber, from: NodeNumber) -> bool {
        self.runs(to) && self.runs(from) && !self.cuts.contains_key(&(from, to))
    }

    /// Whether two nodes run and hear each other.
    #[must_use]
    pub fn talk(&self, one: NodeNumber, other: NodeNumber) -> bool {
        self.hears(one, other) && self.hears(other, one)
    }

    /// Since when a running `to` has been hearing nothing from `from`: time in which `to` did not
    /// run does not count, for it could not notice.
    #[must_use]
    pub fn silent_since_us(&self, to: NodeNumber, from: NodeNumber) -> Option<u64> {
        let listener = self
            .nodes
            .get(usize::from(to))
            .filter(|host| host.running)?;
        let speaker = self.nodes.get(usize::from(from))?;
        let stopped = (!speaker.running).then_some(speaker.since_us);
        let cut = self.cuts.get(&(from, to)).map(|cut| cut.since_us);
        let silent = match (stopped, cut) {
            (Some(stopped), Some(cut)) => stopped.min(cut),
            (Some(since), None) | (None, Some(since)) => since,
            (None, None) => return None,
        };
        Some(silent.max(listener.since_us))
    }

    /// Since when a node has been hearing, directly or through others, from fewer of `voters`
    /// (itself included) than a quorum. Hearing through others counts, because a node believes
    /// pong times in gossip and then asks later itself. `None` if it hears enough, or if a clock
    /// was moved among those it hears.
    #[must_use]
    pub fn minority_since_us(&self, node: NodeNumber, voters: &[NodeNumber]) -> Option<u64> {
        let silent: Vec<NodeNumber> = voters
            .iter()
            .copied()
            .filter(|voter| *voter != node && self.silent_since_us(node, *voter).is_some())
            .collect();
        let quorum = voters.len() / 2 + 1;
        let enough_silent = voters.len() + 1 - quorum;
        if silent.len() < enough_silent {
            return None;
        }
        let heard = self.heard_through_others(node);
        if heard.iter().any(|node| self.clock_touched(*node)) {
            return None;
        }
        let mut since: Vec<u64> = silent
            .into_iter()
            .filter(|voter| !heard.contains(voter))
            .filter_map(|voter| {
                heard
                    .iter()
                    .map(|listener| self.silent_since_us(*listener, voter))
                    .max()
                    .flatten()
            })
            .collect();
        since.sort_unstable();
        since.get(enough_silent - 1).copied()
    }

    /// A node and everyone whose words reach it, by whatever way.
    fn heard_through_others(&self, node: NodeNumber) -> Vec<NodeNumber> {
        let mut heard = vec![node];
        let mut next = 0;
        while let Some(listener) = heard.get(next).copied() {
            for speaker in 0..self.nodes.len() as NodeNumber {
                if !heard.contains(&speaker) && self.hears(listener, speaker) {
                    heard.push(speaker);
                }
            }
            next += 1;
        }
        heard
    }

    /// The clients that a node cannot hear or that cannot hear it, ascending.
    #[must_use]
    pub fn clients_cut_from(&self, node: NodeNumber) -> Vec<ClientNumber> {
        let nodes = self.nodes.len() as u16;
        let mut clients: Vec<ClientNumber> = self
            .active
            .iter()
            .flat_map(|fault| &fault.cut)
            .filter_map(|(from, to)| match (*from == node, *to == node) {
                (true, _) => to.checked_sub(nodes),
                (_, true) => from.checked_sub(nodes),
                (false, false) => None,
            })
            .collect();
        clients.sort_unstable();
        clients.dedup();
        clients
    }

    fn between_nodes(&self, cut: &[(u16, u16)]) -> Vec<(NodeNumber, NodeNumber)> {
        let count = self.nodes.len() as u16;
        cut.iter()
            .copied()
            .filter(|(from, to)| *from < count && *to < count)
            .collect()
    }

    pub(super) fn process_changed(&mut self, node: NodeNumber, running: bool, at_us: u64) {
        let Some(host) = self.nodes.get_mut(usize::from(node)) else {
            return;
        };
        if host.running != running {
            host.since_us = at_us;
        }
        host.running = running;
        if running {
            host.since_us = at_us;
            host.unsettled_us = at_us;
        }
        self.version += 1;
    }

    pub(super) fn fault_began(
        &mut self,
        source: FaultSource,
        fault: FaultKind,
        touched: &Touched,
        at_us: u64,
    ) {
        for pair in self.between_nodes(&touched.cut) {
            self.cuts
                .entry(pair)
                .or_insert(Cut {
                    faults: 0,
                    since_us: at_us,
                })
                .faults += 1;
        }
        if fault == FaultKind::Clock {
            for node in &touched.nodes {
                if let Some(host) = self.nodes.get_mut(usize::from(*node)) {
                    host.clock_touched = true;
                }
            }
        }
        self.active.push(ActiveFault {
            source,
            fault,
            nodes: touched.nodes.to_vec(),
            began_us: at_us,
            cut: touched.cut.to_vec(),
        });
        self.version += 1;
    }

    pub(super) fn fault_ended(&mut self, source: FaultSource, at_us: u64) {
        self.version += 1;
        while let Some(place) = self.active.iter().position(|fault| fault.source == source) {
            let ended = self.active.swap_remove(place);
            for pair in self.between_nodes(&ended.cut) {
                let Some(cut) = self.cuts.get_mut(&pair) else {
                    continue;
                };
                cut.faults -= 1;
                if cut.faults == 0 {
                    self.cuts.swap_remove(&pair);
                    for node in [pair.0, pair.1] {
                        self.nodes[usize::from(node)].unsettled_us = at_us;
                    }
                }
            }
            if ended.fault == FaultKind::Degrade {
                for node in ended.nodes {
                    if let Some(host) = self.nodes.get_mut(usize::from(node)) {
                        host.unsettled_us = at_us;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: FaultSource = FaultSource::Step(0);
    const SECOND: FaultSource = FaultSource::Step(1);

    fn both_ways(one: &[u16], other: &[u16]) -> Vec<(u16, u16)> {
        let pairs = |from: &[u16], to: &[u16]| -> Vec<(u16, u16)> {
            from.iter()
                .flat_map(|from| to.iter().map(|to| (*from, *to)))
                .collect()
        };
        [pairs(one, other), pairs(other, one)].concat()
    }

    fn touched(nodes: &[NodeNumber], cut: &[(u16, u16)]) -> Touched {
        Touched {
            nodes: nodes.into(),
            clients: [].into(),
            words: "".into(),
            cut: cut.into(),
        }
    }

    #[test]
    fn one_of_three_masters_cut_off_is_in_the_minority_since_the_cut() {
        let mut reach = Reach::new(3);
        reach.fault_began(
            FIRST,
            FaultKind::Partition,
            &touched(&[0], &both_ways(&[0], &[1, 2])),
            1000,
        );
        assert_eq!(reach.minority_since_us(0, &[0, 1, 2]), Some(1000));
        assert_eq!(reach.minority_since_us(1, &[0, 1, 2]), None);
        reach.fault_ended(FIRST, 5000);
        assert_eq!(reach.minority_since_us(0, &[0, 1, 2]), None);
        assert_eq!(reach.unsettled_us(0), 5000);
    }

    #[test]
    fn a_node_that_hears_of_the_others_through_a_third_is_not_judged_cut_off() {
        let mut reach = Reach::new(4);
        reach.fault_began(
            FIRST,
            FaultKind::Block,
            &touched(&[0], &both_ways(&[0], &[1, 2])),
            1000,
        );
        assert_eq!(reach.minority_since_us(0, &[0, 1, 2]), None);
    }

    #[test]
    fn a_stalled_node_starts_counting_when_it_goes_on() {
        let mut reach = Reach::new(3);
        reach.process_changed(0, false, 500);
        reach.fault_began(
            FIRST,
            FaultKind::Partition,
            &touched(&[0], &both_ways(&[0], &[1, 2])),
            1000,
        );
        reach.process_changed(0, true, 9000);
        assert_eq!(reach.minority_since_us(0, &[0, 1, 2]), Some(9000));
    }

    #[test]
    fn a_pair_cut_twice_is_healed_when_both_faults_have_ended() {
        let mut reach = Reach::new(2);
        reach.fault_began(FIRST, FaultKind::Block, &touched(&[0], &[(0, 1)]), 10);
        reach.fault_began(SECOND, FaultKind::Block, &touched(&[0], &[(0, 1)]), 20);
        reach.fault_ended(FIRST, 30);
        assert!(!reach.hears(1, 0));
        assert!(reach.hears(0, 1));
        reach.fault_ended(SECOND, 40);
        assert!(reach.hears(1, 0));
    }
}

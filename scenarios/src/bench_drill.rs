//! The drill that speed is measured with.

/// What speed is measured with: half of the nodes are masters, and clients have so many operations
/// per second. A master is killed at a quarter of the time and comes back at half of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BenchDrill {
    /// How many nodes, masters and replicas; an even number.
    pub nodes: u16,
    /// Client operations per second, all clients together.
    pub rate_per_s: u32,
    /// How long the drill is.
    pub seconds: u32,
    /// `cluster-node-timeout`, ms.
    pub node_timeout_ms: u32,
}

impl BenchDrill {
    /// The node-timeout that a cluster of so many nodes is measured with, ms, if no other is asked
    /// for: large ones have the longer one that they have in production.
    #[must_use]
    pub const fn usual_node_timeout_ms(nodes: u16) -> u32 {
        if nodes > 100 { 15_000 } else { 5000 }
    }

    /// The text of the drill.
    #[must_use]
    pub fn text(&self) -> String {
        let Self {
            nodes,
            rate_per_s,
            seconds,
            node_timeout_ms,
        } = *self;
        let masters = nodes / 2;
        let (down_ms, up_ms) = (seconds * 250, seconds * 250);
        let each = f64::from(rate_per_s) / 2.0;
        format!(
            r#"schema = 1
name = "bench"
duration = "{seconds}s"

[cluster]
masters = {masters}
replicas-per-master = 1

[config]
cluster-node-timeout = {node_timeout_ms}

[workload]
clients = {{ count = 2, rate = "{each}/s", timeout = "500ms" }}
keys = "uniform(10000)"

[[step]]
at = "{down_ms}ms"
crash = "m1"
restart-after = "{up_ms}ms"
"#
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Drill;

    #[test]
    fn the_drill_is_fine_at_every_size() {
        for nodes in [6, 100, 102, 2000] {
            let bench = BenchDrill {
                nodes,
                rate_per_s: 100,
                seconds: 60,
                node_timeout_ms: BenchDrill::usual_node_timeout_ms(nodes),
            };
            let text = bench.text();
            let drill = Drill::parse(&text).unwrap_or_else(|bad| panic!("{bad}"));
            assert_eq!(drill.scenario().cluster.nodes.len(), usize::from(nodes));
        }
    }
}

//! The drill that speed is measured with.

/// The text of the drill that speed is measured with: half of the nodes are masters, and clients
/// have so many operations per second. A master is killed at a quarter of the time and comes back
/// at half of it. Large clusters are run with the longer node-timeout that they have in production.
#[must_use]
pub fn bench_drill(nodes: u16, rate_per_s: u32, seconds: u32) -> String {
    let masters = nodes / 2;
    let timeout_ms = if nodes > 100 { 15_000 } else { 5000 };
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
cluster-node-timeout = {timeout_ms}

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Drill;

    #[test]
    fn the_drill_is_fine_at_every_size() {
        for nodes in [6, 100, 102, 2000] {
            let text = bench_drill(nodes, 100, 60);
            let drill = Drill::parse(&text).unwrap_or_else(|bad| panic!("{bad}"));
            assert_eq!(drill.scenario().cluster.nodes.len(), usize::from(nodes));
        }
    }
}

//! The drill that `redrill init` writes.

/// A small drill with a comment on every line that matters.
pub const STARTER: &str = r#"# What happens when a master is killed?
#
# Run it:    redrill run DRILL.toml
# Many runs: redrill run DRILL.toml --seeds 0..50
# In words:  redrill check DRILL.toml

schema   = 1
question = "What happens when a master is killed?"

[cluster]
masters             = 3                 # m1, m2, m3
replicas-per-master = 1                 # r1 replicates m1, and so on
zones               = ["a", "b", "c"]   # a replica never shares its master's zone

[network]                               # one-way latencies
within-zone   = "normal(0.25ms, 0.05ms)"
between-zones = "lognormal(p50 = 1ms, p99 = 6ms)"

[config]                                # names as in redis.conf
cluster-node-timeout          = 5000
cluster-require-full-coverage = "no"    # the other masters' slots go on

[workload]
clients = { per-zone = 1, rate = "100/s", timeout = "500ms" }
keys    = "zipf(10000, 0.99)"           # or "uniform(10000)", or "unique"
writes  = 0.5

[[step]]
at            = "20s"
jitter        = "1s"                    # redrawn for every seed
crash         = "master-of:slot:0"      # a name (m1), a role, or a place (zone:a)
restart-after = "30s"
expect        = "failover"

# Other steps:
#   partition = ["zone:a", "rest"]                       and  for = "20s"
#   stall = "m1"                                         and  for = "20s"
#   block = { from = "m1", to = "r1" }                   and  for = "5s"
#   degrade = { between = ["zone:a", "zone:b"], loss = 0.05 }
#   run = "CLUSTER FAILOVER"                             and  on = "r1"

[expect]
failover-time     = "max < 11s"         # 1 to 1.5 node-timeouts, some seconds to agree and elect
false-failovers   = "count == 0"
failed-operations = "max < 20%"
"#;

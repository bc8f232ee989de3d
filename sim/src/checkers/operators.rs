//! What operators did to the cluster, as far as it excuses what rules would otherwise flag.

/// What operators did so far. Only commands that were not refused count.
#[derive(Clone, Debug, Default)]
pub struct OperatorActs {
    /// When slots were last given or taken by hand (`ADDSLOTS`, `DELSLOTS`, `SETSLOT`, ...).
    pub slots_us: Option<u64>,
    /// When members were last added, removed or reset (`MEET`, `FORGET`, `RESET`).
    pub members_us: Option<u64>,
    /// When a role was last assigned (`REPLICATE`).
    pub roles_us: Option<u64>,
    /// When an epoch was last set or bumped (`BUMPEPOCH`, `SET-CONFIG-EPOCH`).
    pub epochs_us: Option<u64>,
    /// When keys were last written or deleted by hand.
    pub data_us: Option<u64>,
    /// When a failover was last asked for (`CLUSTER FAILOVER`, with or without force).
    pub failover_us: Option<u64>,
    /// When the configuration was last changed (`CONFIG SET`).
    pub config_us: Option<u64>,
    /// When anything at all was last done.
    pub last_us: Option<u64>,
}

/// Commands that change keys; a drill's operator rarely sends one.
const WRITES: &[&str] = &[
    "SET",
    "DEL",
    "UNLINK",
    "FLUSHALL",
    "FLUSHDB",
    "INCR",
    "INCRBY",
    "DECR",
    "DECRBY",
    "APPEND",
    "MSET",
    "EXPIRE",
    "PEXPIRE",
    "EXPIREAT",
    "PEXPIREAT",
    "PERSIST",
    "GETDEL",
    "GETSET",
    "RENAME",
    "MIGRATE",
    "RESTORE",
    "EVAL",
    "FCALL",
    "SWAPDB",
    "MOVE",
    "COPY",
    "SETEX",
    "PSETEX",
    "SETNX",
];

impl OperatorActs {
    pub(super) fn note(&mut self, command: &str, failed: bool, at_us: u64) {
        self.last_us = Some(at_us);
        if failed {
            return;
        }
        let mut words = command.split_whitespace().map(str::to_ascii_uppercase);
        let name = words.next().unwrap_or_default();
        let subcommand = words.next().unwrap_or_default();
        let seen = match (name.as_str(), subcommand.as_str()) {
            ("CLUSTER", "ADDSLOTS" | "ADDSLOTSRANGE" | "DELSLOTS" | "DELSLOTSRANGE")
            | ("CLUSTER", "FLUSHSLOTS" | "SETSLOT") => &mut self.slots_us,
            ("CLUSTER", "MEET" | "FORGET") => &mut self.members_us,
            ("CLUSTER", "RESET") => {
                self.slots_us = Some(at_us);
                self.roles_us = Some(at_us);
                self.data_us = Some(at_us);
                self.epochs_us = Some(at_us);
                &mut self.members_us
            }
            ("CLUSTER", "REPLICATE") => {
                // A master that is made a replica drops its keys.
                self.data_us = Some(at_us);
                &mut self.roles_us
            }
            ("CLUSTER", "BUMPEPOCH" | "SET-CONFIG-EPOCH") => &mut self.epochs_us,
            ("CLUSTER", "FAILOVER") => &mut self.failover_us,
            ("CONFIG", "SET") => &mut self.config_us,
            (name, _) if WRITES.contains(&name) => &mut self.data_us,
            _ => return,
        };
        *seen = Some(at_us);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_commands_that_were_accepted_excuse_anything() {
        let mut acts = OperatorActs::default();
        acts.note(
            "cluster forget 07c37dfeb235213a872192d90877d0cd55635b91",
            true,
            5,
        );
        assert_eq!(acts.members_us, None);
        acts.note(
            "cluster forget 07c37dfeb235213a872192d90877d0cd55635b91",
            false,
            6,
        );
        assert_eq!(acts.members_us, Some(6));
        acts.note("FLUSHALL", false, 7);
        assert_eq!(acts.data_us, Some(7));
        acts.note("GET x", false, 8);
        assert_eq!((acts.data_us, acts.last_us), (Some(7), Some(8)));
    }
}

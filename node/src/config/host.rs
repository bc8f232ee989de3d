//! What a node is told of the process around it.

/// The process a node runs in, as far as `INFO` and `CONFIG REWRITE` have to know it. A node
/// without a process of its own, such as a simulated one, leaves it empty.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Host {
    /// Number of the process; 0: there is none.
    pub process_id: u32,
    /// Forty digits, drawn anew for each start.
    pub run_id: Box<str>,
    /// Name, version and machine of the operating system.
    pub os: Box<str>,
    /// The path of the program.
    pub executable: Box<str>,
    /// The absolute path of the configuration file the process was started with.
    pub config_file: Option<Box<str>>,
    /// Whether commands take time on the clock the node is told: only then is there anything to
    /// measure.
    pub is_timed: bool,
}

//! Invariants, one a file, and the loss ledger. Pure functions of the event log.

//! The binary `redrill`.

mod cli;

/// Runs make and drop many small things; the system's allocator would take a tenth of a run.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> cli::Exit {
    cli::main()
}

//! The binary `redrill`.

mod cli;

fn main() -> cli::Exit {
    cli::main()
}

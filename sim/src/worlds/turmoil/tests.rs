use crate::samples::kill_master;
use crate::trace_io;
use crate::{WorldKind, run};

#[test]
fn first() {
    let began = std::time::Instant::now();
    let result = run(&kill_master(), 1, WorldKind::Turmoil);
    let run = match result {
        Ok(run) => run,
        Err(crate::RunError::NotFormed { pending, trace }) => {
            let mut out = Vec::new();
            trace_io::write(&trace, &mut out).unwrap();
            std::fs::write("/tmp/world-trace.ndjson", out).unwrap();
            panic!("not formed {pending}");
        }
        Err(error) => panic!("{error}"),
    };
    let mut out = Vec::new();
    trace_io::write(&run.trace, &mut out).unwrap();
    std::fs::write("/tmp/world-trace.ndjson", out).unwrap();
    println!("{} records, {:?}", run.trace.records.len(), began.elapsed());
}

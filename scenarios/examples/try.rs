use redrill_sim::*;
fn main() {
    let path = std::env::args().nth(1).unwrap();
    let seeds: u64 = std::env::args().nth(2).map_or(3, |s| s.parse().unwrap());
    let sets: Vec<String> = std::env::args().skip(3).collect();
    let d = redrill::Drill::from_file_with(&path, &sets).unwrap();
    let s = d.scenario();
    let t = std::time::Instant::now();
    let out = run_seeds(s, &(0..seeds).collect::<Vec<_>>(), WorldKind::Event, 2, |seed, run| {
        match run {
            Err(e) => format!("{seed}: ERR {e}"),
            Ok(run) => {
                let f = checkers::check(&run.trace);
                let wins = run.trace.records.iter().filter(|r| matches!(&r.event, trace::Event::Node{fact: redrill_node::Fact::ElectionWon{..},..})).count();
                let mut m = redrill_reports::model::Model::of(&run.trace);
                let _ = &mut m;
                let mut s = format!("{seed}: {:?} wins={wins} lost={:?} acked={} gap={} dual={} records={} hash={}", f.verdict(), f.ledger.by_cause(), f.ledger.acknowledged, f.exposure.coverage_gap_us()/1000, f.exposure.dual_master_us()/1000, run.trace.records.len(), run.trace_hash);
                for v in f.violations.iter().take(3) { s += &format!("\n   {} {} {}", v.code, v.at_us, v.words); }
                for v in f.unknowns.iter().take(3) { s += &format!("\n   ? {:?} {} {}", v.code, v.at_us, v.words); }
                s
            }
        }
    }).unwrap();
    for o in out { println!("{o}"); }
    eprintln!("{:?}", t.elapsed());
}

//! Sweeps written by hand.

use redrill_sim::checkers::Verdict;
use redrill_sim::scenario::{Comparison, Measure};

use super::compare::{BetterOrWorse, Comparison as Compared, NotPaired, Results};
use super::*;
use crate::measures::{Failover, Measures, Unanswered};
use crate::statistics::Bound;

/// A run of a day with failovers whose write gaps lasted so long.
fn run(seed: u64, gaps_ms: &[f64], false_failovers: u64) -> RunSummary {
    let failover = |gap_ms: &f64| Failover {
        fault_at_ms: Some(1000.0),
        won_ms: gap_ms - 50.0,
        write_gap_ms: Some(*gap_ms),
        ..Failover::default()
    };
    let measures = Measures {
        observed_ms: 86_400_000.0,
        failovers: gaps_ms.iter().map(failover).collect(),
        false_failovers,
        ..Measures::default()
    };
    let mut run = RunSummary::failed(seed, String::new());
    run.error = None;
    run.verdict = Verdict::Valid;
    run.measures = Some(measures);
    run
}

/// The same, in which a master stayed away for good.
fn run_without_recovery(seed: u64) -> RunSummary {
    let mut run = run(seed, &[], 0);
    if let Some(measures) = &mut run.measures {
        measures.unanswered.push(Unanswered {
            node: "m1".into(),
            step: Some(0),
            weather: None,
            fault_at_ms: 1000.0,
            out_ms: 20_000.0,
            is_open: true,
            deserved_failover: true,
            write_gap_ms: Some(20_000.0),
            write_gap_is_open: true,
            read_gap_ms: None,
            read_gap_is_open: false,
        });
    }
    run
}

/// A sweep over node-timeouts, of which the second is what the drill has.
fn sweep(configurations: Vec<Vec<RunSummary>>, goals: Vec<Goal>) -> Sweep {
    let texts: Vec<String> = (1..=configurations.len())
        .map(|it| format!("{it}000"))
        .collect();
    let seeds = configurations[0].iter().map(|run| run.seed).collect();
    let values = texts.iter().map(|text| AxisValue {
        text: text.clone(),
        position: text.parse().ok(),
    });
    let axis = Axis {
        path: "config.cluster-node-timeout".into(),
        values: values.collect(),
        own: None,
    };
    let configurations = configurations.into_iter().zip(&texts).enumerate();
    Sweep::new(SweepData {
        schema_version: SCHEMA_VERSION,
        kind: Kind::Sweep,
        drill: "by-hand".into(),
        question: None,
        world: "event".into(),
        axes: vec![axis],
        current: Some(1),
        seeds,
        goals,
        configurations: configurations
            .map(|(place, (runs, text))| Configuration {
                label: text.clone(),
                places: vec![place],
                engine: "redis-7.0".into(),
                config: BTreeMap::new(),
                runs,
            })
            .collect(),
    })
}

/// Quick failovers and many false ones, then slower and fewer, then never any false one.
fn trade(seeds: u64, goals: Vec<Goal>) -> Sweep {
    let runs = |gap_ms: f64, false_every: u64| {
        let one = |seed: u64| {
            let gap_ms = gap_ms + (seed % 7) as f64 * 10.0;
            run(
                seed,
                &[gap_ms],
                u64::from((seed + 1).is_multiple_of(false_every)),
            )
        };
        (0..seeds).map(one).collect()
    };
    let configurations = vec![runs(2000.0, 2), runs(4000.0, 50), runs(9000.0, u64::MAX)];
    sweep(configurations, goals)
}

fn goal(measure: Measure, statistic: GoalStatistic, bound: f64) -> Goal {
    Goal {
        measure,
        statistic,
        comparison: Comparison::Less,
        bound,
        text: format!("{} < {bound}", measure.name()),
    }
}

fn judgements(sweep: &Sweep) -> Vec<Judgement> {
    (0..3)
        .filter_map(|place| sweep.advice.judgement(place))
        .collect()
}

const GAP: fn(f64) -> Goal = |bound| goal(Measure::WriteGap, GoalStatistic::Quantile(0.99), bound);
const FALSE: fn(f64) -> Goal = |bound| goal(Measure::FalseFailovers, GoalStatistic::PerDay, bound);

#[test]
fn the_configuration_that_meets_every_objective_is_chosen() {
    use Judgement::{Met, Missed};
    let swept = trade(400, vec![GAP(8000.0), FALSE(0.1)]);
    assert_eq!(judgements(&swept), [Missed, Met, Missed]);
    assert_eq!(swept.advice.chosen, Some(1));
    assert_eq!(swept.outcome(), DrillOutcome::Pass);
    let none = trade(400, vec![GAP(3000.0), FALSE(0.1)]);
    assert_eq!(
        (none.advice.chosen, none.outcome()),
        (None, DrillOutcome::ExpectationMissed)
    );
    assert!(table::render(&none, false).contains("None of these configurations meets"));
}

#[test]
fn of_several_the_one_furthest_below_its_limits_is_chosen() {
    let swept = trade(400, vec![GAP(20_000.0), FALSE(0.6)]);
    // The first uses up most of the second limit, the last half of the first one.
    assert_eq!(swept.advice.chosen, Some(1));
    assert!(swept.advice.uses_of_limit.is_some_and(|share| share < 0.25));
}

#[test]
fn too_few_runs_decide_nothing_and_it_is_told_how_many_would() {
    let swept = trade(100, vec![GAP(8000.0)]);
    assert_eq!(swept.advice.judgement(1), Some(Judgement::Inconclusive));
    assert_eq!(
        swept.advice.more_runs(1),
        Some(199),
        "299 values bound a p99"
    );
    assert_eq!(swept.outcome(), DrillOutcome::Inconclusive);
    // None was seen in 100 days: fewer than 3.7 in that time, with 97.5 % confidence.
    let rare = trade(100, vec![FALSE(0.01)]);
    assert_eq!(rare.advice.judgement(2), Some(Judgement::Inconclusive));
    assert_eq!(rare.advice.more_runs(2), Some(269));
    // What is promised comes true.
    assert_eq!(
        trade(369, vec![FALSE(0.01)]).advice.judgement(2),
        Some(Judgement::Met)
    );
    assert_eq!(
        trade(299, vec![GAP(8000.0)]).advice.judgement(1),
        Some(Judgement::Met)
    );
}

#[test]
fn a_limit_at_what_is_measured_is_never_decided() {
    let same = (0..50).map(|seed| run(seed, &[], 1)).collect::<Vec<_>>();
    let swept = sweep(vec![same.clone(), same.clone(), same], vec![FALSE(1.0)]);
    assert_eq!(judgements(&swept), [Judgement::Inconclusive; 3]);
    assert_eq!(swept.advice.more_runs(0), None);
    assert!(table::render(&swept, false).contains("No number of seeds is likely to decide"));
}

#[test]
fn runs_that_do_not_recover_are_told_apart_and_count_as_the_slowest() {
    let mut runs: Vec<RunSummary> = (0..380).map(|seed| run(seed, &[4000.0], 0)).collect();
    runs.extend((380..400).map(run_without_recovery));
    let swept = sweep(vec![runs.clone(), runs.clone(), runs], vec![GAP(8000.0)]);
    let gap = swept.statistics[0]
        .measure(Measure::WriteGap)
        .expect("gaps");
    assert_eq!((gap.values, gap.censored, gap.max), (400, 20, None));
    assert_eq!(gap.p50.estimate, Some(4000.0));
    assert_eq!((gap.p99.estimate, gap.p99.high), (None, Bound::Censored));
    assert_eq!(swept.statistics[0].unanswered, 20);
    assert_eq!(judgements(&swept), [Judgement::Missed; 3]);
}

#[test]
fn the_front_has_whatever_no_other_beats() {
    let front = |swept: &Sweep| -> Vec<bool> {
        swept
            .advice
            .pareto
            .points
            .iter()
            .map(|point| point.on_front)
            .collect()
    };
    assert_eq!(front(&trade(100, Vec::new())), [true, true, true]);
    let quick = (0..20)
        .map(|seed| run(seed, &[2000.0], 0))
        .collect::<Vec<_>>();
    let slow = (0..20)
        .map(|seed| run(seed, &[3000.0], 0))
        .collect::<Vec<_>>();
    let lost = (0..20).map(run_without_recovery).collect::<Vec<_>>();
    assert_eq!(
        front(&sweep(vec![quick, slow, lost], Vec::new())),
        [true, false, false]
    );
}

#[test]
fn differences_are_those_of_the_same_seeds() {
    let swept = trade(60, Vec::new());
    assert!(swept.differences[1].is_empty(), "it is the base");
    let gap = &swept.differences[2][0];
    assert_eq!(
        (gap.measure, gap.difference.estimate),
        (Measure::WriteGap, 5000.0)
    );
    assert_eq!((gap.difference.low, gap.difference.high), (5000.0, 5000.0));
}

#[test]
fn a_sweep_that_trades_one_for_the_other_reads_like_this() {
    let swept = trade(320, vec![GAP(8000.0), FALSE(0.1)]);
    insta::assert_snapshot!(table::render(&swept, false));
}

#[test]
fn colours_add_nothing_but_colour() {
    let swept = trade(320, vec![GAP(8000.0), FALSE(0.1)]);
    let plain = table::render(&swept, false);
    let painted = table::render(&swept, true);
    assert_ne!(plain, painted);
    assert_eq!(console::strip_ansi_codes(&painted), plain);
}

#[test]
fn what_is_written_can_be_compared_again() {
    let swept = trade(40, Vec::new());
    let text = serde_json::to_string(&swept).expect("it can be written");
    let read = Results::read(&text).expect("it can be read");
    assert_eq!(read, Results::from(swept.data));
}

#[test]
fn comparisons_are_paired_where_the_weather_was_the_same() {
    let results = |swept: Sweep| Results::from(swept.data);
    let (one, mut other) = (
        results(trade(40, Vec::new())),
        results(trade(40, Vec::new())),
    );
    for run in &mut other.configurations[0].1 {
        if let Some(measures) = &mut run.measures {
            measures.failovers[0].write_gap_ms = Some(2500.0);
        }
    }
    let compared = Compared::of(&one, &other).expect("they have all in common");
    let verdicts: Vec<BetterOrWorse> = compared
        .configurations
        .iter()
        .map(|it| it.measures[0].verdict)
        .collect();
    use BetterOrWorse::{Same, Worse};
    assert_eq!(verdicts, [Worse, Same, Same]);
    other.drill = "another".into();
    let compared = Compared::of(&one, &other).expect("they have all in common");
    let first = &compared.configurations[0];
    assert_eq!(
        (first.paired, first.not_paired),
        (false, Some(NotPaired::OtherDrill))
    );
    assert_eq!(first.measures[0].verdict, Worse);
    other.configurations.remove(0);
    let compared = Compared::of(&one, &other).expect("they have two in common");
    assert_eq!(compared.left_out, [vec!["1000".to_owned()], vec![]]);
    other.configurations.retain(|it| it.0.is_empty());
    assert!(Compared::of(&one, &other).is_err());
}

#[test]
fn a_comparison_reads_like_this() {
    let one = Results::from(trade(40, Vec::new()).data);
    let mut other = one.clone();
    for (run, later_ms) in other.configurations[0]
        .1
        .iter_mut()
        .zip((0..).map(|it| it % 5))
    {
        if let Some(measures) = &mut run.measures {
            let failover = &mut measures.failovers[0];
            failover.write_gap_ms = Some(2100.0 + f64::from(later_ms) * 20.0);
            measures.bus_bytes_per_node_s = Some(40_000.0);
        }
    }
    other.configurations[1].1.drain(..20);
    other.configurations[1]
        .1
        .iter_mut()
        .for_each(|run| run.seed += 1000);
    other.configurations[2].0 = "4000".into();
    let compared = Compared::of(&one, &other).expect("they have two in common");
    insta::assert_snapshot!(compare::render(&compared));
}

#[test]
fn rows_for_notebooks_are_as_wide_as_their_titles() {
    let mut swept = trade(3, Vec::new());
    swept.data.axes[0].values[0].text = "\"normal(1ms, 2ms)\"".into();
    swept.data.configurations[1].runs[0] = RunSummary::failed(0, "no end".into());
    let text = csv(&swept);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 10);
    assert!(
        lines[1].starts_with("0,\"normal(1ms, 2ms)\",0,valid,86400000,0,"),
        "{}",
        lines[1]
    );
    let width = lines[0].split(',').count();
    assert!(
        lines[4..]
            .iter()
            .all(|line| line.split(',').count() == width),
        "{text}"
    );
}

use proptest::prelude::*;
use redrill_sim::checkers::Verdict;
use redrill_sim::scenario::Comparison;
use std::collections::BTreeMap;

use super::*;
use crate::drawing::sheet::{Box2, Item};
use crate::measures::{Failover, Measures, Unanswered};
use crate::summary::RunSummary;
use crate::sweep::{Axis, AxisValue, Configuration, Goal, GoalStatistic, Kind, SweepData};

/// What happened in a run: write gaps of failovers, how many were false, outages without one.
#[derive(Clone, Debug, Default)]
struct Story {
    gaps_ms: Vec<f64>,
    false_failovers: u64,
    unanswered: usize,
}

fn run(seed: u64, story: &Story) -> RunSummary {
    let failover = |gap_ms: &f64| Failover {
        fault_at_ms: Some(1000.0),
        first_pfail_ms: Some(gap_ms * 0.5),
        fail_ms: Some(gap_ms * 0.6),
        election_start_ms: Some(gap_ms * 0.9),
        first_vote_ms: Some(gap_ms * 0.91),
        won_ms: gap_ms * 0.95,
        write_gap_ms: Some(*gap_ms),
        first_write_ms: Some(*gap_ms),
        ..Failover::default()
    };
    let unanswered = Unanswered {
        node: "m1".into(),
        step: Some(0),
        weather: None,
        fault_at_ms: 1000.0,
        out_ms: 20_000.0,
        deserved_failover: true,
        is_open: true,
        write_gap_ms: Some(20_000.0),
        write_gap_is_open: true,
        read_gap_ms: None,
        read_gap_is_open: false,
    };
    let mut run = RunSummary::failed(seed, String::new());
    run.error = None;
    run.verdict = Verdict::Valid;
    run.measures = Some(Measures {
        observed_ms: 86_400_000.0,
        failovers: story.gaps_ms.iter().map(failover).collect(),
        unanswered: vec![unanswered; story.unanswered],
        false_failovers: story.false_failovers,
        ..Measures::default()
    });
    run
}

fn axis(path: &str, values: &[String]) -> Axis {
    let values = values.iter().map(|text| AxisValue {
        text: text.clone(),
        position: text.parse().ok(),
    });
    Axis {
        path: path.to_owned(),
        values: values.collect(),
        own: None,
    }
}

/// A sweep over these axes; `story` tells of each configuration and seed.
fn sweep(
    axes: Vec<Axis>,
    current: Option<usize>,
    goals: Vec<Goal>,
    seeds: u64,
    story: impl Fn(&[usize], u64) -> Story,
) -> Sweep {
    let mut places = vec![Vec::new()];
    for axis in &axes {
        let longer = places.iter().flat_map(|place: &Vec<usize>| {
            (0..axis.values.len()).map(move |value| [&place[..], &[value]].concat())
        });
        places = longer.collect();
    }
    let configurations = places.into_iter().map(|places| Configuration {
        label: format!("{places:?}"),
        engine: "redis-7.0".into(),
        config: BTreeMap::new(),
        runs: (0..seeds)
            .map(|seed| run(seed, &story(&places, seed)))
            .collect(),
        places,
    });
    Sweep::new(SweepData {
        schema_version: crate::sweep::SCHEMA_VERSION,
        kind: Kind::Sweep,
        drill: "by-hand".into(),
        question: Some("Which node-timeout?".into()),
        world: "event".into(),
        configurations: configurations.collect(),
        axes,
        current,
        seeds: (0..seeds).collect(),
        goals,
    })
}

fn texts(values: &[&str]) -> Vec<String> {
    values.iter().map(|it| (*it).to_owned()).collect()
}

fn goals() -> Vec<Goal> {
    let goal = |measure, statistic, bound, text: &str| Goal {
        measure,
        statistic,
        comparison: Comparison::Less,
        bound,
        text: text.to_owned(),
    };
    vec![
        goal(
            Measure::WriteGap,
            GoalStatistic::Quantile(0.95),
            9000.0,
            "write-gap p95 < 9s",
        ),
        goal(
            Measure::FalseFailovers,
            GoalStatistic::PerDay,
            0.4,
            "false-failovers < 0.4/day",
        ),
    ]
}

/// Slower failovers and fewer false ones, and in the end some that never come.
pub(crate) fn trade_off_of(seeds: u64) -> Sweep {
    let values = texts(&["1000", "3000", "15000"]);
    let axis = axis("config.cluster-node-timeout", &values);
    sweep(vec![axis], Some(2), goals(), seeds, |places, seed| {
        let timeout_ms = [1000.0, 3000.0, 15_000.0][places[0]];
        let is_lost = places[0] == 2 && seed.is_multiple_of(3);
        let gap_ms = timeout_ms * 1.3 + 1000.0 + (seed % 7) as f64 * 90.0;
        Story {
            gaps_ms: if is_lost { Vec::new() } else { vec![gap_ms] },
            false_failovers: u64::from(places[0] == 0 && seed.is_multiple_of(2)),
            unanswered: usize::from(is_lost),
        }
    })
}

pub(crate) fn over_two_axes() -> Sweep {
    let axes = vec![
        axis("config.cluster-node-timeout", &texts(&["1000", "5000"])),
        axis("step.1.for", &texts(&["2s", "9s", "20s"])),
    ];
    sweep(axes, Some(4), Vec::new(), 6, |places, seed| Story {
        gaps_ms: match places[1] >= places[0] {
            true => vec![2000.0 + 3000.0 * places[0] as f64 + seed as f64],
            false => Vec::new(),
        },
        ..Story::default()
    })
}

pub(crate) fn references() -> Vec<ReferencePoint> {
    [(2000.0, Measure::WriteGap), (5000.0, Measure::FailoverTime)]
        .into_iter()
        .map(|(x, measure)| ReferencePoint {
            label: format!("redis 7.0.15 measured, {}", measure.name()),
            x,
            measure,
            median: x * 1.6,
            low: x * 1.5,
            high: x * 1.7,
        })
        .collect()
}

fn all_of(sweep: &Sweep) -> Vec<Chart> {
    let references = references();
    [Theme::LIGHT, Theme::DARK]
        .into_iter()
        .flat_map(|theme| charts(sweep, &references, theme))
        .collect()
}

fn labels(chart: &Chart) -> Vec<(&str, Box2)> {
    let texts = chart.sheet.items.iter().filter_map(|item| {
        let Item::Text(text, at, kind) = item else {
            return None;
        };
        Some((text.as_str(), kind.space(text, *at)))
    });
    texts.collect()
}

/// The words of a chart that must be there.
fn says(charts: &[Chart], name: &str, words: &str) -> bool {
    let chart = charts.iter().find(|it| it.name == name);
    chart.is_some_and(|it| labels(it).iter().any(|(text, _)| text.contains(words)))
}

fn assert_sound(chart: &Chart) {
    let name = &chart.name;
    let labels = labels(chart);
    for (index, (text, space)) in labels.iter().enumerate() {
        let inside = space.left >= -0.5
            && space.right <= chart.sheet.width + 0.5
            && space.top >= 0.0
            && space.bottom <= chart.sheet.y;
        assert!(inside, "{name}: {text:?} leaves the sheet: {space:?}");
        for (other, taken) in &labels[index + 1..] {
            assert!(!space.touches(*taken), "{name}: {text:?} over {other:?}");
        }
    }
    let finite = |at: &(f64, f64)| at.0.is_finite() && at.1.is_finite();
    for item in &chart.sheet.items {
        let is_finite = match item {
            Item::Polygon(points, _) | Item::Area(points, _, _) | Item::Path(points, _, _) => {
                points.iter().all(finite)
            }
            Item::Line(from, to, _, _) => finite(from) && finite(to),
            Item::Disc(at, _, _) | Item::Text(_, at, _) => finite(at),
            Item::Fill(area, _, _) | Item::Outline(area, _, _) | Item::Hatch(area, _, _) => {
                finite(&(area.left, area.top)) && finite(&(area.right, area.bottom))
            }
            Item::Dashes(x, ends, _, _) => x.is_finite() && finite(ends),
            Item::InFull(_) => true,
        };
        assert!(is_finite, "{name}: {item:?}");
    }
}

#[test]
fn labels_never_overlap_and_never_leave_the_sheet() {
    for sweep in [trade_off_of(40), trade_off_of(320), over_two_axes()] {
        let charts = all_of(&sweep);
        assert!(charts.len() >= 8);
        charts.iter().for_each(assert_sound);
    }
}

#[test]
fn a_trade_off_marks_limits_the_own_setting_and_the_choice() {
    let sweep = trade_off_of(320);
    assert_eq!(sweep.advice.chosen, Some(1));
    let charts = charts(&sweep, &references(), Theme::LIGHT);
    for words in [
        "now: 15000",
        "chosen: 3000",
        "write-gap p95 < 9s",
        "false-failovers < 0.4/day",
        "An arrow down",
        "redis 7.0.15 measured, write-gap",
    ] {
        assert!(says(&charts, "trade-off", words), "{words}");
    }
    assert!(says(&charts, "pareto", "3000 (chosen)"));
    assert!(says(&charts, "phases", "failovers had not come"));
    for words in ["better", "worse", "never ends"] {
        let says = says(&charts, "differences", words);
        assert_eq!(says, words != "never ends", "{words}");
    }
}

#[test]
fn a_setting_that_was_not_swept_is_marked_too() {
    let mut sweep = trade_off_of(20);
    sweep.data.current = None;
    sweep.data.axes[0].own = Some(AxisValue {
        text: "5000".into(),
        position: Some(5000.0),
    });
    let charts = charts(&sweep, &[], Theme::LIGHT);
    assert!(says(&charts, "trade-off", "now: 5000"));
}

#[test]
fn a_heat_map_tells_each_cell_in_words_and_never_by_colour_alone() {
    let charts = charts(&over_two_axes(), &[], Theme::LIGHT);
    for (name, words) in [
        ("heat-failovers", "100 %"),
        ("heat-failovers", "0 %"),
        ("heat-failovers", "now (framed)"),
        ("heat-write-gap", "5 s"),
        ("heat-write-gap", "nothing measured"),
    ] {
        assert!(says(&charts, name, words), "{name}: {words}");
    }
    let names: Vec<&str> = charts.iter().map(|it| it.name.as_str()).collect();
    assert!(!names.contains(&"heat-false-failovers"), "there were none");
}

#[test]
fn what_did_not_end_keeps_its_line_below_the_top() {
    let sweep = trade_off_of(40);
    let lines = distributions_end(&sweep);
    let (slow, quick) = (lines[2], lines[0]);
    assert!((quick - 1.0).abs() < 1e-9, "{lines:?}");
    assert!((slow - 26.0 / 40.0).abs() < 1e-9, "{lines:?}");
}

/// At which share the lines of the failover time end.
fn distributions_end(sweep: &Sweep) -> Vec<f64> {
    let places = 0..sweep.data.configurations.len();
    places
        .map(|place| distributions::end(sweep, place, Measure::FailoverTime))
        .collect()
}

#[test]
fn long_names_are_shortened_and_told_in_full() {
    let long = "normal(1ms, 0.2ms) with a name that nobody could ever print below an axis <&>";
    let values = texts(&[long, "lognormal(p50 = 1ms, p99 = 6ms)", "3ms", "4ms", "5ms"]);
    let sweep = sweep(
        vec![axis("network.between-zones", &values)],
        Some(0),
        Vec::new(),
        5,
        |places, _| Story {
            gaps_ms: vec![1000.0 * (places[0] + 1) as f64],
            ..Story::default()
        },
    );
    let charts = all_of(&sweep);
    charts.iter().for_each(assert_sound);
    for chart in &charts {
        let text = chart.svg_without_fonts().expect("it can be drawn");
        let document = roxmltree::Document::parse(&text).expect("it is well-formed");
        let titles: Vec<&str> = document
            .descendants()
            .filter(|it| it.has_tag_name("title"))
            .filter_map(|it| it.text())
            .collect();
        if chart.name == "trade-off" {
            assert!(titles.iter().any(|it| it.contains("<&>")), "{titles:?}");
        }
        assert!(!text.contains("<script") && !text.contains("href"));
    }
}

#[test]
fn the_same_sweep_makes_the_same_svg() {
    let sweep = trade_off_of(12);
    let charts = charts(&sweep, &references(), Theme::LIGHT);
    for chart in &charts {
        assert_eq!(chart.svg().expect("drawn"), chart.svg().expect("drawn"));
    }
    let differences = charts.iter().find(|it| it.name == "differences");
    let svg = differences.map(|it| it.svg_without_fonts().expect("drawn"));
    insta::assert_snapshot!(svg.expect("there is one"));
    let charts = super::charts(&over_two_axes(), &[], Theme::DARK);
    let heat = charts.iter().find(|it| it.name == "heat-failovers");
    let svg = heat.map(|it| it.svg_without_fonts().expect("drawn"));
    insta::assert_snapshot!(svg.expect("there is one"));
}

fn hostile_ms() -> impl Strategy<Value = f64> {
    prop_oneof![
        Just(0.0),
        Just(f64::MIN_POSITIVE),
        Just(1e15),
        Just(f64::MAX / 4.0),
        0.001..1e6_f64,
    ]
}

fn hostile_story() -> impl Strategy<Value = Story> {
    let gaps = prop::collection::vec(hostile_ms(), 0..3);
    (gaps, 0..3_u64, 0..2_usize).prop_map(|(gaps_ms, false_failovers, unanswered)| Story {
        gaps_ms,
        false_failovers,
        unanswered,
    })
}

fn hostile_value() -> impl Strategy<Value = String> {
    prop_oneof![
        "[0-9]{1,7}",
        "-?[0-9]{1,3}\\.[0-9]",
        "[a-z<&\"é]{0,40}",
        Just("1e300".to_owned()),
        Just("inf".to_owned()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn no_sweep_breaks_a_chart(
        first in prop::collection::vec(hostile_value(), 1..8),
        second in prop::option::of(prop::collection::vec(hostile_value(), 1..5)),
        stories in prop::collection::vec(hostile_story(), 1..12),
        seeds in 0..6_u64,
        current in prop::option::of(0..8_usize),
    ) {
        let mut axes = vec![axis("config.cluster-node-timeout", &first)];
        axes.extend(second.map(|values| axis("step.1.for", &values)));
        let current = current.filter(|it| *it < first.len());
        let sweep = sweep(axes, current, goals(), seeds, |places, seed| {
            let number = places.iter().sum::<usize>() + seed as usize;
            stories[number % stories.len()].clone()
        });
        for chart in all_of(&sweep) {
            assert_sound(&chart);
            let text = chart.svg_without_fonts().expect("it can be drawn");
            prop_assert!(roxmltree::Document::parse(&text).is_ok());
        }
    }
}

#[test]
fn pixels_are_painted_too() {
    for chart in charts(&trade_off_of(8), &references(), Theme::DARK) {
        let png = chart.png().expect("it can be painted");
        assert!(png.starts_with(b"\x89PNG"), "{}", chart.name);
    }
}

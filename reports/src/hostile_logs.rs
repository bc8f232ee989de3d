//! Logs as nobody should write them: whatever a file says, reports are drawn and nothing panics.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use redrill_sim::checkers::Findings;
use redrill_sim::trace::{Event, Trace};

use crate::measures::Measures;
use crate::model::Model;
use crate::sample::{kill_master, partition_and_stall};
use crate::{html, terminal, timeline};

/// What is done to a log.
#[derive(Clone, Debug)]
enum Damage {
    Drop(Index),
    Twice(Index),
    Late(Index, u64),
    Renumber(Index, u16),
    Cut(Index),
    NoZones,
    NoNodes,
}

fn damage() -> impl Strategy<Value = Damage> {
    let time = prop_oneof![Just(0), Just(u64::MAX), any::<u64>(), 0..40_000_000_u64];
    prop_oneof![
        8 => any::<Index>().prop_map(Damage::Drop),
        4 => any::<Index>().prop_map(Damage::Twice),
        8 => (any::<Index>(), time).prop_map(|(place, at_us)| Damage::Late(place, at_us)),
        8 => (any::<Index>(), any::<u16>()).prop_map(|(place, node)| Damage::Renumber(place, node)),
        1 => any::<Index>().prop_map(Damage::Cut),
        1 => Just(Damage::NoZones),
        1 => Just(Damage::NoNodes),
    ]
}

fn damaged(mut trace: Trace, damages: &[Damage]) -> Trace {
    for damage in damages {
        if trace.records.is_empty() {
            break;
        }
        let records = &mut trace.records;
        let count = records.len();
        match damage {
            Damage::Drop(place) => drop(records.remove(place.index(count))),
            Damage::Twice(place) => {
                let again = records[place.index(count)].clone();
                records.push(again);
            }
            Damage::Late(place, at_us) => records[place.index(count)].at_us = *at_us,
            Damage::Renumber(place, number) => {
                if let Event::Node { node, .. } | Event::Process { node, .. } =
                    &mut records[place.index(count)].event
                {
                    *node = *number;
                }
            }
            Damage::Cut(place) => records.truncate(place.index(count)),
            Damage::NoZones => trace.header.zones.clear(),
            Damage::NoNodes => trace.header.nodes.clear(),
        }
    }
    trace
}

/// Facts only: the operations would take nearly every hit.
fn facts(mut trace: Trace) -> Trace {
    trace
        .records
        .retain(|record| !matches!(record.event, Event::Operation(_) | Event::Audited { .. }));
    trace
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_damaged_log_makes_a_picture(damages in vec(damage(), 1..12), split in any::<bool>()) {
        let trace = if split { partition_and_stall() } else { kill_master() };
        let trace = damaged(facts(trace), &damages);
        let nothing = Measures::of(&facts(kill_master()), &Findings::default());
        let model = Model::judged(&trace, &Findings::default(), &nothing);
        let options = timeline::Options { width_px: 700, ..timeline::Options::default() };
        prop_assert!(timeline::svg_of(&model, &options).is_ok());
        prop_assert!(!terminal::draw(&model, &terminal::Options::default()).is_empty());
        let page = html::report(&html::RunReport {
            trace: &trace,
            findings: &Findings::default(),
            measures: &nothing,
            expectations: &[],
            steps: &[],
            command: "redrill run",
        });
        prop_assert!(page.ends_with("</html>"));
        prop_assert!(!crate::perfetto::json_of(&model).is_empty());
    }
}

use redrill_sim::checkers;
use redrill_sim::scenario::{Comparison, Expectation, Measure, Statistic};
use scraper::{Html, Selector};

use super::*;
use crate::expectations::evaluate;
use crate::sample::{kill_master, partition_and_stall};

const COMMAND: &str = "redrill run scenarios/drills/kill-master.toml --seed 42";

fn made(trace: &Trace) -> String {
    repeated_by(trace, COMMAND)
}

fn repeated_by(trace: &Trace, command: &str) -> String {
    let findings = checkers::check(trace);
    let measures = Measures::of(trace, &findings);
    let expectations = [Expectation {
        measure: Measure::FailoverTime,
        statistic: Statistic::Max,
        comparison: Comparison::Less,
        bound: 3000.0,
        text: "failover-time: max < 3s".to_owned(),
        line: 40,
    }];
    report(&RunReport {
        trace,
        findings: &findings,
        measures: &measures,
        expectations: &evaluate(&expectations, &[&measures]),
        steps: &[],
        command,
    })
}

fn texts(document: &Html, selector: &str) -> Vec<String> {
    document
        .select(&Selector::parse(selector).unwrap())
        .map(|element| element.text().collect::<String>())
        .collect()
}

#[test]
fn a_report_needs_nothing_but_itself() {
    let page = made(&kill_master());
    let document = Html::parse_document(&page);
    for element in document.select(&Selector::parse("*").unwrap()) {
        for (name, value) in element.value().attrs() {
            let fetches = matches!(name, "src" | "srcset" | "action" | "poster" | "data");
            assert!(!fetches, "{name}={value}");
            if name == "href" {
                assert!(value.starts_with('#'), "{value}");
            }
        }
        assert!(!["link", "iframe", "object", "img", "base"].contains(&element.value().name()));
    }
    let policy = Selector::parse("meta[http-equiv=Content-Security-Policy]").unwrap();
    let policy = document.select(&policy).next().unwrap();
    assert!(
        policy
            .attr("content")
            .unwrap()
            .starts_with("default-src 'none'")
    );
    let namespace = "http://www.w3.org/2000/svg";
    assert!(!page.replace(namespace, "").contains("http:"));
    assert!(!page.contains("https:") && !page.contains("@import") && !page.contains("url(http"));
}

#[test]
fn a_report_tells_the_failover_in_its_parts() {
    let page = made(&kill_master());
    let document = Html::parse_document(&page);
    assert_eq!(texts(&document, "h1"), ["kill-master"]);
    let parts = texts(&document, ".failover .part");
    let expected = [
        "detection2.11 s",
        "agreement706 ms",
        "election706 ms",
        "promotion43 ms",
        "write gap3.62 s",
    ];
    assert_eq!(parts, expected);
    let expectation = texts(&document, "section[aria-labelledby=expectations] tbody td");
    let missed = ["failover-time: max < 3s", "3.52 s", "1", "✗ missed"];
    assert_eq!(expectation, missed);
    assert_eq!(texts(&document, "#again"), [COMMAND]);
    let rows = texts(&document, "section[aria-labelledby=invariants] tbody tr");
    assert_eq!(rows.len(), checkers::Code::ALL.len());
}

#[test]
fn names_of_a_drill_cannot_break_out_of_the_page() {
    let evil = "</script></title></style><script>alert(1)</script><img src=x onerror=alert(2)>";
    let mut trace = kill_master();
    trace.header.drill = evil.to_owned();
    trace.header.question = Some(format!("{evil}\u{2028}\" onload=\"alert(3)"));
    trace.header.nodes[1].name = evil.to_owned();
    trace.header.zones[0] = evil.to_owned();
    trace.header.clients[0].name = evil.to_owned();
    trace.header.config.insert(evil.to_owned(), evil.to_owned());
    for record in &mut trace.records {
        if let redrill_sim::trace::Event::FaultBegan { touched, .. } = &mut record.event {
            touched.words = evil.into();
        }
    }
    let page = repeated_by(&trace, evil);
    let document = Html::parse_document(&page);
    let scripts = texts(&document, "script");
    assert_eq!(scripts.len(), 2, "only our own scripts");
    assert!(scripts[0].starts_with("{\"origin\""));
    assert_eq!(scripts[1], SCRIPT);
    assert_eq!(document.select(&Selector::parse("img").unwrap()).count(), 0);
    assert!(serde_json::from_str::<serde_json::Value>(&scripts[0]).is_ok());
    assert!(!page.contains("<img"));
}

#[test]
fn the_script_is_given_every_number_it_asks_for() {
    let page = made(&partition_and_stall());
    let document = Html::parse_document(&page);
    let data: serde_json::Value = serde_json::from_str(&texts(&document, "#run")[0]).unwrap();
    let events = data["events"].as_array().unwrap();
    let strings = data["strings"].as_array().unwrap().len() as u64;
    let kinds = data["kinds"].as_array().unwrap().len() as u64;
    for event in events {
        assert!(event[5].as_u64().unwrap() < strings && event[6].as_u64().unwrap() < strings);
        assert!(event[2].as_u64().unwrap() < kinds);
    }
    for part in [
        "origin",
        "run",
        "window",
        "zones",
        "nodes",
        "faults",
        "failovers",
        "slots",
    ] {
        assert!(!data[part].is_null(), "{part}");
    }
    let ids = [
        "chart", "main", "overview", "tip", "voice", "paint", "where", "look", "rows",
    ];
    for id in ids {
        let found = document
            .select(&Selector::parse(&format!("#{id}")).unwrap())
            .count();
        assert_eq!(found, 1, "#{id}");
    }
}

#[test]
fn a_report_stays_small_however_many_operations_there_were() {
    let mut trace = kill_master();
    let operations: Vec<_> = trace
        .records
        .iter()
        .filter(|record| matches!(record.event, redrill_sim::trace::Event::Operation(_)))
        .cloned()
        .collect();
    for _ in 0..40 {
        trace.records.extend(operations.iter().cloned());
    }
    trace.records.sort_by_key(|record| record.at_us);
    let page = made(&trace);
    assert!(page.len() < 1_000_000, "{} bytes", page.len());
}

/// Writes the sample reports where one can look at them.
#[test]
#[ignore = "writes files to look at"]
fn write_sample_reports() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/pictures");
    std::fs::create_dir_all(&folder).unwrap();
    for trace in [kill_master(), partition_and_stall()] {
        let file = folder.join(format!("{}.html", trace.header.drill));
        std::fs::write(file, made(&trace)).unwrap();
    }
}

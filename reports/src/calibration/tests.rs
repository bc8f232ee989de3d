use super::*;

fn trial(won_ms: f64, failover: bool) -> Trial {
    let victim = Victim {
        pfail_by_observer_ms: vec![won_ms / 2.0],
        won_ms: failover.then_some(won_ms),
        failover,
        write_gap_ms: Some(won_ms),
        ..Victim::default()
    };
    Trial {
        victims: vec![victim],
        ..Trial::default()
    }
}

#[test]
fn what_agrees_lies_inside_and_what_does_not_is_named() {
    let measured: Vec<Trial> = (0..20)
        .map(|step| trial(3500.0 + 50.0 * f64::from(step), true))
        .collect();
    let same: Vec<Trial> = (0..100)
        .map(|step| trial(3500.0 + 10.0 * f64::from(step), true))
        .collect();
    assert_eq!(
        Comparison::of("same", &measured, &same).outside(),
        Vec::<String>::new()
    );

    let late: Vec<Trial> = (0..100)
        .map(|step| trial(4500.0 + 10.0 * f64::from(step), step % 2 == 0))
        .collect();
    let outside = Comparison::of("late", &measured, &late).outside();
    for expected in [
        "election won: median",
        "write gap: distribution",
        "failover: share",
    ] {
        assert!(outside.iter().any(|words| words == expected), "{outside:?}");
    }
}

#[test]
fn too_few_trials_are_shown_and_not_judged() {
    let few: Vec<Trial> = (0..3).map(|_| trial(1000.0, true)).collect();
    let other: Vec<Trial> = (0..100).map(|_| trial(9000.0, true)).collect();
    let comparison = Comparison::of("few", &few, &other);
    assert!(!comparison.rows.is_empty());
    assert_eq!(comparison.outside(), Vec::<String>::new());
}

#[test]
fn a_line_that_is_no_trial_is_named() {
    let bad = measured::read("\n{\"label\": 3}\n").unwrap_err();
    assert!(bad.to_string().starts_with("line 2, column"), "{bad}");
    assert_eq!(measured::read("").unwrap(), Vec::new());
}

fn sample() -> Comparison {
    let trials = |count: u32, spread: f64| -> Vec<Trial> {
        (0..count)
            .map(|step| trial(3500.0 + spread * f64::from(step), step % 3 > 0))
            .collect()
    };
    Comparison::of(
        "redis_stop1.5x_nt2000",
        &trials(20, 50.0),
        &trials(60, 10.0),
    )
}

#[test]
fn a_table_reads_like_this() {
    insta::assert_snapshot!(table::cell(&sample()));
}

#[test]
fn an_overview_reads_like_this() {
    insta::assert_snapshot!(table::overview(&[sample()]));
}

#[test]
fn a_picture_is_whole_and_shows_every_quantity() {
    let comparison = sample();
    let svg = picture::svg(&comparison).unwrap();
    let document = roxmltree::Document::parse(&svg).unwrap();
    let texts: Vec<&str> = document
        .descendants()
        .filter_map(|it| it.text())
        .map(str::trim)
        .collect();
    for row in &comparison.rows {
        assert!(texts.contains(&row.quantity.name()), "{:?}", row.quantity);
    }
    assert!(picture::png(&comparison).unwrap().starts_with(b"\x89PNG"));
}

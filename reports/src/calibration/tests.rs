use super::statistics::{Interval, distance, kolmogorov_smirnov, median_interval, wilson};
use super::*;

fn alone(values: impl IntoIterator<Item = f64>) -> Vec<Vec<f64>> {
    values.into_iter().map(|value| vec![value]).collect()
}

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

fn near(one: f64, other: f64) -> bool {
    (one - other).abs() < 1e-3
}

#[test]
fn wilsons_interval_is_the_published_one() {
    let Interval { low, high } = wilson(1, 10);
    assert!(near(low, 0.0179) && near(high, 0.4042), "{low} {high}");
    assert_eq!(wilson(0, 10).low, 0.0);
    assert_eq!(wilson(10, 10).high, 1.0);
    assert!(wilson(0, 0).contains(0.5));
}

#[test]
fn the_distance_of_two_distributions_minds_ties() {
    assert_eq!(distance(&[1.0, 1.0, 2.0], &[1.0, 1.0, 2.0]), 0.0);
    assert_eq!(distance(&[1.0, 2.0], &[3.0, 4.0]), 1.0);
    assert_eq!(distance(&[1.0, 2.0, 3.0, 4.0], &[2.0, 2.0]), 0.5);
}

#[test]
fn a_shift_is_rejected_and_a_sample_of_the_same_is_not() {
    let one = alone((0..40).map(f64::from));
    let same = alone((0..200).map(|step| f64::from(step) / 5.0));
    let shifted = alone((0..200).map(|step| f64::from(step) / 5.0 + 20.0));
    assert!(kolmogorov_smirnov(&one, &same).unwrap() > 0.9);
    assert!(kolmogorov_smirnov(&one, &shifted).unwrap() < 1e-4);
    assert_eq!(kolmogorov_smirnov(&one, &[]), None);
}

#[test]
fn the_critical_value_of_the_test_is_the_published_one() {
    // At D * sqrt(nm / (n + m)) = 1.358 the asymptotic p-value is 5 %.
    let n = 10_000;
    let shift = 1.358 / (f64::from(n) / 2.0).sqrt() * f64::from(n);
    let one = alone((0..n).map(f64::from));
    let other = alone((0..n).map(|value| f64::from(value) + shift));
    let p_value = kolmogorov_smirnov(&one, &other).unwrap();
    assert!((0.045..0.055).contains(&p_value), "{p_value}");
}

#[test]
fn the_median_lies_in_its_interval_and_more_trials_narrow_it() {
    let spread = |trials: u32| {
        let sample = alone((0..trials).map(|step| f64::from(step * 1000 / trials)));
        let interval = median_interval(&sample).unwrap();
        assert!(interval.contains(500.0), "{interval:?}");
        interval.high - interval.low
    };
    assert!(spread(20) > 1.5 * spread(200));
    assert_eq!(median_interval(&[]), None);
}

#[test]
fn values_of_one_trial_are_resampled_together() {
    let together = vec![vec![0.0; 50], vec![100.0; 50]];
    let interval = median_interval(&together).unwrap();
    assert_eq!((interval.low, interval.high), (0.0, 100.0));
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

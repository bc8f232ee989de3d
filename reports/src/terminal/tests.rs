use unicode_width::UnicodeWidthStr as _;

use super::*;
use crate::sample::{kill_master, partition_and_stall};

fn drawn(width: usize) -> String {
    let options = Options {
        width,
        ..Options::default()
    };
    render(&kill_master(), &options)
}

#[test]
fn a_killed_master_reads_like_this() {
    insta::assert_snapshot!(drawn(100));
}

#[test]
fn a_cut_off_zone_reads_like_this() {
    insta::assert_snapshot!(render(&partition_and_stall(), &Options::default()));
}

#[test]
fn a_narrow_terminal_reads_like_this() {
    insta::assert_snapshot!(drawn(60));
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    for trace in [kill_master(), partition_and_stall()] {
        for width in 60..=200 {
            let options = Options {
                width,
                ..Options::default()
            };
            for line in render(&trace, &options).lines() {
                assert!(line.width() <= width, "{} > {width}: {line}", line.width());
            }
        }
    }
}

#[test]
fn colours_add_nothing_but_colour() {
    let options = Options {
        colour: true,
        ..Options::default()
    };
    let coloured = render(&kill_master(), &options);
    assert!(coloured.contains("\u{1b}["));
    let mut plain = String::new();
    let mut rest = coloured.as_str();
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        plain.push_str(before);
        rest = after.split_once('m').unwrap().1;
    }
    plain.push_str(rest);
    let trimmed = |text: &str| {
        text.lines()
            .map(str::trim_end)
            .collect::<Vec<_>>()
            .join("\n")
    };
    assert_eq!(
        trimmed(&plain),
        trimmed(&render(&kill_master(), &Options::default()))
    );
    assert!(!drawn(100).contains('\u{1b}'));
}

#[test]
fn control_characters_of_a_drill_do_not_reach_the_terminal() {
    let mut trace = kill_master();
    trace.header.drill = "evil\u{1b}[2J\u{7}".to_owned();
    trace.header.nodes[1].name = "m2\u{1b}]0;x".to_owned();
    let text = render(&trace, &Options::default());
    assert!(
        !text
            .chars()
            .any(|character| character.is_control() && character != '\n')
    );
}

#[test]
fn a_large_cluster_keeps_the_columns_of_those_to_whom_something_happens() {
    let mut trace = kill_master();
    let quiet = trace.header.nodes[0].clone();
    for number in 0..300_u16 {
        let mut node = quiet.clone();
        node.name = format!("quiet-{number}");
        node.id.0 = [0xee; 20];
        node.id.0[0] = number as u8;
        node.id.0[1] = (number >> 8) as u8;
        node.slots.clear();
        trace.header.nodes.push(node);
    }
    let text = render(&trace, &Options::default());
    assert!(text.contains("more nodes have no column here"));
    assert!(text.lines().all(|line| line.width() <= 100));
    assert!(text.contains("r2: Failover election won: I'm the new master."));
}

#[test]
fn a_long_story_is_cut_in_the_middle() {
    let options = Options {
        most_lines: 6,
        ..Options::default()
    };
    let text = render(&kill_master(), &options);
    assert!(text.contains("more lines are left out here"));
    assert!(text.contains("fault: m2 is killed"));
    assert!(text.contains("is reachable again."));
}

//! What charts call things.

use redrill_sim::scenario::Measure;

use crate::sweep::Sweep;
use crate::text::grouped;

/// The values of a configuration: `2000, redis-7.0`.
pub(super) fn values(sweep: &Sweep, place: usize) -> String {
    sweep.data.values_of(place).join(", ")
}

/// The same, and whether it is the drill's own or the chosen one.
pub(super) fn values_and_standing(sweep: &Sweep, place: usize) -> String {
    let values = values(sweep, place);
    match standing(sweep, place) {
        Some(standing) => format!("{values} ({standing})"),
        None => values,
    }
}

/// Whether a configuration is the drill's own or the chosen one.
pub(super) fn standing(sweep: &Sweep, place: usize) -> Option<&'static str> {
    let is_current = sweep.data.current == Some(place);
    match (is_current, sweep.advice.chosen == Some(place)) {
        (true, true) => Some("now, chosen"),
        (true, false) => Some("now"),
        (false, true) => Some("chosen"),
        (false, false) => None,
    }
}

/// What was varied, for the line below a title.
pub(super) fn axes(sweep: &Sweep) -> String {
    let names: Vec<&str> = sweep
        .data
        .axes
        .iter()
        .map(|axis| axis.path.as_str())
        .collect();
    names.join(" x ")
}

/// What ran, for the line below a title.
pub(super) fn facts(sweep: &Sweep) -> String {
    let data = &sweep.data;
    format!(
        "{}, {} seeds, {} world",
        axes(sweep),
        grouped(data.seeds.len() as u64),
        data.world
    )
}

/// A measure in words.
pub(super) fn measure(measure: Measure) -> String {
    measure.name().replace('-', " ")
}

/// The same as the beginning of a line.
pub(super) fn sentence(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

/// A time on an axis: `0`, `20 ms`, `1.5 s`, `3 min`.
pub(super) fn tick_time(ms: f64) -> String {
    match ms.abs() {
        0.0 => "0".to_owned(),
        long if long >= 600_000.0 => format!("{} min", short(ms / 60_000.0)),
        long if long >= 1000.0 => format!("{} s", short(ms / 1000.0)),
        _ => format!("{} ms", short(ms)),
    }
}

/// A number with as many digits as it needs, and not more than four.
pub(super) fn short(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 {
        return "0".to_owned();
    }
    if !(1e-4..1e7).contains(&size) {
        return format!("{value:.0e}");
    }
    if size >= 1000.0 {
        let sign = if value < 0.0 { "−" } else { "" };
        return format!("{sign}{}", grouped(size.round() as u64));
    }
    let decimals = (2 - size.log10().floor() as i32).clamp(0, 6) as usize;
    let text = format!("{value:.decimals$}");
    let text = match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => &text,
    };
    text.replace('-', "−")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_as_short_as_they_can_be() {
        for (value, expected) in [
            (0.0, "0"),
            (0.05, "0.05"),
            (0.1 + 0.2, "0.3"),
            (2.0, "2"),
            (-2.5, "−2.5"),
            (123.456, "123"),
            (12_345.6, "12,346"),
            (0.000_001, "1e-6"),
        ] {
            assert_eq!(short(value), expected);
        }
        assert_eq!(tick_time(1500.0), "1.5 s");
        assert_eq!(tick_time(20.0), "20 ms");
        assert_eq!(tick_time(600_000.0), "10 min");
    }
}

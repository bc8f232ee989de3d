//! Numbers in words that every report uses.

use crate::model::Model;

/// `2.11 s`, `41 ms`, `0.3 ms`, `0`.
pub(crate) fn length(length_us: u64) -> String {
    let ms = length_us as f64 / 1000.0;
    if length_us == 0 {
        "0 s".to_owned()
    } else if ms >= 1000.0 {
        format!("{:.2} s", ms / 1000.0)
    } else if ms >= 10.0 {
        format!("{ms:.0} ms")
    } else {
        format!("{ms:.1} ms")
    }
}

/// An instant as `+2.108 s`, seconds since the first fault.
pub(crate) fn seconds_since(model: &Model, at_us: u64) -> String {
    let ms = model.relative_ms(at_us).round() as i64;
    let sign = match ms {
        0 => "",
        1.. => "+",
        _ => "−",
    };
    let ms = ms.unsigned_abs();
    format!("{sign}{}.{:03} s", ms / 1000, ms % 1000)
}

/// The same of milliseconds.
pub(crate) fn length_ms(ms: f64) -> String {
    length((ms * 1000.0).round() as u64)
}

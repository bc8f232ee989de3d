//! Directives with a form of their own. Errors are in Redis's words.

use super::directive::{Reason, Setting, memory_bytes};
use crate::wire::resp::string_to_i64;

#[expect(clippy::unnecessary_wraps, reason = "one signature for all checks")]
pub(super) fn any_text(_: &str) -> Result<(), Reason> {
    Ok(())
}

/// `isValidAnnouncedHostname`
pub(super) fn hostname(text: &str) -> Result<(), Reason> {
    if text.len() >= 256 {
        return Err("Hostnames must be less than 256 characters".into());
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    if !text.bytes().all(allowed) {
        let reason = "Hostnames may only contain alphanumeric characters, hyphens or dots";
        return Err(reason.into());
    }
    Ok(())
}

pub(super) fn dbfilename(text: &str) -> Result<(), Reason> {
    base_name(text, "dbfilename can't be a path, just a filename")
}

pub(super) fn appendfilename(text: &str) -> Result<(), Reason> {
    if text.is_empty() {
        return Err("appendfilename can't be empty".into());
    }
    base_name(text, "appendfilename can't be a path, just a filename")
}

pub(super) fn appenddirname(text: &str) -> Result<(), Reason> {
    if text.is_empty() {
        return Err("appenddirname can't be empty".into());
    }
    base_name(text, "appenddirname can't be a path, just a dirname")
}

fn base_name(text: &str, reason: &'static str) -> Result<(), Reason> {
    if text.contains(['/', '\\']) {
        return Err(reason.into());
    }
    Ok(())
}

pub(super) fn dir(words: &[&str], _: &Setting) -> Result<Setting, Reason> {
    one(words)
}

pub(super) fn notify_keyspace_events(words: &[&str], _: &Setting) -> Result<Setting, Reason> {
    let setting = one(words)?;
    if words
        .iter()
        .any(|word| word.contains(|letter| !"Ag$lshzxeKEtmdn".contains(letter)))
    {
        return Err("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.".into());
    }
    Ok(setting)
}

fn one(words: &[&str]) -> Result<Setting, Reason> {
    match *words {
        [word] => Ok(Setting::Text(word.into())),
        _ => Err("wrong number of arguments".into()),
    }
}

/// Pairs of seconds and changes; one empty word for none.
pub(super) fn save(words: &[&str], _: &Setting) -> Result<Setting, Reason> {
    if matches!(words, [""]) {
        return Ok(Setting::Words(Vec::new()));
    }
    let least = [1, 0].into_iter().cycle();
    let valid = |(word, least): (&&str, i64)| number(word).is_some_and(|value| value >= least);
    if !words.len().is_multiple_of(2) || !words.iter().zip(least).all(valid) {
        return Err("Invalid save parameters".into());
    }
    Ok(kept(words))
}

/// Addresses to listen on; one empty word for none.
pub(super) fn bind(words: &[&str], _: &Setting) -> Result<Setting, Reason> {
    match words {
        [""] => Ok(Setting::Words(Vec::new())),
        words if words.len() > 16 => Err("Too many bind addresses specified.".into()),
        words => Ok(kept(words)),
    }
}

pub(super) fn replicaof(words: &[&str], _: &Setting) -> Result<Setting, Reason> {
    let &[host, port] = words else {
        return if matches!(words, [] | [""]) {
            Ok(Setting::Words(Vec::new()))
        } else {
            Err("wrong number of arguments".into())
        };
    };
    if host.eq_ignore_ascii_case("no") && port.eq_ignore_ascii_case("one") {
        return Ok(Setting::Words(Vec::new()));
    }
    match number(port) {
        Some(0..=65535) => Ok(kept(words)),
        Some(_) | None => Err("Invalid master port".into()),
    }
}

pub(super) fn oom_score_adj_values(words: &[&str], _: &Setting) -> Result<Setting, Reason> {
    if words.len() != 3 {
        return Err("wrong number of arguments".into());
    }
    let valid = |word: &&str| number(word).is_some_and(|value| (-2000..=2000).contains(&value));
    if !words.iter().all(valid) {
        let reason = "Invalid oom-score-adj-values, elements must be between -2000 and 2000.";
        return Err(reason.into());
    }
    Ok(kept(words))
}

pub(super) fn percentiles(words: &[&str], _: &Setting) -> Result<Setting, Reason> {
    if matches!(words, [""]) {
        return Ok(Setting::Words(Vec::new()));
    }
    for word in words {
        match word.parse::<f64>() {
            Ok(percentile) if (0.0..=100.0).contains(&percentile) => {}
            Ok(percentile) if !percentile.is_nan() => {
                let reason =
                    "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]";
                return Err(reason.into());
            }
            Ok(_) | Err(_) => {
                return Err("Invalid latency-tracking-info-percentiles parameters".into());
            }
        }
    }
    Ok(kept(words))
}

/// The classes in the order `CONFIG GET` shows them, under the names it shows.
const CLASSES: [&str; 3] = ["normal", "slave", "pubsub"];

/// Groups of a class, a hard limit, a soft limit and seconds. Classes not named keep theirs.
pub(super) fn client_output_buffer_limit(
    words: &[&str],
    current: &Setting,
) -> Result<Setting, Reason> {
    if !words.len().is_multiple_of(4) {
        return Err("Wrong number of arguments in buffer limit configuration.".into());
    }
    let mut limits: Vec<Box<str>> = match current {
        Setting::Words(current) if current.len() == 4 * CLASSES.len() => current.clone(),
        Setting::Words(_)
        | Setting::Flag(_)
        | Setting::Number(_)
        | Setting::Bytes(_)
        | Setting::Text(_) => CLASSES
            .iter()
            .flat_map(|class| [*class, "0", "0", "0"].map(Box::from))
            .collect(),
    };
    for group in words.chunks_exact(4) {
        let class = if group[0].eq_ignore_ascii_case("replica") {
            "slave"
        } else {
            group[0]
        };
        let place = CLASSES
            .iter()
            .position(|known| known.eq_ignore_ascii_case(class))
            .ok_or("Invalid client class specified in buffer limit configuration.")?;
        let wrong = "Error in hard, soft or soft_seconds setting in buffer limit configuration.";
        let hard = memory_bytes(group[1]).ok_or(wrong)?;
        let soft = memory_bytes(group[2]).ok_or(wrong)?;
        let seconds = number(group[3])
            .filter(|seconds| *seconds >= 0)
            .ok_or(wrong)?;
        let numbers = [hard.to_string(), soft.to_string(), seconds.to_string()];
        for (kept, number) in limits[4 * place + 1..].iter_mut().zip(numbers) {
            *kept = number.into();
        }
    }
    Ok(Setting::Words(limits))
}

fn kept(words: &[&str]) -> Setting {
    Setting::Words(words.iter().copied().map(Box::from).collect())
}

fn number(word: &str) -> Option<i64> {
    string_to_i64(word.as_bytes())
}

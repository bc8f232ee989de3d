//! Times to live (`expire.c`).

use super::call::{Call, decimal, fixed};
use super::error::{CommandError, Outcome, text};
use super::spec::{Categories, Flags, KeySpec, Spec, command, key};
use crate::reply::Reply;

const FAST_WRITE: Flags = Flags::WRITE.union(Flags::FAST);
const FAST_READ: Flags = Flags::READONLY.union(Flags::FAST);
const UPDATE_KEY: &[KeySpec] = &[key(1, &["RW", "update"])];
const READ_KEY: &[KeySpec] = &[key(1, &["RO", "access"])];
const CHANGES: &[&str] = &["nondeterministic_output"];

const fn generic(spec: Spec, since: &'static str, summary: &'static str) -> Spec {
    spec.about("generic", since, summary)
        .categories(Categories::KEYSPACE)
}

pub(super) const COMMANDS: &[Spec] = &[
    generic(
        command("expire", -3, FAST_WRITE, expire),
        "1.0.0",
        "Lets a key live for some seconds.",
    )
    .keys(UPDATE_KEY),
    generic(
        command("pexpire", -3, FAST_WRITE, pexpire),
        "2.6.0",
        "Lets a key live for some milliseconds.",
    )
    .keys(UPDATE_KEY),
    generic(
        command("expireat", -3, FAST_WRITE, expireat),
        "1.2.0",
        "Lets a key live until a Unix second.",
    )
    .keys(UPDATE_KEY),
    generic(
        command("pexpireat", -3, FAST_WRITE, pexpireat),
        "2.6.0",
        "Lets a key live until a Unix millisecond.",
    )
    .keys(UPDATE_KEY),
    generic(
        command("persist", 2, FAST_WRITE, persist),
        "2.2.0",
        "Lets a key live for ever.",
    )
    .keys(UPDATE_KEY),
    generic(
        command("ttl", 2, FAST_READ, ttl),
        "1.0.0",
        "Tells how long a key has to live, in seconds.",
    )
    .keys(READ_KEY)
    .tips(CHANGES),
    generic(
        command("pttl", 2, FAST_READ, pttl),
        "2.6.0",
        "Tells how long a key has to live, in milliseconds.",
    )
    .keys(READ_KEY)
    .tips(CHANGES),
    generic(
        command("expiretime", 2, FAST_READ, expiretime),
        "7.0.0",
        "Tells the Unix second a key lives until.",
    )
    .keys(READ_KEY),
    generic(
        command("pexpiretime", 2, FAST_READ, pexpiretime),
        "7.0.0",
        "Tells the Unix millisecond a key lives until.",
    )
    .keys(READ_KEY),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Unit {
    Seconds,
    Milliseconds,
}

/// When a new time to live replaces the old one.
#[derive(Default)]
struct Conditions {
    /// There is none yet.
    nx: bool,
    /// There is one.
    xx: bool,
    /// The new one is longer.
    gt: bool,
    /// The new one is shorter.
    lt: bool,
}

fn expire(call: &mut Call<'_>) -> Outcome {
    let now_ms = call.node.wall().0;
    expire_at(call, now_ms, Unit::Seconds)
}

fn pexpire(call: &mut Call<'_>) -> Outcome {
    let now_ms = call.node.wall().0;
    expire_at(call, now_ms, Unit::Milliseconds)
}

fn expireat(call: &mut Call<'_>) -> Outcome {
    expire_at(call, 0, Unit::Seconds)
}

fn pexpireat(call: &mut Call<'_>) -> Outcome {
    expire_at(call, 0, Unit::Milliseconds)
}

/// `parseExtendedExpireArgumentsOrReply`.
fn conditions(call: &Call<'_>) -> Result<Conditions, CommandError> {
    let mut given = Conditions::default();
    for (place, word) in call.words.iter().enumerate().skip(3) {
        if call.says(place, "nx") {
            given.nx = true;
        } else if call.says(place, "xx") {
            given.xx = true;
        } else if call.says(place, "gt") {
            given.gt = true;
        } else if call.says(place, "lt") {
            given.lt = true;
        } else {
            return Err(CommandError::err(format_args!(
                "Unsupported option {}",
                text(word)
            )));
        }
    }
    if given.nx && (given.xx || given.gt || given.lt) {
        return Err(CommandError::fixed(
            "ERR NX and XX, GT or LT options at the same time are not compatible",
        ));
    }
    if given.gt && given.lt {
        return Err(CommandError::fixed(
            "ERR GT and LT options at the same time are not compatible",
        ));
    }
    Ok(given)
}

impl Conditions {
    fn allow(&self, old_ms: Option<i64>, new_ms: i64) -> bool {
        let nx = !self.nx || old_ms.is_none();
        let xx = !self.xx || old_ms.is_some();
        let gt = !self.gt || old_ms.is_some_and(|old| new_ms > old);
        let lt = !self.lt || old_ms.is_none_or(|old| new_ms < old);
        nx && xx && gt && lt
    }
}

/// `expireGenericCommand`.
fn expire_at(call: &mut Call<'_>, start_ms: i64, unit: Unit) -> Outcome {
    let conditions = conditions(call)?;
    let time = call.integer(2)?;
    let in_ms = match unit {
        Unit::Seconds => time.checked_mul(1000),
        Unit::Milliseconds => Some(time),
    };
    let at_ms = in_ms
        .and_then(|ms| ms.checked_add(start_ms))
        .ok_or_else(|| CommandError::expire_time(call.spec.name))?;
    let key = call.word(1);
    let Some(place) = call.find(key) else {
        return Ok(Reply::Integer(0));
    };
    if !conditions.allow(call.node.store.expiry(place), at_ms) {
        return Ok(Reply::Integer(0));
    }
    if call.is_over(at_ms) {
        call.node.store.remove_at(place);
        call.changed_as([fixed("DEL"), key.clone()]);
    } else {
        call.node.store.set_expiry(place, Some(at_ms));
        let mut words = call.words.to_vec();
        words[0] = fixed("PEXPIREAT");
        words[2] = decimal(at_ms);
        call.changed_as(words);
    }
    Ok(Reply::Integer(1))
}

fn persist(call: &mut Call<'_>) -> Outcome {
    let removed = match call.find(call.word(1)) {
        Some(place) => call.node.store.set_expiry(place, None),
        None => false,
    };
    if removed {
        call.changed();
    }
    Ok(Reply::Integer(i64::from(removed)))
}

fn ttl(call: &mut Call<'_>) -> Outcome {
    let now_ms = call.node.wall().0;
    tell(call, now_ms, Unit::Seconds)
}

fn pttl(call: &mut Call<'_>) -> Outcome {
    let now_ms = call.node.wall().0;
    tell(call, now_ms, Unit::Milliseconds)
}

fn expiretime(call: &mut Call<'_>) -> Outcome {
    tell(call, 0, Unit::Seconds)
}

fn pexpiretime(call: &mut Call<'_>) -> Outcome {
    tell(call, 0, Unit::Milliseconds)
}

/// `ttlGenericCommand`: -2 if there is no such key, -1 if it does not expire.
fn tell(call: &mut Call<'_>, since_ms: i64, unit: Unit) -> Outcome {
    let Some(place) = call.look_at(call.word(1)) else {
        return Ok(Reply::Integer(-2));
    };
    let Some(at_ms) = call.node.store.expiry(place) else {
        return Ok(Reply::Integer(-1));
    };
    let left_ms = at_ms.saturating_sub(since_ms).max(0);
    Ok(Reply::Integer(match unit {
        Unit::Milliseconds => left_ms,
        Unit::Seconds => left_ms.saturating_add(500) / 1000,
    }))
}

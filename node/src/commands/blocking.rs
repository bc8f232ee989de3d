//! Commands that wait for a key to hold something, and who gets it then (`blocked.c`).

use super::call::{self, Call, Done};
use super::error::{CommandError, Outcome};
use super::number::Extended;
use super::redirect;
use super::{lists, sorted_sets};
use crate::clients;
use crate::ids::ClientId;
use crate::node::Node;
use crate::reply::Reply;
use crate::store::{Place, ValueType};
use crate::time::WallMillis;
use crate::word::Word;

/// An end of a list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    Left,
    Right,
}

/// What a client wants of the first key that has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Awaited {
    /// Elements of a list; without a count one.
    Elements { end: End, count: Option<usize> },
    /// An element of a list, moved to another.
    Move {
        from: End,
        to: End,
        destination: Word,
        is_rpoplpush: bool,
    },
    /// Members of a sorted set; without a count one.
    Members { highest: bool, count: Option<usize> },
}

impl End {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Right => "right",
        }
    }
}

impl Awaited {
    /// What type a key must be of.
    pub(crate) const fn value_type(&self) -> ValueType {
        match self {
            Self::Elements { .. } | Self::Move { .. } => ValueType::List,
            Self::Members { .. } => ValueType::SortedSet,
        }
    }

    /// Takes it from a key that has it.
    fn take(&self, call: &mut Call<'_>, key: &Word, place: Place) -> Outcome {
        match self {
            Self::Elements { end, count } => lists::take(call, key, place, *end, *count),
            Self::Move {
                from,
                to,
                destination,
                is_rpoplpush,
            } => lists::take_to(call, key, place, destination, (*from, *to), *is_rpoplpush),
            Self::Members { highest, count } => {
                sorted_sets::take(call, key, place, *highest, *count)
            }
        }
    }
}

/// When a wait of so many seconds, with decimals, ends; `None`: never
/// (`getTimeoutFromObjectOrReply`).
pub(super) fn deadline(call: &Call<'_>, place: usize) -> Result<Option<WallMillis>, CommandError> {
    let seconds = Extended::read(call.word(place))
        .map(Extended::to_double)
        .ok_or(CommandError::fixed(
            "ERR timeout is not a float or out of range",
        ))?;
    // What is too long for the clock is, as C's conversion has it, negative.
    let millis = (seconds * 1000.0).ceil();
    if millis < 0.0 || millis >= i64::MAX as f64 {
        return Err(CommandError::fixed("ERR timeout is negative"));
    }
    let millis = millis as i64;
    Ok((millis > 0).then(|| WallMillis(call.node.wall().0.saturating_add(millis))))
}

/// `COUNT` of `LMPOP` and `ZMPOP`, from the word at `start` on.
pub(super) fn count_option(call: &Call<'_>, start: usize) -> Result<usize, CommandError> {
    match call.words.len() - start {
        0 => Ok(1),
        2 if call.says(start, "count") => {
            call.number_from(start + 1, 1, "ERR count should be greater than 0")
        }
        _ if call.says(start, "count") && start + 1 < call.words.len() => {
            call.number_from(start + 1, 1, "ERR count should be greater than 0")?;
            Err(CommandError::SYNTAX)
        }
        _ => Err(CommandError::SYNTAX),
    }
}

/// Takes what is wanted from the first key that is there; `None` if there is none.
pub(super) fn take_first(
    call: &mut Call<'_>,
    keys: &[Word],
    awaited: &Awaited,
) -> Result<Option<Reply>, CommandError> {
    for key in keys {
        let Some(place) = call.find(key) else {
            continue;
        };
        if call.node.store.value(place).value_type() != awaited.value_type() {
            return Err(CommandError::WRONG_TYPE);
        }
        return awaited.take(call, key, place).map(Some);
    }
    Ok(None)
}

/// Takes what is wanted, or has the client wait for it. A client that may not wait is answered as
/// if its time were over.
pub(super) fn take_or_wait(
    call: &mut Call<'_>,
    keys: &[Word],
    awaited: Awaited,
    deadline: Option<WallMillis>,
) -> Result<Option<Reply>, CommandError> {
    if let Some(taken) = take_first(call, keys, &awaited)? {
        return Ok(Some(taken));
    }
    if let Some(client) = call.client_that_may_wait() {
        clients::wait_for_keys(call.node, client, keys, awaited, deadline);
        return Ok(None);
    }
    Ok(Some(match awaited {
        Awaited::Move { .. } => Reply::Nil,
        Awaited::Elements { .. } | Awaited::Members { .. } => Reply::NilArray,
    }))
}

/// Serves the clients that wait for the keys that were made, in the order in which they came
/// (`handleClientsBlockedOnKeys`).
pub(super) fn serve_ready(node: &mut Node) {
    while node.store.has_ready_keys() {
        for key in node.store.take_ready_keys() {
            serve(node, &key);
        }
    }
}

fn serve(node: &mut Node, key: &Word) {
    for client in node.clients.waiting_for(key) {
        let now = node.wall();
        let Some(value_type) = node.store.get(key, now).map(|value| value.value_type()) else {
            return;
        };
        let awaited = node.clients.awaited_by(client);
        let Some(awaited) = awaited.filter(|awaited| awaited.value_type() == value_type) else {
            continue;
        };
        serve_client(node, client, key, &awaited);
    }
}

fn serve_client(node: &mut Node, client: ClientId, key: &Word, awaited: &Awaited) {
    let Some(spec) = node
        .clients
        .get(client)
        .and_then(|waits| waits.last_command)
    else {
        return;
    };
    let done = call::run_as(node, client, spec, |call| match call.find(key) {
        Some(place) => awaited.take(call, key, place),
        None => Ok(Reply::NilArray),
    });
    let Done {
        answer,
        effect,
        written,
    } = done;
    clients::touch(node, key);
    if let Awaited::Move { destination, .. } = awaited {
        clients::touch(node, destination);
    }
    Done::propagate(effect, written, node, [].into());
    clients::stop_waiting_for_keys(
        node,
        client,
        answer.unwrap_or_else(|error| Some(error.into())),
    );
}

/// Sends clients that wait for keys of slots that moved away to where the slots are now
/// (`clusterRedirectBlockedClientIfNeeded`).
pub(super) fn redirect_waiting(node: &mut Node) {
    for (client, key) in node.clients.first_awaited_keys() {
        if let Some(redirection) = redirect::of_waiting(node, &key) {
            let error = CommandError::from(redirection);
            clients::stop_waiting_for_keys(node, client, Some(error.into()));
        }
    }
}

//! What `GET` would be answered, without a client that asks.

use super::error::CommandError;
use super::redirect::{self, Route};
use super::spec::Flags;
use super::{Lookup, call, lookup, lookup_renamed, lost_its_master};
use crate::clients::{ClientFlags, PauseKind};
use crate::node::Node;
use crate::store::Value;
use crate::view::ReadBack;
use crate::word::Word;

/// What a client that connects now would be answered to `GET key`, sent behind `ASKING` or not;
/// `None`: nothing, as long as clients are paused.
///
/// It passes the checks of [`super::check`] that stand before a read, and leaves no trace: nothing
/// is counted, used, expired or evicted.
pub(crate) fn read_back<'a>(node: &'a Node, key: &Word, asking: bool) -> Option<ReadBack<'a>> {
    if node.clients.paused() == Some(PauseKind::All) {
        return None;
    }
    Some(match look_up(node, key, asking) {
        Ok(Some(value)) => ReadBack::Value(value),
        Ok(None) => ReadBack::Nil,
        Err(error) => ReadBack::Error(error.into()),
    })
}

fn look_up<'a>(node: &'a Node, key: &Word, asking: bool) -> Result<Option<&'a Word>, CommandError> {
    let words = [call::fixed("GET"), key.clone()];
    let found = if node.config.renames.is_empty() {
        lookup(&words)
    } else {
        lookup_renamed(&node.config.renames, &words)
    };
    let Lookup::Known(_, spec) = found else {
        return Err(CommandError::unknown_command(&words));
    };
    if node.config.requirepass.is_some() {
        return Err(CommandError::NO_AUTH);
    }
    let flags = if asking {
        ClientFlags::ASKING
    } else {
        ClientFlags::empty()
    };
    if let Route::Away(redirection) = redirect::route(node, flags, spec, &words) {
        return Err(redirection.into());
    }
    if !spec.flags.contains(Flags::STALE) && lost_its_master(node) {
        return Err(CommandError::MASTER_DOWN);
    }
    match node.store.get(key, node.now.wall) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(Value::List(_) | Value::Set(_) | Value::SortedSet(_) | Value::Hash(_)) => {
            Err(CommandError::WRONG_TYPE)
        }
    }
}

//! `SLOWLOG`: commands that took long (`slowlog.c`). Time passes only where the node is told so
//! ([`crate::Host::is_timed`]).

use std::collections::VecDeque;

use crate::commands::{CommandNumber, Flags, Spec};
use crate::ids::ClientId;
use crate::input::CommandLine;
use crate::node::Node;
use crate::time::Mono;
use crate::word::Word;

/// The most words of a command that are kept (`SLOWLOG_ENTRY_MAX_ARGC`).
const MOST_WORDS: usize = 32;

/// The longest word that is kept whole (`SLOWLOG_ENTRY_MAX_STRING`).
const LONGEST_WORD: usize = 128;

/// The slow commands, the newest first.
#[derive(Debug, Default)]
pub(crate) struct SlowLog {
    pub(crate) entries: VecDeque<SlowCommand>,
    next_id: i64,
    /// The command that ran last: how long it took shows when the next thing happens.
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    client: ClientId,
    number: CommandNumber,
    spec: &'static Spec,
    words: CommandLine,
    began: Mono,
}

/// One of them.
#[derive(Debug)]
pub(crate) struct SlowCommand {
    pub(crate) id: i64,
    pub(crate) at_s: i64,
    pub(crate) took_us: u64,
    pub(crate) words: Vec<Word>,
    pub(crate) peer: String,
    pub(crate) name: Word,
}

/// A command begins to run.
pub(crate) fn began(
    node: &mut Node,
    client: ClientId,
    number: CommandNumber,
    spec: &'static Spec,
    words: &CommandLine,
) {
    node.clients.slow.running = Some(Running {
        client,
        number,
        spec,
        words: CommandLine::clone(words),
        began: node.now.mono,
    });
}

/// Something else happens at `now`: the command that ran is over since.
pub(crate) fn measure(node: &mut Node, now: Mono) {
    let Some(running) = node.clients.slow.running.take() else {
        return;
    };
    let took_us = now.0.saturating_sub(running.began.0);
    node.clients.stats.of(running.number).took_us += took_us;
    let threshold_us = node.config.slowlog_log_slower_than_us;
    let is_slow = u64::try_from(threshold_us).is_ok_and(|threshold_us| took_us >= threshold_us);
    if is_slow && !running.spec.flags.contains(Flags::SKIP_SLOWLOG) {
        note(node, &running, took_us);
    }
}

fn note(node: &mut Node, running: &Running, took_us: u64) {
    let client = node.clients.get(running.client);
    let peer = client.map_or_else(String::new, |client| client.peer.to_string());
    let name = client.and_then(|client| client.name().cloned());
    let (at_s, most) = (node.unix_s(), node.config.number_of("slowlog-max-len"));
    let log = &mut node.clients.slow;
    log.entries.push_front(SlowCommand {
        id: log.next_id,
        at_s,
        took_us,
        words: shortened(&running.words),
        peer,
        name: name.unwrap_or_default(),
    });
    log.next_id += 1;
    log.entries.truncate(usize::try_from(most).unwrap_or(0));
}

fn shortened(words: &[Word]) -> Vec<Word> {
    let is_secret = words[0].eq_ignore_ascii_case(b"auth");
    let short = |word: &Word| match word.get(..LONGEST_WORD) {
        Some(start) if word.len() > LONGEST_WORD => {
            let more = format!("... ({} more bytes)", word.len() - LONGEST_WORD);
            Word::from([start, more.as_bytes()].concat())
        }
        Some(_) | None => word.clone(),
    };
    let mut kept: Vec<Word> = words.iter().take(MOST_WORDS).map(short).collect();
    if words.len() > MOST_WORDS {
        let more = words.len() - MOST_WORDS + 1;
        kept[MOST_WORDS - 1] = Word::from(format!("... ({more} more arguments)"));
    }
    if is_secret {
        for word in kept.iter_mut().skip(1) {
            *word = Word::from_static(b"(redacted)");
        }
    }
    kept
}

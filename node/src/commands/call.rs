//! One run of a command: its words, who sent it, what it did.

use crate::word::Word;

use super::error::{CommandError, Outcome};
use super::spec::{Run, Spec};
use crate::clients;
use crate::eviction;
use crate::fact::{Fact, write_digest};
use crate::ids::ClientId;
use crate::input::CommandLine;
use crate::node::Node;
use crate::persistence;
use crate::replication;
use crate::reply::Reply;
use crate::store::{Collection, Limits, Made, Place, Value};
use crate::wire::resp::string_to_i64;

/// A command that runs.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub(crate) node: &'a mut Node,
    pub(crate) spec: &'static Spec,
    /// The command line, the name first.
    pub(crate) words: &'a [Word],
    origin: Origin,
    effect: Effect,
    written: Written,
}

/// The digests of what a command wrote. Most write one value.
#[derive(Debug, Default)]
pub(super) struct Written {
    first: Option<u64>,
    more: Vec<u64>,
}

/// Who sent a command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Origin {
    /// A client.
    Client(ClientId),
    /// This replica's master, by the replication stream. It is always obeyed.
    Master,
}

/// What of a command goes to replicas.
#[derive(Debug, Default)]
pub(super) enum Effect {
    /// Nothing: it changed nothing.
    #[default]
    None,
    /// The command as it came.
    Verbatim,
    /// Another that has the same effect at any time and place.
    Rewritten(CommandLine),
}

/// What a command left behind.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) answer: Result<Option<Reply>, CommandError>,
    pub(super) effect: Effect,
    pub(super) written: Written,
}

/// Runs a command.
pub(super) fn run(node: &mut Node, origin: Origin, spec: &'static Spec, words: &[Word]) -> Done {
    if node.clients.watchers.is_empty() {
        return run_unwatched(node, origin, spec, words);
    }
    let may_change = clients::before(node, spec, words);
    let done = run_unwatched(node, origin, spec, words);
    if !matches!(done.effect, Effect::None) {
        clients::after(node, may_change);
    }
    done
}

fn run_unwatched(node: &mut Node, origin: Origin, spec: &'static Spec, words: &[Word]) -> Done {
    let mut call = Call {
        node,
        spec,
        words,
        origin,
        effect: Effect::None,
        written: Written::default(),
    };
    let answer = match spec.run {
        Run::Answer(run) => run(&mut call).map(Some),
        Run::Maybe(run) => run(&mut call),
    };
    Done {
        answer,
        effect: call.effect,
        written: call.written,
    }
}

/// Runs something for a client outside a command of its own.
pub(super) fn run_as(
    node: &mut Node,
    client: ClientId,
    spec: &'static Spec,
    what: impl FnOnce(&mut Call<'_>) -> Outcome,
) -> Done {
    let mut call = Call {
        node,
        spec,
        words: &[],
        origin: Origin::Client(client),
        effect: Effect::None,
        written: Written::default(),
    };
    let answer = what(&mut call).map(Some);
    Done {
        answer,
        effect: call.effect,
        written: call.written,
    }
}

impl Done {
    /// Feeds the stream, and tells the checkers where the writes stand in it.
    pub(super) fn propagate(effect: Effect, written: Written, node: &mut Node, words: CommandLine) {
        match effect {
            Effect::None => return,
            Effect::Verbatim => replication::propagate(node, words),
            Effect::Rewritten(words) => replication::propagate(node, words),
        }
        node.persistence.changes += 1;
        if node.replication.is_in_transaction() {
            let writes = written.first.into_iter().chain(written.more);
            node.replication.hold_writes(writes);
            return;
        }
        let offset = replication::offset(node);
        for write in written.first.into_iter().chain(written.more) {
            node.note(Fact::Wrote { write, offset });
        }
    }
}

impl Effect {
    /// Feeds the append-only file of a replica with what its master's command did.
    pub(super) fn append(self, node: &mut Node, words: &CommandLine) {
        match self {
            Self::None => return,
            Self::Verbatim => persistence::append(node, words),
            Self::Rewritten(words) => persistence::append(node, &words),
        }
        node.persistence.changes += 1;
    }
}

impl<'a> Call<'a> {
    /// The client, unless it is the master that speaks.
    pub(crate) const fn client(&self) -> Option<ClientId> {
        match self.origin {
            Origin::Client(client) => Some(client),
            Origin::Master => None,
        }
    }

    /// Whether the client that asks speaks RESP3.
    pub(crate) fn speaks_resp3(&self) -> bool {
        self.client()
            .and_then(|client| self.node.clients.get(client))
            .is_some_and(|client| client.resp3)
    }

    /// The word at `place`. The arity was checked.
    pub(crate) fn word(&self, place: usize) -> &'a Word {
        &self.words[place]
    }

    /// Whether the word at `place` is this one, in whatever case.
    pub(crate) fn says(&self, place: usize, word: &str) -> bool {
        self.words
            .get(place)
            .is_some_and(|given| given.eq_ignore_ascii_case(word.as_bytes()))
    }

    /// The client, if it may be blocked: a transaction's commands may not wait
    /// (`CLIENT_DENY_BLOCKING`).
    pub(crate) fn client_that_may_wait(&self) -> Option<ClientId> {
        (self.client()).filter(|_| !self.node.clients.is_collecting())
    }

    /// The number at `place`, at least `min`, or an error in a command's own words.
    pub(crate) fn number_from(
        &self,
        place: usize,
        min: usize,
        otherwise: &'static str,
    ) -> Result<usize, CommandError> {
        string_to_i64(self.word(place))
            .and_then(|number| usize::try_from(number).ok())
            .filter(|&number| number >= min)
            .ok_or(CommandError::fixed(otherwise))
    }

    /// The number at `place`, which is not negative.
    pub(crate) fn positive(&self, place: usize) -> Result<usize, CommandError> {
        self.number_from(place, 0, "ERR value is out of range, must be positive")
    }

    pub(crate) fn integer(&self, place: usize) -> Result<i64, CommandError> {
        string_to_i64(self.word(place)).ok_or(CommandError::NOT_AN_INTEGER)
    }

    /// Finds a key to read it (`lookupKeyRead`).
    pub(crate) fn read(&mut self, key: &[u8]) -> Option<Place> {
        let place = self.look_at(key)?;
        self.used(place);
        Some(place)
    }

    /// A key's value is read or changed: it is not the next to be evicted.
    fn used(&mut self, place: Place) {
        if self.node.store.counts_uses() {
            eviction::count_use(self.node, place);
        } else {
            self.node.store.touch(place);
        }
    }

    /// Finds a key to tell something of it, which is no use of it (`LOOKUP_NOTOUCH`).
    pub(crate) fn look_at(&mut self, key: &[u8]) -> Option<Place> {
        let place = self.find(key);
        let stats = &mut self.node.clients.stats;
        if place.is_some() {
            stats.keyspace_hits += 1;
        } else {
            stats.keyspace_misses += 1;
        }
        place
    }

    /// Finds a key to change it (`lookupKeyWrite`).
    pub(crate) fn find(&mut self, key: &[u8]) -> Option<Place> {
        let place = self.node.store.find(key)?;
        let expired = self.origin != Origin::Master && super::expire_if_due(self.node, place);
        (!expired).then_some(place)
    }

    /// The string at a place.
    pub(crate) fn string(&self, place: Place) -> Result<&Word, CommandError> {
        self.node
            .store
            .value(place)
            .as_string()
            .ok_or(CommandError::WRONG_TYPE)
    }

    /// Reads a key's string (`getGenericCommand`).
    pub(crate) fn read_string(&mut self, key: &[u8]) -> Result<Option<Word>, CommandError> {
        match self.read(key) {
            Some(place) => self.string(place).cloned().map(Some),
            None => Ok(None),
        }
    }

    /// Finds a key to read its collection.
    pub(crate) fn read_as<T: Collection>(
        &mut self,
        key: &[u8],
    ) -> Result<Option<&T>, CommandError> {
        match self.read(key) {
            Some(place) => self.collection(place).map(Some),
            None => Ok(None),
        }
    }

    /// Finds a key to change its collection.
    pub(crate) fn find_as<T: Collection>(
        &mut self,
        key: &[u8],
    ) -> Result<Option<Place>, CommandError> {
        let Some(place) = self.find(key) else {
            return Ok(None);
        };
        self.collection::<T>(place)?;
        self.used(place);
        Ok(Some(place))
    }

    /// The collection at a place.
    pub(crate) fn collection<T: Collection>(&self, place: Place) -> Result<&T, CommandError> {
        T::of(self.node.store.value(place)).ok_or(CommandError::WRONG_TYPE)
    }

    /// Changes a collection that [`Call::find_as`] found, or a new one where it found none. A key
    /// does not outlive its last element.
    pub(crate) fn change<T: Collection, R>(
        &mut self,
        key: &Word,
        place: Option<Place>,
        change: impl FnOnce(&mut T, &Limits) -> R,
    ) -> R {
        let Node { store, config, .. } = &mut *self.node;
        let limits = &config.limits;
        let Some(place) = place else {
            let mut new = T::default();
            let result = change(&mut new, limits);
            let value: Value = new.into();
            if !value.is_empty() {
                store.insert(key.clone(), value, None);
            }
            return result;
        };
        let result = store.change(place, |value| match T::of_mut(value) {
            Some(held) => change(held, limits),
            None => unreachable!("the type was looked at when the key was found"),
        });
        if store.value(place).is_empty() {
            store.remove_at(place);
        }
        result
    }

    /// Gives a key a value of any type, for ever (`setKey`). A key that got nothing is removed.
    /// Whether the key is there afterwards.
    pub(crate) fn put_value(&mut self, key: &Word, value: Value) -> bool {
        let (place, is_something) = (self.find(key), !value.is_empty());
        let store = &mut self.node.store;
        match place {
            Some(place) if is_something => {
                store.set_value(place, value);
                store.set_expiry(place, None);
            }
            Some(place) => store.remove_at(place),
            None if is_something => {
                store.insert(key.clone(), value, None);
            }
            None => {}
        }
        is_something
    }

    /// Keeps the result of a `STORE` command under its first key, and answers with its size.
    pub(crate) fn store_result(&mut self, len: usize, value: Value) -> Outcome {
        let key = self.word(1);
        let was_there = self.find(key).is_some();
        if self.put_value(key, value) || was_there {
            self.changed();
        }
        Ok(Reply::Integer(len as i64))
    }

    /// Whether a time to live that ends at `at_ms` is over before it begins
    /// (`checkAlreadyExpired`). Never on a replica, which waits for its master's DEL, nor while an
    /// append-only file is loaded.
    pub(crate) fn is_over(&self, at_ms: i64) -> bool {
        let obeyed = self.origin == Origin::Master || super::follows_master(self.node);
        at_ms <= self.node.wall().0 && !obeyed
    }

    /// Gives a key a string, and `expires_at_ms` to live.
    pub(crate) fn put(
        &mut self,
        key: &Word,
        place: Option<Place>,
        value: Word,
        expires_at_ms: Option<i64>,
    ) -> Place {
        if let Some(place) = place
            && self.node.store.counts_uses()
        {
            eviction::count_use(self.node, place);
        }
        let store = &mut self.node.store;
        match place {
            Some(place) => {
                store.set_value(place, Value::String(value));
                store.set_expiry(place, expires_at_ms);
                place
            }
            None => store.insert(key.clone(), Value::String(value), expires_at_ms),
        }
    }

    /// Gives a key a string, for ever, if it is not there at all; false if it is.
    pub(crate) fn put_new(&mut self, key: &Word, value: &Word) -> bool {
        self.node.store.insert_new(key, value)
    }

    /// Gives a key a string that was made in a way that its encoding tells of.
    pub(crate) fn put_made(&mut self, key: &Word, place: Option<Place>, value: Word, made: Made) {
        let kept_ms = place.and_then(|place| self.node.store.expiry(place));
        let place = self.put(key, place, value, kept_ms);
        self.node.store.set_made(place, made);
    }

    /// The command changed the keyspace and goes to replicas as it came.
    pub(crate) fn changed(&mut self) {
        self.effect = Effect::Verbatim;
    }

    /// The command changed the keyspace and goes to replicas as another
    /// (`rewriteClientCommandVector`).
    pub(crate) fn changed_as(&mut self, words: impl Into<CommandLine>) {
        self.effect = Effect::Rewritten(words.into());
    }

    /// A client wrote a value that a checker may look for later. Nobody checks a real host.
    pub(crate) fn wrote(&mut self, key: &[u8], value: &[u8]) {
        if self.origin != Origin::Master && !self.node.config.host.is_timed {
            let write = write_digest(key, value);
            match self.written.first {
                None => self.written.first = Some(write),
                Some(_) => self.written.more.push(write),
            }
        }
    }

    /// The answer of a HELP subcommand (`addReplyHelp`).
    pub(crate) fn help(&self, lines: &[&'static str]) -> Outcome {
        let title = format!(
            "{} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
            super::error::text(self.word(0)).to_uppercase()
        );
        let rest = lines.iter().copied();
        let last = ["HELP", "    Prints this help."];
        let all = std::iter::once(Reply::Simple(title.into()))
            .chain(rest.chain(last).map(|line| Reply::Simple(line.into())));
        Ok(Reply::Array(all.collect()))
    }

    pub(crate) fn subcommand_syntax(&self) -> CommandError {
        CommandError::subcommand_syntax(self.word(0), self.word(1))
    }
}

/// A word of a rewritten command.
pub(super) const fn fixed(word: &'static str) -> Word {
    Word::from_static(word.as_bytes())
}

/// A number as a word.
pub(super) fn decimal(value: i64) -> Word {
    Word::from(value.to_string())
}

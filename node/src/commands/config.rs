//! `CONFIG` (`config.c`).

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::call::Call;
use super::config_apply as apply;
use super::error::{CommandError, Outcome, text};
use super::glob;
use super::spec::{Flags, Spec, command, container, quiet_command};
use crate::action::Action;
use crate::clients;
use crate::config::{Change, Config, Directive};
use crate::eviction;
use crate::ids::ClientId;
use crate::input::ConfigRewrite;
use crate::log_words::LogLevel;
use crate::node::Node;
use crate::persistence;
use crate::reply::Reply;

const ANYTIME: Flags = Flags::LOADING.union(Flags::STALE);
const OPERATOR: Flags = ANYTIME.union(Flags::ADMIN).union(Flags::NOSCRIPT);

pub(super) const COMMANDS: &[Spec] = &[container("config", SUBCOMMANDS).about(
    "server",
    "2.0.0",
    "Holds the commands about the configuration.",
)];

const SUBCOMMANDS: &[Spec] = &[
    command("config|get", -3, OPERATOR, get).about("server", "2.0.0", "Tells parameters."),
    command("config|help", 2, ANYTIME, help).about("server", "5.0.0", "Lists the subcommands."),
    command("config|resetstat", 2, OPERATOR, resetstat).about(
        "server",
        "2.0.0",
        "Sets the counters of INFO to zero.",
    ),
    quiet_command("config|rewrite", 2, OPERATOR, rewrite).about(
        "server",
        "2.8.0",
        "Writes the configuration file anew.",
    ),
    command("config|set", -4, OPERATOR, set)
        .about("server", "2.0.0", "Changes parameters.")
        .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"]),
];

fn help(call: &mut Call<'_>) -> Outcome {
    call.help(&[
        "GET <pattern> [<pattern> ...]",
        "    Tell the parameters whose names match.",
        "SET <directive> <value> [<directive> <value> ...]",
        "    Change parameters.",
        "RESETSTAT",
        "    Set the counters of INFO to zero.",
        "REWRITE",
        "    Write the configuration file anew.",
    ])
}

/// Names and values of what is asked for, by name or by pattern, each once.
fn get(call: &mut Call<'_>) -> Outcome {
    let mut found: BTreeMap<Cow<'_, str>, String> = BTreeMap::new();
    let config = &call.node.config;
    for asked in &call.words[2..] {
        let is_pattern = asked.iter().any(|byte| b"[*?".contains(byte));
        if !is_pattern {
            // A name is told back as it was spelled.
            let name = text(asked);
            if let Some(value) = config.get(&name) {
                found.insert(name, value);
            }
            continue;
        }
        let known = Config::directives().iter();
        let names = known.flat_map(|directive| [Some(directive.name), directive.alias]);
        let matching = names
            .flatten()
            .filter(|name| glob::matches(asked, name.as_bytes(), true));
        found.extend(matching.filter_map(|name| Some((name.into(), config.get(name)?))));
    }
    let pair = |(name, value): (Cow<'_, str>, String)| {
        (Reply::bulk(name.into_owned()), Reply::bulk(value))
    };
    Ok(Reply::Map(found.into_iter().map(pair).collect()))
}

/// All parameters are changed, or none.
fn set(call: &mut Call<'_>) -> Outcome {
    if !call.words.len().is_multiple_of(2) {
        return Err(CommandError::SYNTAX);
    }
    let pairs: Vec<[_; 2]> = call.words[2..]
        .chunks_exact(2)
        .map(|pair| [text(&pair[0]), String::from_utf8_lossy(&pair[1])])
        .collect();
    let mut directives: Vec<&'static Directive> = Vec::with_capacity(pairs.len());
    for [name, _] in &pairs {
        let directive = changeable(&call.node.config, name)?;
        if directives.iter().any(|other| other.name == directive.name) {
            return Err(failed(name, "duplicate parameter"));
        }
        directives.push(directive);
    }
    let mut changed = call.node.config.clone();
    for (directive, [_, value]) in directives.iter().zip(&pairs) {
        changed
            .set_at_run_time(directive.name, value)
            .map_err(|error| CommandError::err(error.config_set_text()))?;
    }
    for (directive, [name, value]) in directives.iter().zip(&pairs) {
        if apply::needs_new_sockets(&call.node.config, directive.name, value) {
            return Err(failed(
                name,
                "Unable to listen on this port. Check server logs.",
            ));
        }
    }
    let appendonly = changed.appendonly;
    let before = std::mem::replace(call.node.config_mut(), changed);
    persistence::set_appendonly(call.node, appendonly);
    apply::changes(call.node, &before);
    eviction::reconfigure(call.node);
    Ok(Reply::OK)
}

/// The directive of that name, if it may be changed while the server runs.
fn changeable(config: &Config, name: &str) -> Result<&'static Directive, CommandError> {
    let directive = Config::directive(name).ok_or_else(|| {
        CommandError::err(format_args!(
            "Unknown option or number of arguments for CONFIG SET - '{name}'"
        ))
    })?;
    let protected = config.get("enable-protected-configs").as_deref() == Some("no");
    match directive.change {
        Change::AtStart => Err(failed(name, "can't set immutable config")),
        Change::Protected if protected => Err(failed(name, "can't set protected config")),
        Change::AtRunTime | Change::Protected => Ok(directive),
    }
}

fn failed(name: &str, reason: &str) -> CommandError {
    CommandError::err(format_args!(
        "CONFIG SET failed (possibly related to argument '{name}') - {reason}"
    ))
}

fn resetstat(call: &mut Call<'_>) -> Outcome {
    call.node.clients.stats.reset();
    Ok(Reply::OK)
}

/// The process around the node has the file; it answers with [`crate::Input::ConfigRewritten`].
fn rewrite(call: &mut Call<'_>) -> Result<Option<Reply>, CommandError> {
    if call.node.config.host.config_file.is_none() {
        return Err(CommandError::fixed(
            "ERR The server is running without a config file",
        ));
    }
    if let Some(client) = call.client() {
        call.node.immediate(Action::RewriteConfig { client });
    }
    Ok(None)
}

/// The configuration file was written anew, or was not.
pub(crate) fn rewritten(node: &mut Node, client: ClientId, result: ConfigRewrite) {
    let reply = match result {
        ConfigRewrite::Done => {
            node.log(LogLevel::Warning, "CONFIG REWRITE executed with success.");
            Reply::OK
        }
        ConfigRewrite::Failed(why) => {
            node.log(LogLevel::Warning, format!("CONFIG REWRITE failed: {why}"));
            CommandError::err(format_args!("Rewriting config file: {why}")).into()
        }
    };
    clients::reply(node, client, reply);
}

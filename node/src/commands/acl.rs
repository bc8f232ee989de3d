//! `AUTH` and `ACL`: there is one user, `default`, and it may do everything (`acl.c`).

use sha2::{Digest, Sha256};

use super::call::Call;
use super::error::{CommandError, Outcome, text};
use super::spec::{Flags, Spec, command, container};
use crate::clients::ClientFlags;
use crate::node::Node;
use crate::reply::Reply;

const ANYTIME: Flags = Flags::LOADING.union(Flags::STALE);
const ANYONE: Flags = ANYTIME.union(Flags::NOSCRIPT);
const OPERATOR: Flags = ANYONE.union(Flags::ADMIN);

const fn about(spec: Spec, since: &'static str, summary: &'static str) -> Spec {
    spec.about("server", since, summary)
}

pub(super) const COMMANDS: &[Spec] = &[about(
    container("acl", SUBCOMMANDS),
    "6.0.0",
    "Holds the commands about users.",
)];

const SUBCOMMANDS: &[Spec] = &[
    about(
        command("acl|cat", -2, ANYONE, categories),
        "6.0.0",
        "Names the categories of commands, or the commands of one.",
    ),
    about(
        command("acl|deluser", -3, OPERATOR, one_user),
        "6.0.0",
        "Deletes users; the only one stays.",
    ),
    about(
        command("acl|getuser", 3, OPERATOR, getuser),
        "6.0.0",
        "Describes a user.",
    ),
    about(
        command("acl|help", 2, ANYTIME, help),
        "6.0.0",
        "Lists the subcommands.",
    ),
    about(
        command("acl|list", 2, OPERATOR, list),
        "6.0.0",
        "Describes the users as a file does.",
    ),
    about(
        command("acl|log", -2, OPERATOR, log),
        "6.0.0",
        "Tells of refused commands; nobody is refused any.",
    ),
    about(
        command("acl|setuser", -3, OPERATOR, one_user),
        "6.0.0",
        "Changes users; the only one is changed by requirepass.",
    ),
    about(
        command("acl|users", 2, OPERATOR, users),
        "6.0.0",
        "Names the users.",
    ),
    about(
        command("acl|whoami", 2, ANYONE, whoami),
        "6.0.0",
        "Tells the client's user.",
    ),
];

fn help(call: &mut Call<'_>) -> Outcome {
    call.help(&[
        "CAT [<category>]",
        "    Name the categories, or the commands of one.",
        "GETUSER <username>",
        "    Describe a user.",
        "LIST",
        "    Describe the users as a file does.",
        "LOG [<count>|RESET]",
        "    Tell of refused commands.",
        "USERS",
        "    Name the users.",
        "WHOAMI",
        "    Tell this connection's user.",
    ])
}

/// Whether a name and a password are those of a user (`ACLCheckUserCredentials`).
pub(super) fn is_known(node: &Node, user: &[u8], password: &[u8]) -> bool {
    let is_right = match node.config.requirepass.as_deref() {
        None => true,
        Some(right) => same(right.as_bytes(), password),
    };
    user == b"default" && is_right
}

/// Compares in a time that does not tell how much of it is right.
fn same(right: &[u8], given: &[u8]) -> bool {
    let (right, given) = (Sha256::digest(right), Sha256::digest(given));
    let pairs = right.iter().zip(given);
    pairs.fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}

/// Authenticates the client of a call.
pub(super) fn authenticate(
    call: &mut Call<'_>,
    user: &[u8],
    password: &[u8],
) -> Result<(), CommandError> {
    if !is_known(call.node, user, password) {
        return Err(CommandError::WRONG_PASSWORD);
    }
    let client = call.client();
    if let Some(client) = client.and_then(|client| call.node.clients.get_mut(client)) {
        client.flags.remove(ClientFlags::UNAUTHENTICATED);
    }
    Ok(())
}

fn whoami(_: &mut Call<'_>) -> Outcome {
    Ok(Reply::bulk("default"))
}

fn users(_: &mut Call<'_>) -> Outcome {
    Ok(Reply::Array(vec![Reply::bulk("default")]))
}

/// What a file says of the password.
fn password_hash(node: &Node) -> Option<String> {
    let password = node.config.requirepass.as_deref()?;
    let hash = Sha256::digest(password.as_bytes());
    Some(hash.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn list(call: &mut Call<'_>) -> Outcome {
    let secret = match password_hash(call.node) {
        Some(hash) => format!("#{hash}"),
        None => "nopass".to_owned(),
    };
    let line = format!("user default on {secret} ~* &* +@all");
    Ok(Reply::Array(vec![Reply::bulk(line)]))
}

fn getuser(call: &mut Call<'_>) -> Outcome {
    if call.word(2) != "default" {
        return Ok(Reply::Nil);
    }
    let hash = password_hash(call.node);
    let mut flags = vec![Reply::bulk("on")];
    if hash.is_none() {
        flags.push(Reply::bulk("nopass"));
    }
    let pairs = [
        ("flags", Reply::Set(flags)),
        (
            "passwords",
            Reply::Array(hash.into_iter().map(Reply::bulk).collect()),
        ),
        ("commands", Reply::bulk("+@all")),
        ("keys", Reply::bulk("~*")),
        ("channels", Reply::bulk("&*")),
        ("selectors", Reply::Array(Vec::new())),
    ];
    let pairs = pairs.map(|(name, value)| (Reply::bulk(name), value));
    Ok(Reply::Map(pairs.into()))
}

fn log(_: &mut Call<'_>) -> Outcome {
    Ok(Reply::Array(Vec::new()))
}

fn one_user(_: &mut Call<'_>) -> Outcome {
    Err(CommandError::fixed(
        "ERR redrill has one user, default, who may do everything; its password is requirepass",
    ))
}

const CATEGORIES: [&str; 21] = [
    "keyspace",
    "read",
    "write",
    "set",
    "sortedset",
    "list",
    "hash",
    "string",
    "bitmap",
    "hyperloglog",
    "geo",
    "stream",
    "pubsub",
    "admin",
    "fast",
    "slow",
    "blocking",
    "dangerous",
    "connection",
    "transaction",
    "scripting",
];

fn categories(call: &mut Call<'_>) -> Outcome {
    let names: Vec<Reply> = match call.words {
        [_, _] => CATEGORIES.into_iter().map(Reply::bulk).collect(),
        [_, _, category] => {
            let category = text(category).to_ascii_lowercase();
            if !CATEGORIES.contains(&category.as_str()) {
                return Err(CommandError::err(format_args!(
                    "Unknown category '{category}'"
                )));
            }
            super::introspection::names_in(&category)
                .map(Reply::bulk)
                .collect()
        }
        _ => return Err(call.subcommand_syntax()),
    };
    Ok(Reply::Array(names))
}

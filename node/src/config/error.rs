//! What can be wrong with a directive.

use super::directive::Reason;

/// A directive that cannot be set.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DirectiveError {
    /// There is no such directive.
    #[error("there is no directive `{name}`{}", did_you_mean(*.suggestion))]
    Unknown {
        /// The name given.
        name: String,
        /// The name that was probably meant.
        suggestion: Option<&'static str>,
    },
    /// It does not take this value.
    #[error("`{name} {}`: {}", shown(.value), explained(.reason, .allowed.as_deref()))]
    Value {
        /// The name given.
        name: String,
        /// The value given.
        value: String,
        /// Why it is refused, in Redis's words.
        reason: Reason,
        /// What it takes, if the reason does not say it.
        allowed: Option<String>,
    },
    /// `CONFIG SET` may not change it.
    #[error("`{name}` can't be changed while the server runs: {reason}")]
    NotAtRunTime {
        /// The name given.
        name: String,
        /// Redis's words for it.
        reason: &'static str,
    },
}

fn did_you_mean(suggestion: Option<&'static str>) -> String {
    suggestion.map_or_else(String::new, |name| format!("; did you mean `{name}`?"))
}

fn shown(value: &str) -> &str {
    if value.is_empty() { "\"\"" } else { value }
}

fn explained(reason: &str, allowed: Option<&str>) -> String {
    match allowed {
        Some(allowed) => format!("{}; it takes {allowed}", reason.trim_end_matches('.')),
        None => reason.to_owned(),
    }
}

impl DirectiveError {
    /// The answer to `CONFIG SET`, without `ERR`.
    #[must_use]
    pub fn config_set_text(&self) -> String {
        let failed = |name: &str, reason: &str| {
            format!("CONFIG SET failed (possibly related to argument '{name}') - {reason}")
        };
        match self {
            Self::Unknown { name, .. } => {
                format!("Unknown option or number of arguments for CONFIG SET - '{name}'")
            }
            Self::Value { name, reason, .. } => failed(name, reason),
            Self::NotAtRunTime { name, reason } => failed(name, reason),
        }
    }

    /// Why a configuration file is refused, in Redis's words.
    #[must_use]
    pub fn file_text(&self) -> &str {
        match self {
            Self::Unknown { .. } => "Bad directive or wrong number of arguments",
            Self::Value { reason, .. } => reason,
            Self::NotAtRunTime { reason, .. } => reason,
        }
    }
}

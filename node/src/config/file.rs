//! `redis.conf` (`loadServerConfigFromString`).

use super::{Config, DirectiveError, ProtectedAction};
use crate::wire::resp::split_args;

/// How deep files may include each other.
const MAX_INCLUDES: usize = 16;

/// Directives of later or earlier versions that Redis 7.0 passes over.
const DEPRECATED: [&str; 3] = [
    "list-max-ziplist-entries",
    "list-max-ziplist-value",
    "lua-replicate-commands",
];

/// A configuration file that cannot be used: what Redis prints under
/// `*** FATAL CONFIG FILE ERROR ***`.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("Reading the configuration file, at line {line}\n>>> '{text}'\n{problem}")]
pub struct ConfigFileError {
    /// The file, if it was included by another.
    pub file: Option<String>,
    /// The line, from 1.
    pub line: usize,
    /// What stands on it.
    pub text: String,
    /// Why it is refused, in Redis's words.
    pub problem: String,
    /// What it takes, or what was probably meant.
    pub hint: Option<String>,
}

/// Something in a configuration file that does not do what it says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Warning {
    /// The file, if it was included by another.
    pub file: Option<String>,
    /// The line, from 1.
    pub line: usize,
    /// The directive.
    pub directive: String,
    /// What about it.
    pub problem: WarningKind,
}

/// Why a directive does not do what it says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum WarningKind {
    /// It is kept, but a redrill node does not act on it.
    #[error("it is kept, but nothing acts on it")]
    Kept,
    /// A later line sets it again.
    #[error("a later line sets it again")]
    Overridden,
    /// Redis 7.0 passes it over.
    #[error("it is deprecated and has no effect")]
    Deprecated,
    /// The file it names is not read.
    #[error("the included file is not read")]
    Include,
    /// It is about modules or users, which redrill has not.
    #[error("redrill has no modules and no users but the default one")]
    Unsupported,
    /// There is no such directive. Redis would not start.
    #[error("there is no such directive, it is passed over{}", .suggestion.map_or_else(String::new, |name| format!("; did you mean `{name}`?")))]
    Unknown {
        /// The directive that was probably meant.
        suggestion: Option<&'static str>,
    },
    /// A redrill node is always part of a cluster.
    #[error("a redrill node is always part of a cluster")]
    Cluster,
}

impl Config {
    /// Reads a configuration file. `include` directives are not followed, see
    /// [`Config::parse_file_with`].
    ///
    /// # Errors
    /// [`ConfigFileError`] for the first line that Redis would refuse.
    pub fn parse_file(text: &[u8]) -> Result<(Self, Vec<Warning>), ConfigFileError> {
        read_file(text, None)
    }

    /// Reads a configuration file; `read` gives the text of an included one by its name.
    ///
    /// # Errors
    /// [`ConfigFileError`] for the first line that Redis would refuse, also if `read` fails or
    /// files include each other more than 16 deep.
    pub fn parse_file_with(
        text: &[u8],
        mut read: impl FnMut(&str) -> Result<Vec<u8>, String>,
    ) -> Result<(Self, Vec<Warning>), ConfigFileError> {
        read_file(text, Some(&mut read))
    }
}

type Read<'a> = &'a mut dyn FnMut(&str) -> Result<Vec<u8>, String>;

fn read_file(
    text: &[u8],
    read: Option<Read<'_>>,
) -> Result<(Config, Vec<Warning>), ConfigFileError> {
    let mut reader = Reader {
        config: Config::default(),
        warnings: Vec::new(),
        read,
        set: Vec::new(),
        saves: Vec::new(),
        file: None,
        depth: 0,
    };
    // Redis says no where a file says nothing. A server that is there to be broken lets its own
    // host break it.
    reader.config.enable_debug_command = ProtectedAction::Local;
    reader.text(text)?;
    reader.finish()
}

struct Reader<'a> {
    config: Config,
    warnings: Vec<Warning>,
    read: Option<Read<'a>>,
    /// Directives set so far, and where each was set last.
    set: Vec<Origin>,
    /// The words of all `save` lines: they add up.
    saves: Vec<String>,
    file: Option<String>,
    depth: usize,
}

/// Where a directive was set.
struct Origin {
    directive: &'static str,
    /// The name it was set by.
    name: String,
    file: Option<String>,
    line: Line,
}

/// A line and what is on it.
#[derive(Clone)]
struct Line {
    number: usize,
    text: String,
}

impl Reader<'_> {
    fn text(&mut self, text: &[u8]) -> Result<(), ConfigFileError> {
        for (index, bytes) in text.split(|&byte| byte == b'\n').enumerate() {
            let bytes = bytes.trim_ascii();
            if bytes.is_empty() || bytes[0] == b'#' {
                continue;
            }
            let line = Line {
                number: index + 1,
                text: String::from_utf8_lossy(bytes).into_owned(),
            };
            self.line(&line, bytes)?;
        }
        Ok(())
    }

    fn line(&mut self, line: &Line, bytes: &[u8]) -> Result<(), ConfigFileError> {
        let Some(words) = split_args(bytes) else {
            return Err(self.error(line, "Unbalanced quotes in configuration line", None));
        };
        let words: Result<Vec<_>, _> = words.into_iter().map(String::from_utf8).collect();
        let Ok(words) = words else {
            return Err(self.error(line, "The line is not UTF-8 text", None));
        };
        let Some((name, values)) = words.split_first() else {
            return Ok(());
        };
        let name = name.to_ascii_lowercase();
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        if Config::directive(&name).is_some() {
            return self.directive(line, &name, &values);
        }
        match (name.as_str(), values.as_slice()) {
            ("include", [file]) => self.include(line, file),
            ("sentinel", [_, ..]) => {
                Err(self.error(line, "sentinel directive while not in sentinel mode", None))
            }
            ("rename-command", [old, new]) => {
                let renamed = self.config.renames.rename(old, new);
                renamed.map_err(|problem| self.error(line, problem, None))
            }
            ("user" | "loadmodule", [_, ..]) => {
                self.warn(line, &name, WarningKind::Unsupported);
                Ok(())
            }
            (name, [_, ..]) if name.contains('.') => {
                self.warn(line, name, WarningKind::Unsupported);
                Ok(())
            }
            (name, []) if name.contains('.') => {
                Err(self.error(line, "Module config specified without value", None))
            }
            (name, [_]) if DEPRECATED.contains(&name) => {
                self.warn(line, name, WarningKind::Deprecated);
                Ok(())
            }
            ("include" | "sentinel" | "rename-command" | "user" | "loadmodule", _) => {
                Err(self.error(line, "Bad directive or wrong number of arguments", None))
            }
            (name, _) => {
                let suggestion = Config::suggest(name);
                self.warn(line, name, WarningKind::Unknown { suggestion });
                Ok(())
            }
        }
    }

    fn directive(
        &mut self,
        line: &Line,
        name: &str,
        values: &[&str],
    ) -> Result<(), ConfigFileError> {
        let Some(directive) = Config::directive(name) else {
            return Ok(());
        };
        let split: Vec<String>;
        let mut values = values.to_vec();
        // One word for several, as in `--save "900 1"`.
        if let [value] = values[..]
            && directive.words
            && !value.is_empty()
        {
            let Some(words) = split_args(value.as_bytes()) else {
                return Err(self.error(line, "Unbalanced quotes in configuration line", None));
            };
            split = words
                .iter()
                .map(|word| String::from_utf8_lossy(word).into_owned())
                .collect();
            values = split.iter().map(String::as_str).collect();
        }
        let result = if directive.name == "save" {
            self.save(&values)
        } else {
            self.config.set_words(name, &values)
        };
        if let Err(error) = result {
            let hint = match &error {
                DirectiveError::Value { allowed, .. } => allowed
                    .as_ref()
                    .map(|allowed| format!("it takes {allowed}")),
                DirectiveError::Unknown { .. } | DirectiveError::NotAtRunTime { .. } => None,
            };
            return Err(self.error(line, error.file_text(), hint));
        }
        self.remember(line, name, directive.name);
        Ok(())
    }

    /// The first `save` line replaces the default, later ones add to it.
    fn save(&mut self, values: &[&str]) -> Result<(), DirectiveError> {
        let mut checked = self.config.clone();
        checked.set_words("save", values)?;
        if matches!(values, [""]) {
            self.saves.clear();
        }
        self.saves.extend(
            values
                .iter()
                .filter(|value| !value.is_empty())
                .map(ToString::to_string),
        );
        let all: Vec<&str> = if self.saves.is_empty() {
            vec![""]
        } else {
            self.saves.iter().map(String::as_str).collect()
        };
        self.config.set_words("save", &all)
    }

    fn remember(&mut self, line: &Line, name: &str, directive: &'static str) {
        let origin = Origin {
            directive,
            name: name.to_owned(),
            file: self.file.clone(),
            line: line.clone(),
        };
        // The lines of these add up.
        let adds_up = matches!(directive, "save" | "client-output-buffer-limit");
        let earlier = self
            .set
            .iter()
            .position(|origin| origin.directive == directive);
        if let Some(place) = earlier {
            let earlier = self.set.swap_remove(place);
            if !adds_up {
                self.warnings.push(earlier.warning(WarningKind::Overridden));
            }
        }
        self.set.push(origin);
    }

    fn include(&mut self, line: &Line, file: &str) -> Result<(), ConfigFileError> {
        let Some(read) = self.read.as_mut() else {
            self.warn(line, "include", WarningKind::Include);
            return Ok(());
        };
        let text = match read(file) {
            Ok(_) if self.depth == MAX_INCLUDES => {
                return Err(self.error(line, "files include each other too deep", None));
            }
            Ok(text) => text,
            Err(problem) => {
                let problem = format!("can't open config file '{file}': {problem}");
                return Err(self.error(line, &problem, None));
            }
        };
        self.depth += 1;
        let outer = self.file.replace(file.to_owned());
        self.text(&text)?;
        self.file = outer;
        self.depth -= 1;
        Ok(())
    }

    /// What can be said only of the whole.
    fn finish(mut self) -> Result<(Config, Vec<Warning>), ConfigFileError> {
        let is_replica = !self.config.text_of("replicaof").is_empty();
        let outside_cluster = self.config.text_of("cluster-enabled") == "no";
        let ports = self.config.check_ports();
        for origin in std::mem::take(&mut self.set) {
            let problem = match origin.directive {
                "replicaof" if is_replica => Err("replicaof directive not allowed in cluster mode"),
                "port" => ports,
                _ => Ok(()),
            };
            if let Err(problem) = problem {
                self.file = origin.file;
                return Err(self.error(&origin.line, problem, None));
            }
            if origin.directive == "cluster-enabled" {
                if outside_cluster {
                    self.warnings.push(origin.warning(WarningKind::Cluster));
                }
            } else if !self.is_acted_on(origin.directive) {
                self.warnings.push(origin.warning(WarningKind::Kept));
            }
        }
        self.warnings
            .sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
        Ok((self.config, self.warnings))
    }

    /// Whether a directive does what it says, or was set to what it is anyway.
    fn is_acted_on(&self, name: &str) -> bool {
        Config::directive(name).is_none_or(|directive| {
            directive.acts || self.config.setting_of(directive) == directive.default_setting()
        })
    }

    fn warn(&mut self, line: &Line, directive: &str, problem: WarningKind) {
        self.warnings.push(Warning {
            file: self.file.clone(),
            line: line.number,
            directive: directive.to_owned(),
            problem,
        });
    }

    fn error(&self, line: &Line, problem: &str, hint: Option<String>) -> ConfigFileError {
        ConfigFileError {
            file: self.file.clone(),
            line: line.number,
            text: line.text.clone(),
            problem: problem.to_owned(),
            hint,
        }
    }
}

impl Origin {
    fn warning(self, problem: WarningKind) -> Warning {
        Warning {
            file: self.file,
            line: self.line.number,
            directive: self.name,
            problem,
        }
    }
}

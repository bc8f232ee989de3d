//! `rename-command`.

use std::collections::BTreeMap;

use crate::commands;

/// Commands that go by another name than their own, or by none.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Renames {
    /// What a name, in lower case, stands for; `None`: nothing.
    names: BTreeMap<Box<str>, Option<&'static str>>,
    /// The lines as they were given.
    given: Vec<[Box<str>; 2]>,
}

impl Renames {
    /// Whether every command goes by its own name.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Lets the command `old` go by the name `new`; by none if that is empty.
    ///
    /// # Errors
    /// Redis's words, if there is no command `old`, or there is one called `new`.
    pub fn rename(&mut self, old: &str, new: &str) -> Result<(), &'static str> {
        let (old_name, new_name) = (old.to_ascii_lowercase(), new.to_ascii_lowercase());
        let command = self
            .resolve(&old_name)
            .ok_or("No such command in rename-command")?;
        let mut names = self.names.clone();
        names.insert(old_name.into(), None);
        std::mem::swap(&mut self.names, &mut names);
        if !new_name.is_empty() {
            if self.resolve(&new_name).is_some() {
                self.names = names;
                return Err("Target command name already exists");
            }
            self.names.insert(new_name.into(), Some(command));
        }
        self.given.push([old.into(), new.into()]);
        Ok(())
    }

    /// The command's own name for the one it was called by, in lower case; `None` if there is no
    /// such command.
    pub(crate) fn resolve(&self, name: &str) -> Option<&'static str> {
        match self.names.get(name) {
            Some(&command) => command,
            None => commands::own_name(name.as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_renamed_command_goes_by_its_new_name_alone() {
        let mut renames = Renames::default();
        renames.rename("FLUSHALL", "wipe").unwrap();
        assert_eq!(renames.resolve("flushall"), None);
        assert_eq!(renames.resolve("wipe"), Some("flushall"));
        renames.rename("Wipe", "").unwrap();
        assert_eq!(renames.resolve("wipe"), None);
        assert_eq!(renames.resolve("get"), Some("get"));
    }

    #[test]
    fn names_that_do_not_exist_or_are_taken_are_refused_in_redis_words() {
        let mut renames = Renames::default();
        assert_eq!(
            renames.rename("nonsense", "x"),
            Err("No such command in rename-command")
        );
        assert_eq!(
            renames.rename("get", "SET"),
            Err("Target command name already exists")
        );
        assert_eq!(renames, Renames::default());
        renames.rename("get", "get").unwrap();
        assert_eq!(renames.resolve("get"), Some("get"));
    }
}

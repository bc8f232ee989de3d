//! Glob patterns as `KEYS`, `SCAN` and `CONFIG GET` take them (`stringmatchlen`).

/// Whether `text` matches `pattern`: `*`, `?`, `[a-z]`, `[^a]`, `\` before a character that is
/// meant as it stands.
pub(super) fn matches(pattern: &[u8], text: &[u8], ignore_case: bool) -> bool {
    let matcher = Matcher { ignore_case };
    let (mut pattern, mut text) = (pattern, text);
    // Where the last `*` was, to let it swallow one character more when the rest does not match.
    // Only the last counts: what an earlier one could swallow, it can too.
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        if let [b'*', rest @ ..] = pattern {
            pattern = rest;
            retry = Some((rest, text));
            continue;
        }
        let step = match (pattern, text) {
            ([], []) => return true,
            ([], _) | (_, []) => None,
            (_, [first, rest_of_text @ ..]) => matcher
                .one(pattern, *first)
                .map(|rest_of_pattern| (rest_of_pattern, rest_of_text)),
        };
        (pattern, text) = match (step, retry) {
            (Some(rest), _) => rest,
            (None, Some((after_star, [_, swallowed_rest @ ..]))) => {
                retry = Some((after_star, swallowed_rest));
                (after_star, swallowed_rest)
            }
            (None, _) => return false,
        };
    }
}

struct Matcher {
    ignore_case: bool,
}

impl Matcher {
    /// Matches one character against the start of a pattern; what of the pattern is left.
    fn one<'a>(&self, pattern: &'a [u8], byte: u8) -> Option<&'a [u8]> {
        match pattern {
            [b'?', rest @ ..] => Some(rest),
            [b'[', rest @ ..] => self.class(rest, byte),
            [b'\\', escaped, rest @ ..] => self.same(*escaped, byte).then_some(rest),
            [first, rest @ ..] => self.same(*first, byte).then_some(rest),
            [] => None,
        }
    }

    /// The inside of brackets. Without a closing one they end with the pattern.
    fn class<'a>(&self, pattern: &'a [u8], byte: u8) -> Option<&'a [u8]> {
        let (negated, mut pattern) = match pattern {
            [b'^', rest @ ..] => (true, rest),
            _ => (false, pattern),
        };
        let mut found = false;
        let rest = loop {
            pattern = match pattern {
                // An escaped character is compared as it stands, whatever the case.
                [b'\\', escaped, rest @ ..] => {
                    found |= *escaped == byte;
                    rest
                }
                [b']', rest @ ..] => break rest,
                [first, b'-', last, rest @ ..] => {
                    found |= self.within(*first, *last, byte);
                    rest
                }
                [single, rest @ ..] => {
                    found |= self.same(*single, byte);
                    rest
                }
                [] => break pattern,
            };
        };
        (found != negated).then_some(rest)
    }

    const fn within(&self, first: u8, last: u8, byte: u8) -> bool {
        let (first, last) = if first <= last {
            (first, last)
        } else {
            (last, first)
        };
        let (first, last, byte) = (self.fold(first), self.fold(last), self.fold(byte));
        first <= byte && byte <= last
    }

    const fn same(&self, left: u8, right: u8) -> bool {
        self.fold(left) == self.fold(right)
    }

    const fn fold(&self, byte: u8) -> u8 {
        if self.ignore_case {
            byte.to_ascii_lowercase()
        } else {
            byte
        }
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_match_as_in_redis() {
        let cases: &[(&str, &str, bool)] = &[
            ("*", "", true),
            ("*", "anything", true),
            ("", "", true),
            ("", "a", false),
            ("a", "", false),
            ("h?llo", "hello", true),
            ("h?llo", "hllo", false),
            ("h*llo", "hllo", true),
            ("h*llo", "heeeello", true),
            ("h[ae]llo", "hallo", true),
            ("h[ae]llo", "hillo", false),
            ("h[^e]llo", "hallo", true),
            ("h[^e]llo", "hello", false),
            ("h[a-b]llo", "hbllo", true),
            ("h[b-a]llo", "hallo", true),
            ("h[a-b]llo", "hcllo", false),
            ("a\\*b", "a*b", true),
            ("a\\*b", "axb", false),
            ("[\\]]", "]", true),
            ("[abc", "b", true),
            ("a**b", "ab", true),
            ("*a*b*c*", "xxaxxbxxcxx", true),
            ("*a*b*c*", "xxaxxcxxbxx", false),
            ("key:*:end", "key:1:2:end", true),
            ("*\\", "a\\", true),
            ("cluster-*", "Cluster-Node", false),
        ];
        for &(pattern, text, expected) in cases {
            assert_eq!(
                matches(pattern.as_bytes(), text.as_bytes(), false),
                expected,
                "{pattern:?} against {text:?}"
            );
        }
        assert!(matches(b"CLUSTER-[N-O]*", b"cluster-node", true));
    }

    #[test]
    fn many_stars_do_not_take_for_ever() {
        let pattern = "a*".repeat(40) + "b";
        assert!(!matches(
            pattern.as_bytes(),
            "a".repeat(400).as_bytes(),
            false
        ));
    }
}

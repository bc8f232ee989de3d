//! Words of a line, as in inline commands and `redis.conf`.

/// Splits a line into words as `sdssplitargs` does: blanks part them, double quotes take
/// `\n \r \t \b \a \xhh` and any other escaped character, single quotes take `\'`. `None` if a
/// quote does not close or something follows it directly. A NUL ends the line.
#[must_use]
pub fn split_args(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let end = line.iter().position(|&byte| byte == 0);
    let mut rest = &line[..end.unwrap_or(line.len())];
    let mut words = Vec::new();
    loop {
        while let [blank, tail @ ..] = rest
            && is_space(*blank)
        {
            rest = tail;
        }
        if rest.is_empty() {
            return Some(words);
        }
        words.push(word(&mut rest)?);
    }
}

/// Takes one word, in which quoted and bare parts may follow each other.
fn word(rest: &mut &[u8]) -> Option<Vec<u8>> {
    let mut word = Vec::new();
    while let [byte, tail @ ..] = *rest {
        *rest = tail;
        match byte {
            b' ' | b'\n' | b'\r' | b'\t' => break,
            b'"' => return double_quoted(rest, &mut word).then_some(word),
            b'\'' => return single_quoted(rest, &mut word).then_some(word),
            _ => word.push(*byte),
        }
    }
    Some(word)
}

/// Reads up to the closing quote; false if there is none, or no blank after it.
fn double_quoted(rest: &mut &[u8], word: &mut Vec<u8>) -> bool {
    loop {
        match *rest {
            [b'\\', b'x', high, low, tail @ ..]
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                word.push(hex(*high) << 4 | hex(*low));
                *rest = tail;
            }
            [b'\\', escaped, tail @ ..] => {
                word.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 8,
                    b'a' => 7,
                    other => *other,
                });
                *rest = tail;
            }
            [b'"', tail @ ..] => return closed(rest, tail),
            [byte, tail @ ..] => {
                word.push(*byte);
                *rest = tail;
            }
            [] => return false,
        }
    }
}

fn single_quoted(rest: &mut &[u8], word: &mut Vec<u8>) -> bool {
    loop {
        match *rest {
            [b'\\', b'\'', tail @ ..] => {
                word.push(b'\'');
                *rest = tail;
            }
            [b'\'', tail @ ..] => return closed(rest, tail),
            [byte, tail @ ..] => {
                word.push(*byte);
                *rest = tail;
            }
            [] => return false,
        }
    }
}

fn closed<'a>(rest: &mut &'a [u8], tail: &'a [u8]) -> bool {
    *rest = tail;
    tail.first().is_none_or(|&next| is_space(next))
}

/// C's `isspace`.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}

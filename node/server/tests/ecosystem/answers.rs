//! The same commands, drawn at random, to a real server and to this project's: both must answer
//! the same, byte for byte, in RESP2 and in RESP3.
//!
//! Left out is what upstream leaves open: the order of what has none, random picks, ranges of
//! names where scores differ, and that `SORT` changes the form of a sorted set.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use crate::Test;
use crate::place::{Make, Place};
use crate::tools::Tool;

pub(crate) const TESTS: &[Test] = &[Test {
    name: "a_real_server_answers_random_commands_alike",
    needs: &[Tool::Cli, Tool::RealServer],
    run: answers_alike,
}];

const COMMANDS: usize = 20_000;

/// Where the commands grow from. Another one for a longer search: `ANSWERS_SEED`.
const SEED: u64 = 7;

/// Commands. `K` stands for a key, `L` for a sorted set whose scores are all 0, `M` for a word, `I`
/// for an integer, `S` for a score, `B` for a bound of scores, `N` for a bound of names, `E` for an
/// end of a list, `T` for a time; `+` behind one: some of them, and `IM+` pairs. Words behind `?` are left out at
/// times, as are those in brackets.
const TEMPLATES: &[&str] = &[
    "SET K M ?NX ?XX ?GET ?KEEPTTL",
    "SET K I",
    "GET K",
    "APPEND K M",
    "STRLEN K",
    "SETRANGE K I M",
    "GETRANGE K I I",
    "INCR K",
    "INCRBY K I",
    "DECRBY K I",
    "INCRBYFLOAT K S",
    "GETSET K M",
    "GETDEL K",
    "GETEX K ?PERSIST",
    "MGET K+",
    "MSET K M K M",
    "MSETNX K M K M",
    "SETNX K M",
    "LCS K K ?LEN ?IDX ?WITHMATCHLEN [MINMATCHLEN I]",
    "SETBIT K I I",
    "SETBIT K 77 1",
    "GETBIT K I",
    "BITCOUNT K [I I ?BIT]",
    "BITPOS K I [I [I ?BIT]]",
    "BITOP AND K K+",
    "BITOP XOR K K+",
    "BITOP NOT K K",
    "HSET K MM+",
    "HMSET K MM+",
    "HSET K M+",
    "HSETNX K M M",
    "HGET K M",
    "HMGET K M+",
    "HDEL K M+",
    "HLEN K",
    "HSTRLEN K M",
    "HKEYS K",
    "HVALS K",
    "HGETALL K",
    "HEXISTS K M",
    "HINCRBY K M I",
    "HINCRBYFLOAT K M S",
    "HRANDFIELD K I ?WITHVALUES",
    "HSCAN K 0 COUNT 9999",
    "LPUSH K M+",
    "RPUSH K M+",
    "LPUSHX K M+",
    "RPUSHX K M+",
    "LPOP K ?I",
    "RPOP K ?I",
    "LLEN K",
    "LINDEX K I",
    "LSET K I M",
    "LRANGE K I I",
    "LTRIM K I I",
    "LREM K I M",
    "LINSERT K BEFORE M M",
    "LINSERT K AFTER M M",
    "LPOS K M [RANK I] [COUNT I] [MAXLEN I]",
    "LMOVE K K E E",
    "RPOPLPUSH K K",
    "LMPOP 2 K K E [COUNT I]",
    "LMPOP I K E",
    "BLPOP K+ 0.001",
    "BRPOP K+ T",
    "BLMOVE K K E E 0.001",
    "BRPOPLPUSH K K 0.001",
    "BLMPOP 0.001 2 K K E [COUNT I]",
    "SADD K M+",
    "SADD K I+",
    "SREM K M+",
    "SISMEMBER K M",
    "SMISMEMBER K M+",
    "SMEMBERS K",
    "SCARD K",
    "SPOP K 9999",
    "SRANDMEMBER K I",
    "SMOVE K K M",
    "SINTER K+",
    "SINTERCARD 2 K K [LIMIT I]",
    "SINTERCARD I K",
    "SINTERSTORE K K+",
    "SUNION K+",
    "SUNIONSTORE K K+",
    "SDIFF K+",
    "SDIFFSTORE K K+",
    "SSCAN K 0 COUNT 9999",
    "ZADD K ?NX ?XX ?GT ?LT ?CH ?INCR SM+",
    "ZADD K SM+",
    "ZINCRBY K S M",
    "ZREM K M+",
    "ZCARD K",
    "ZCOUNT K B B",
    "ZSCORE K M",
    "ZMSCORE K M+",
    "ZRANK K M",
    "ZREVRANK K M",
    "ZRANGE K I I ?REV ?WITHSCORES [LIMIT I I]",
    "ZRANGE K B B BYSCORE ?REV ?WITHSCORES [LIMIT I I]",
    "ZRANGESTORE K K I I ?REV",
    "ZRANGESTORE K K B B BYSCORE ?REV [LIMIT I I]",
    "ZREVRANGE K I I ?WITHSCORES",
    "ZRANGEBYSCORE K B B ?WITHSCORES [LIMIT I I]",
    "ZREVRANGEBYSCORE K B B ?WITHSCORES [LIMIT I I]",
    "ZADD L 0 M 0 M",
    "ZLEXCOUNT L N N",
    "ZRANGE L N N BYLEX ?REV ?WITHSCORES [LIMIT I I]",
    "ZRANGEBYLEX L N N [LIMIT I I]",
    "ZREVRANGEBYLEX L N N [LIMIT I I]",
    "ZREMRANGEBYLEX L N N",
    "ZREMRANGEBYRANK K I I",
    "ZREMRANGEBYSCORE K B B",
    "ZPOPMIN K ?I",
    "ZPOPMAX K ?I",
    "ZMPOP 2 K K MIN [COUNT I]",
    "ZMPOP I K MAX",
    "BZPOPMIN K+ 0.001",
    "BZPOPMAX K+ 0.001",
    "BZMPOP 0.001 1 K MIN [COUNT I]",
    "ZUNION 2 K K [WEIGHTS S S] [AGGREGATE MAX] ?WITHSCORES",
    "ZUNION I K ?WITHSCORES",
    "ZINTER 2 K K [WEIGHTS S S] [AGGREGATE MIN] ?WITHSCORES",
    "ZDIFF 2 K K ?WITHSCORES",
    "ZUNIONSTORE K 2 K K [WEIGHTS S S]",
    "ZINTERSTORE K 2 K K [AGGREGATE SUM]",
    "ZDIFFSTORE K 2 K K",
    "ZINTERCARD 2 K K [LIMIT I]",
    "ZRANDMEMBER K I ?WITHSCORES",
    "ZSCAN K 0 COUNT 9999",
    "DEL K+",
    "DEL K",
    "DEL K",
    "UNLINK K",
    "TYPE K",
    "EXISTS K+",
    "RENAME K K",
    "RENAMENX K K",
    "COPY K K ?REPLACE",
    "OBJECT ENCODING K",
    "TOUCH K+",
    "EXPIRE K 1000",
    "PERSIST K",
    "TTL K",
    "KEYS *",
    "COMMAND GETKEYS ZUNIONSTORE K 2 K K",
    "DBSIZE",
    "FLUSHALL",
];

/// The commands whose answer has no order of its own.
const UNORDERED: &[&str] = &[
    "SMEMBERS", "SINTER", "SUNION", "SDIFF", "HKEYS", "HVALS", "KEYS", "SPOP", "SSCAN", "HSCAN",
    "ZSCAN", "HGETALL",
];

/// The commands of whose answer only the length is told.
const RANDOM: &[&str] = &["SRANDMEMBER", "HRANDFIELD", "ZRANDMEMBER"];

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }

    fn often(&mut self) -> bool {
        self.below(10) < 3
    }

    fn of(&mut self, words: &[&str]) -> String {
        words[self.below(words.len())].to_owned()
    }

    fn word(&mut self, kind: char) -> String {
        match kind {
            'K' => self.of(&["{t}a", "{t}b", "{t}c", "{t}d", "{t}e"]),
            'L' => "{t}names".to_owned(),
            'M' => match self.below(4) {
                0 => format!("m{}", self.below(200)),
                1 => "x".repeat(40 + self.below(30)),
                _ => self.of(&["a", "b", "c", "d", "1", "2", "10", "-5", "3.5", ""]),
            },
            'I' => match self.below(3) {
                0 => self.of(&[
                    "9223372036854775807",
                    "-9223372036854775808",
                    "x",
                    "1.5",
                    "",
                    "100",
                    "-7",
                ]),
                _ => (self.below(9) as i64 - 3).to_string(),
            },
            'S' => self.of(&[
                "1",
                "2",
                "3.5",
                "-1",
                "0",
                "inf",
                "-inf",
                "1e3",
                "0.1",
                "nan",
                "x",
                "1e400",
                "0x10",
                "+5",
                " 1",
                "-0",
                "2.25",
                "123456789.123456789",
                "1e-5",
                "1e20",
            ]),
            'B' => self.of(&[
                "-inf", "+inf", "1", "(1", "2", "(3.5", "x", "", "(", " 2", "inf",
            ]),
            'N' => self.of(&[
                "-", "+", "[a", "(a", "[c", "(m5", "[", "(", "x", "[m15", "++",
            ]),
            // No time that is waited for.
            'T' => self.of(&[
                "0.001", "0.002", "1e-3", "-1", "-inf", "x", "nan", "1e400", "inf",
            ]),
            'E' => self.of(&["LEFT", "RIGHT", "left", "UP"]),
            other => other.to_string(),
        }
    }

    fn command(&mut self) -> Vec<String> {
        if self.below(60) == 0 {
            return self.large();
        }
        // Not often, so that something grows.
        let choices = TEMPLATES.len() - usize::from(self.below(20) > 0);
        let template = TEMPLATES[self.below(choices)];
        let mut words = Vec::new();
        let mut left_out = 0;
        for part in template.split(' ') {
            let opens = part.starts_with('[');
            if opens && (left_out > 0 || !self.often()) {
                left_out += 1;
            }
            let closes = part.bytes().filter(|&byte| byte == b']').count();
            let part = part.trim_matches(['[', ']']);
            if left_out == 0 {
                self.add(part, &mut words);
            }
            left_out -= left_out.min(closes);
        }
        // Without a count these pick by chance.
        let picks = words[0] == "SPOP" || RANDOM.contains(&words[0].as_str());
        if self.below(80) == 0 && words.len() > 1 && !picks {
            words.pop();
        }
        words
    }

    fn add(&mut self, part: &str, words: &mut Vec<String>) {
        let part = match part.strip_prefix('?') {
            Some(_) if !self.often() => return,
            Some(part) => part,
            None => part,
        };
        let is_kind = |text: &str| text.chars().all(|kind| "KLMISBNET".contains(kind));
        if let Some(kinds) = part.strip_suffix('+').filter(|kinds| is_kind(kinds)) {
            for _ in 0..=self.below(4) {
                words.extend(kinds.chars().map(|kind| self.word(kind)));
            }
        } else if part.len() == 1 && is_kind(part) {
            words.extend(part.chars().map(|kind| self.word(kind)));
        } else {
            words.push(part.to_owned());
        }
    }

    /// A command that makes a collection larger than its compact form may be.
    fn large(&mut self) -> Vec<String> {
        let count = 100 + self.below(500);
        let (name, key) = (self.of(&["SADD", "ZADD", "HSET", "RPUSH"]), self.word('K'));
        let mut words = vec![name.clone(), key];
        for number in 0..count {
            match name.as_str() {
                "SADD" => words.push(self.below(2000).to_string()),
                "ZADD" => words.extend([self.below(50).to_string(), format!("m{number}")]),
                "HSET" => words.extend([format!("f{number}"), "v".to_owned()]),
                _ => words.push(self.word('M')),
            }
        }
        words
    }
}

/// An answer: its first line, and what follows it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Answer {
    Line(String),
    Text(Option<Vec<u8>>),
    Many(char, Vec<Answer>),
}

struct Client(BufReader<TcpStream>);

impl Client {
    fn new(port: u16, resp3: bool) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut client = Self(BufReader::new(stream));
        if resp3 {
            client.send(&["HELLO".to_owned(), "3".to_owned()]);
            client.answer();
        }
        client
    }

    fn send(&mut self, words: &[String]) {
        let mut bytes = format!("*{}\r\n", words.len());
        for word in words {
            bytes.push_str(&format!("${}\r\n{word}\r\n", word.len()));
        }
        self.0.get_mut().write_all(bytes.as_bytes()).unwrap();
    }

    fn answer(&mut self) -> Answer {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        let (kind, rest) = line.trim_end().split_at(1);
        match kind {
            "$" | "=" => match rest.parse::<usize>() {
                Ok(len) => {
                    let mut text = vec![0; len + 2];
                    self.0.read_exact(&mut text).unwrap();
                    text.truncate(len);
                    Answer::Text(Some(text))
                }
                Err(_) => Answer::Text(None),
            },
            "*" | "~" | "%" | ">" if !rest.starts_with('-') => {
                let count: usize = rest.parse().unwrap();
                let count = if kind == "%" { 2 * count } else { count };
                let parts = (0..count).map(|_| self.answer()).collect();
                Answer::Many(kind.chars().next().unwrap(), parts)
            }
            _ => Answer::Line(line),
        }
    }
}

/// What of an answer does not depend on chance.
fn settled(name: &str, answer: Answer) -> Answer {
    let Answer::Many(kind, mut parts) = answer else {
        return answer;
    };
    if RANDOM.contains(&name) {
        return Answer::Line(format!("{kind}{}", parts.len()));
    }
    if !UNORDERED.contains(&name) {
        return Answer::Many(kind, parts);
    }
    match (name, parts.get_mut(1)) {
        ("SSCAN", Some(Answer::Many(_, found))) => found.sort(),
        ("HSCAN" | "ZSCAN", Some(Answer::Many(_, found))) => sort_pairs(found),
        ("HGETALL", _) => sort_pairs(&mut parts),
        _ => parts.sort(),
    }
    Answer::Many(kind, parts)
}

fn sort_pairs(parts: &mut Vec<Answer>) {
    let mut pairs: Vec<Vec<Answer>> = parts.chunks(2).map(<[Answer]>::to_vec).collect();
    pairs.sort();
    *parts = pairs.into_iter().flatten().collect();
}

fn answers_alike(place: &mut Place) {
    place.start_alone(&[(Make::Redis, 7000), (Make::Redrill, 7001)], &[]);
    let ports = [place.port(7000), place.port(7001)];
    let mut clients = [false, true].map(|resp3| ports.map(|port| Client::new(port, resp3)));
    let seed = std::env::var("ANSWERS_SEED").ok();
    let mut random = Random(seed.and_then(|seed| seed.parse().ok()).unwrap_or(SEED));
    let mut history: Vec<String> = Vec::new();
    for _ in 0..COMMANDS {
        let words = random.command();
        let pair = &mut clients[random.below(2)];
        let [real, ours] = pair.each_mut().map(|client| {
            client.send(&words);
            settled(&words[0], client.answer())
        });
        let shown: String = words.join(" ").chars().take(200).collect();
        history.push(shown);
        assert_eq!(
            real,
            ours,
            "the real server's answer and ours to the last of these:\n{}",
            history[history.len().saturating_sub(12)..].join("\n")
        );
    }
}

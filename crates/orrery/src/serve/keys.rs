//! Keys and what each may do: a file of lines `NAME KEY [limit=NUMBER]…`.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base::command::Failure;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

use super::error::ApiError;

/// Shortest key.
const SHORTEST: usize = 16;
/// Most keys.
const MOST: usize = 10_000;
/// What limits count over.
const MINUTE: Duration = Duration::from_secs(60);

/// What a key may do; none: without a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Limits {
    requests: Option<u64>,
    tokens: Option<u64>,
    concurrent: Option<u64>,
}

/// What was done with it.
#[derive(Debug)]
struct Used {
    since: Instant,
    requests: u64,
    tokens: u64,
    running: u64,
}

#[derive(Debug)]
struct Entry {
    name: String,
    hash: [u8; 32],
    limits: Limits,
    used: Mutex<Used>,
}

/// All keys of a server. Only their SHA-256 is kept.
#[derive(Debug)]
pub struct Keys(Vec<Entry>);

impl Keys {
    /// Reads a file: a key a line as `NAME KEY`, or `NAME sha256:HEX`, then limits `requests=60` and `tokens=100000` a minute and
    /// `concurrent=4`. Lines that begin with `#` are remarks.
    ///
    /// # Errors
    /// [`Failure::Input`] with the line that cannot be used, never with a key.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let wrong = |what: String| Failure::input(format!("`{}`: {what}", path.display()));
        let text = base::files::read_to_string(path)
            .map_err(|error| wrong(format!("cannot read the keys: {error}")))?;
        #[cfg(unix)]
        if let Ok(there) = std::fs::metadata(path) {
            use std::os::unix::fs::PermissionsExt;
            if there.permissions().mode() & 0o077 != 0 {
                base::command::eprint_line(&format!(
                    "warning: others can read `{}`: protect it with `chmod 600`",
                    path.display()
                ));
            }
        }
        let keys = Self::parse(&text).map_err(wrong)?;
        Ok(keys)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let mut entries: Vec<Entry> = Vec::new();
        let lines = (1..).zip(text.lines().map(str::trim));
        for (number, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
            let at = |what: &str| format!("line {number}: {what}");
            let mut words = line.split_whitespace();
            let (Some(name), Some(key)) = (words.next(), words.next()) else {
                return Err(at("write `NAME KEY`"));
            };
            let hash = match key.strip_prefix("sha256:") {
                Some(hex) => {
                    digest(hex).ok_or_else(|| at("`sha256:` needs 64 hexadecimal digits"))?
                }
                None if key.len() < SHORTEST => {
                    return Err(at(
                        "the key has fewer than 16 characters: make one with `openssl rand -hex 24`",
                    ));
                }
                None => Sha256::digest(key).into(),
            };
            let mut limits = Limits::default();
            for word in words {
                let limit = word.split_once('=').and_then(|(name, value)| {
                    let value = value.parse().ok().filter(|value| *value > 0)?;
                    match name {
                        "requests" => limits.requests = Some(value),
                        "tokens" => limits.tokens = Some(value),
                        "concurrent" => limits.concurrent = Some(value),
                        _ => return None,
                    }
                    Some(())
                });
                limit.ok_or_else(|| {
                    at("limits are `requests=60`, `tokens=100000` (a minute) and `concurrent=4`")
                })?;
            }
            if entries.iter().any(|it| it.hash == hash || it.name == name) {
                return Err(at("this name or key is there twice"));
            }
            entries.push(Entry {
                name: name.to_owned(),
                hash,
                limits,
                used: Mutex::new(Used {
                    since: Instant::now(),
                    requests: 0,
                    tokens: 0,
                    running: 0,
                }),
            });
        }
        match entries.len() {
            0 => Err("it holds no key: write lines `NAME KEY`".into()),
            1..=MOST => Ok(Self(entries)),
            _ => Err(format!("it holds more than {MOST} keys")),
        }
    }

    /// The number of the key that was sent. Takes the same time whichever it is, and whether it is one.
    fn find(&self, sent: &str) -> Option<usize> {
        let hash: [u8; 32] = Sha256::digest(sent).into();
        let (mut found, mut at) = (Choice::from(0), 0u32);
        for (number, entry) in (0u32..).zip(&self.0) {
            let same = entry.hash.ct_eq(&hash);
            at.conditional_assign(&number, same);
            found |= same;
        }
        bool::from(found).then_some(at as usize)
    }

    /// Begins a request with the key that was sent.
    ///
    /// # Errors
    /// [`ApiError`] 401 for a key that is not known, 429 where a limit of it is reached.
    pub fn begin(&self, sent: Option<&str>) -> Result<usize, ApiError> {
        let at = sent
            .and_then(|sent| self.find(sent))
            .ok_or_else(ApiError::key)?;
        let entry = &self.0[at];
        let mut used = locked(&entry.used);
        if used.since.elapsed() >= MINUTE {
            used.since = Instant::now();
            (used.requests, used.tokens) = (0, 0);
        }
        let left = MINUTE.saturating_sub(used.since.elapsed()).as_secs() + 1;
        let reached = |limit: Option<u64>, now: u64| limit.is_some_and(|most| now >= most);
        if reached(entry.limits.concurrent, used.running) {
            return Err(ApiError::full(
                "this key has as many requests running as it may",
                1,
            ));
        }
        if reached(entry.limits.requests, used.requests) {
            return Err(ApiError::full(
                "this key sent as many requests as it may in a minute",
                left,
            ));
        }
        if reached(entry.limits.tokens, used.tokens) {
            return Err(ApiError::full(
                "this key used as many tokens as it may in a minute",
                left,
            ));
        }
        used.requests += 1;
        used.running += 1;
        Ok(at)
    }

    /// Ends a request of key number `at`.
    pub fn end(&self, at: usize) {
        if let Some(entry) = self.0.get(at) {
            let mut used = locked(&entry.used);
            used.running = used.running.saturating_sub(1);
        }
    }

    /// Counts tokens of key number `at`.
    pub fn spend(&self, at: usize, tokens: u64) {
        if let Some(entry) = self.0.get(at) {
            locked(&entry.used).tokens += tokens;
        }
    }

    /// The name of key number `at`.
    pub fn name(&self, at: usize) -> &str {
        self.0.get(at).map_or("", |entry| &entry.name)
    }
}

fn locked(used: &Mutex<Used>) -> MutexGuard<'_, Used> {
    used.lock().unwrap_or_else(PoisonError::into_inner)
}

fn digest(hex: &str) -> Option<[u8; 32]> {
    if hex.len() != 64 || !hex.is_ascii() {
        return None;
    }
    let bytes = (0..32).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).ok());
    bytes.collect::<Option<Vec<u8>>>()?.try_into().ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_key_and_its_limits() {
        let text = "# ours\nada 0123456789abcdef requests=2 concurrent=1\n\nbob sha256:00000111f7b27a781f1f1ddde5ebc2dd2b796bfc7365c9c28b548e564176929f\n";
        let keys = Keys::parse(text).unwrap();
        assert_eq!(keys.begin(None).unwrap_err().status, 401);
        assert_eq!(
            keys.begin(Some("0123456789abcdeF")).unwrap_err().status,
            401
        );
        let ada = keys.begin(Some("0123456789abcdef")).unwrap();
        assert_eq!(keys.name(ada), "ada");
        assert_eq!(
            keys.begin(Some("0123456789abcdef")).unwrap_err().status,
            429
        );
        keys.end(ada);
        keys.begin(Some("0123456789abcdef")).unwrap();
        keys.end(ada);
        assert_eq!(
            keys.begin(Some("0123456789abcdef")).unwrap_err().status,
            429
        );
    }

    #[test]
    fn wrong_lines_are_told_without_their_key() {
        for text in [
            "",
            "ada",
            "ada short",
            "ada 0123456789abcdef speed=1",
            "ada sha256:12",
            "a 0123456789abcdef\nb 0123456789abcdef",
        ] {
            let line = Keys::parse(text).unwrap_err();
            assert!(!line.contains("0123456789abcdef"), "{line}");
        }
    }
}

//! One file, from where it was broken off to its checksum.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::client::{Client, Trouble, check};
use super::{HubError, Listener};
use base::files::FileError;

/// Largest file without an announced length, in bytes.
const LARGEST: u64 = 1 << 40;

/// What a file's content must hash to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Hash {
    /// SHA-256 of the content.
    Sha256(String),
    /// Git's name of a blob: SHA-1 of a header and the content.
    Git(String),
}

impl Hash {
    /// The kind by the number of digits: 64 or 40.
    pub fn parse(digits: &str) -> Option<Self> {
        let digits = digits
            .trim()
            .trim_start_matches("W/")
            .trim_matches('"')
            .to_lowercase();
        let hexadecimal = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        match digits.len() {
            64 if hexadecimal => Some(Self::Sha256(digits)),
            40 if hexadecimal => Some(Self::Git(digits)),
            _ => None,
        }
    }

    /// The digits.
    pub fn digits(&self) -> &str {
        let (Self::Sha256(digits) | Self::Git(digits)) = self;
        digits
    }

    fn of(&self, path: &Path) -> io::Result<String> {
        let mut file = File::open(path)?;
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        match self {
            Self::Sha256(_) => {
                let mut hash = Sha256::new();
                io::copy(&mut file, &mut hash)?;
                Ok(hex(&hash.finalize()))
            }
            Self::Git(_) => {
                let mut hash = Sha1::new();
                hash.update(format!("blob {}\0", file.metadata()?.len()));
                io::copy(&mut file, &mut hash)?;
                Ok(hex(&hash.finalize()))
            }
        }
    }
}

/// A file to fetch.
pub(super) struct Wanted<'a> {
    /// Its name, for the listener and errors.
    pub name: &'a str,
    pub url: &'a str,
    pub size: Option<u64>,
    pub hash: Hash,
    /// Where it shall be.
    pub target: &'a Path,
}

impl Client<'_> {
    /// Fetches a file, or the rest of it; gives the bytes that came. The file stands under its name only when its length
    /// and hash are right; until then it is called `….incomplete`.
    pub fn fetch(&self, wanted: &Wanted<'_>, listen: &mut Listener<'_>) -> Result<u64, HubError> {
        if wanted.target.exists() {
            return Ok(0);
        }
        let path = incomplete(wanted.target);
        let failed = HubError::cache(&path);
        let mut file = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(&failed)?;
        match file.try_lock() {
            Err(fs::TryLockError::WouldBlock) => return Err(HubError::Busy { path }),
            // Some network file systems have no locks.
            Err(fs::TryLockError::Error(_)) | Ok(()) => {}
        }
        // Whoever held the lock may have finished the file.
        if wanted.target.exists() {
            let _ = fs::remove_file(&path);
            return Ok(0);
        }
        let mut came = 0;
        let mut failures = 0;
        // Tries count from the last progress: a large file may be broken off often.
        loop {
            let before = came;
            let more = self.retry(wanted.url, |_| {
                let start = came;
                let result = self.part(wanted, &mut file, &path, &mut came, listen);
                match result {
                    Err(Trouble::Passing(_)) if came > start => Ok(false),
                    other => other.map(|()| true),
                }
            })?;
            if more {
                break;
            }
            failures += 1;
            // A server that gives a byte and breaks off, for ever.
            if came - before < 1 << 20 && failures > 1000 {
                return Err(HubError::answer(
                    wanted.url,
                    "it breaks off again and again",
                ));
            }
        }
        file.sync_all().map_err(&failed)?;
        let found = wanted.hash.of(&path).map_err(&failed)?;
        if found != wanted.hash.digits() {
            let _ = fs::remove_file(&path);
            return Err(HubError::Wrong {
                file: wanted.name.to_owned(),
                what: "checksum",
                expected: wanted.hash.digits().to_owned(),
                found,
            });
        }
        fs::rename(&path, wanted.target).map_err(HubError::cache(wanted.target))?;
        Ok(came)
    }

    /// One try: asks for what is missing and writes what comes.
    fn part(
        &self,
        wanted: &Wanted<'_>,
        file: &mut File,
        path: &Path,
        came: &mut u64,
        listen: &mut Listener<'_>,
    ) -> Result<(), Trouble> {
        let disk = |source: io::Error| Trouble::Final(FileError::from_io(path, source).into());
        let mut have = file.metadata().map_err(disk)?.len();
        if wanted.size.is_some_and(|size| have > size) {
            file.set_len(0).map_err(disk)?;
            have = 0;
        }
        if wanted.size == Some(have) {
            return Ok(());
        }
        let range = format!("bytes={have}-");
        let headers: &[(&str, &str)] = match have {
            0 => &[],
            _ => &[("range", &range)],
        };
        let answer = self.get(wanted.url, headers)?;
        if answer.status() == 416 {
            // There is nothing after what we have: then it was all, or not this file.
            if wanted.size.is_none()
                && answer.header("content-range") == Some(&format!("bytes */{have}"))
            {
                return Ok(());
            }
            file.set_len(0).map_err(disk)?;
            return Err(Trouble::Passing("the server has no such range".into()));
        }
        let mut answer = check(answer)?;
        let whole = match answer.status() {
            206 => {
                let (start, whole) =
                    content_range(answer.header("content-range").unwrap_or_default())
                        .ok_or_else(|| HubError::answer(wanted.url, "it names no range"))?;
                if start != have {
                    return Err(HubError::answer(
                        wanted.url,
                        "it sends another range than was asked for",
                    )
                    .into());
                }
                whole
            }
            _ => {
                // The server sends all of it: so we begin anew.
                have = 0;
                answer
                    .header("content-length")
                    .and_then(|it| it.parse().ok())
            }
        };
        if let (Some(size), Some(whole)) = (wanted.size, whole)
            && size != whole
        {
            return Err(Trouble::Final(HubError::Wrong {
                file: wanted.name.to_owned(),
                what: "length",
                expected: size.to_string(),
                found: whole.to_string(),
            }));
        }
        file.set_len(have).map_err(disk)?;
        file.seek(SeekFrom::Start(have)).map_err(disk)?;
        let size = wanted.size.or(whole);
        let limit = size.unwrap_or(LARGEST);
        let mut body = answer.response.body_mut().as_reader();
        let mut buffer = vec![0; 1 << 16];
        listen(wanted.name, have, size);
        loop {
            self.check_stop()?;
            let read = match body.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Trouble::Passing(error.to_string())),
            };
            if have + read as u64 > limit {
                return Err(Trouble::Final(HubError::Wrong {
                    file: wanted.name.to_owned(),
                    what: "length",
                    expected: limit.to_string(),
                    found: "more".to_owned(),
                }));
            }
            file.write_all(&buffer[..read]).map_err(disk)?;
            have += read as u64;
            *came += read as u64;
            listen(wanted.name, have, size);
        }
        match size {
            Some(size) if have < size => Err(Trouble::Passing(format!(
                "it broke off after {have} of {size} bytes"
            ))),
            _ => Ok(()),
        }
    }
}

/// `bytes 5-9/10`: where it starts, and the length of the whole file where it is given.
fn content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, whole) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (start, _) = range.split_once('-')?;
    Some((start.trim().parse().ok()?, whole.trim().parse().ok()))
}

/// What a file is called until it is whole.
fn incomplete(target: &Path) -> PathBuf {
    let mut name = target.as_os_str().to_owned();
    name.push(".incomplete");
    PathBuf::from(name)
}

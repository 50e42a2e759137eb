//! How workers meet: who they are, whether they are of one run, and from which step they go on.
//!
//! Messages of a meeting, all of known length. Both sides show that they know the token by an HMAC-SHA-256 over both nonces; the
//! token itself is not sent. What follows is neither secret nor signed.
//! 1. worker: `MARK`, its nonce
//! 2. coordinator: `MARK`, its nonce, its proof
//! 3. worker: rank, count, steps done, fingerprint of the run, its proof over all of this
//! 4. coordinator, when all are there: an answer, and the length of the checkpoint that follows, 0 for none

use std::fs::File;
use std::io::{Error, ErrorKind, Read, Result as IoResult, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use super::CHECKPOINT;
use super::checkpoint::steps_done;
use super::group::{Group, lost};
use super::handshake::{Claim, introduce, number, read_by, receive};
use super::workers::{Workers, WorkersError};
use base::files::write_swiftly;

/// Introductions that go on at the same time.
const MOST_AT_ONCE: usize = 64;
/// Time between two tries.
const AGAIN: Duration = Duration::from_millis(50);

/// What worker 0 answers: all is well, or why not.
const WELCOME: u8 = 0;
const OTHER_RUN: u8 = 1;
const TAKEN: u8 = 2;
const AHEAD: u8 = 3;

/// What is trained.
pub(super) struct Errand<'a> {
    /// The run's folder.
    pub folder: &'a Path,
    /// Of configuration and task: the same for all.
    pub run: [u8; 32],
    /// Longest checkpoint, in bytes.
    pub limit: u64,
    /// Ctrl-C.
    pub stop: &'a AtomicBool,
}

impl Group {
    /// Meets the others. Where a worker does not stand where worker 0 does, worker 0's checkpoint comes into its folder; whether
    /// that happened is reported.
    pub fn meet(workers: &Workers, errand: &Errand<'_>) -> Result<(Self, bool), WorkersError> {
        let until = Instant::now() + workers.patience();
        let steps = steps_done(errand.folder).unwrap_or(0);
        let (links, received) = match workers.rank() {
            0 => (gather(workers, errand, steps, until)?, false),
            _ => {
                let (link, received) = come(workers, errand, steps, until)?;
                (vec![link], received)
            }
        };
        for link in &links {
            let set = link
                .set_nodelay(true)
                .and_then(|()| link.set_read_timeout(Some(workers.patience())))
                .and_then(|()| link.set_write_timeout(Some(workers.patience())));
            set.map_err(|error| alone(workers, error))?;
        }
        let group = Self {
            rank: workers.rank(),
            count: workers.count(),
            links,
            turn: 0,
        };
        Ok((group, received))
    }
}

fn alone(workers: &Workers, reason: impl ToString) -> WorkersError {
    WorkersError::Alone {
        rank: workers.rank(),
        place: workers.coordinator(),
        reason: reason.to_string(),
    }
}

/// Worker 0: waits until all others are there.
fn gather(
    workers: &Workers,
    errand: &Errand<'_>,
    steps: u64,
    until: Instant,
) -> Result<Vec<TcpStream>, WorkersError> {
    let failed = |error: Error| alone(workers, error);
    let listener = TcpListener::bind(workers.coordinator()).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let ((sender, introduced), mut waiting) = (channel(), 0);
    let mut came: Vec<Option<(TcpStream, u64)>> = (1..workers.count()).map(|_| None).collect();
    while let Some(missing) = came.iter().position(Option::is_none) {
        if errand.stop.load(Ordering::Relaxed) {
            return Err(alone(workers, "stopped"));
        }
        if Instant::now() > until {
            return Err(alone(
                workers,
                format!("worker {} did not come", missing + 1),
            ));
        }
        while waiting < MOST_AT_ONCE
            && let Ok((link, _)) = listener.accept()
        {
            let (workers, sender) = (workers.clone(), sender.clone());
            // Nobody listens any more where all have come before it has said who it is.
            let hear = move || drop(sender.send(receive(&workers, link)));
            waiting += usize::from(std::thread::Builder::new().spawn(hear).is_ok());
        }
        let Ok(said) = introduced.recv_timeout(AGAIN) else {
            continue;
        };
        waiting -= 1;
        // Who does not know the token, or says nothing, is not a worker: the others are waited for.
        let Ok((mut link, claim)) = said else {
            continue;
        };
        let (rank, count, there) = (number(&claim, 0), number(&claim, 8), number(&claim, 16));
        let seat = usize::try_from(rank)
            .ok()
            .and_then(|rank| came.get_mut(rank.wrapping_sub(1)));
        let other = count != workers.count() as u64 || claim[24..] != errand.run;
        let answer = match &seat {
            _ if other => OTHER_RUN,
            None | Some(Some(_)) => TAKEN,
            Some(None) if steps == 0 && there > 0 => AHEAD,
            Some(None) => WELCOME,
        };
        match seat {
            Some(seat) if answer == WELCOME => *seat = Some((link, there)),
            _ => {
                // It learns why; whether it still listens does not matter.
                let _ = say(&mut link, answer, 0);
                return Err(WorkersError::Apart(reason(answer, rank)));
            }
        }
    }
    let mut links = Vec::with_capacity(came.len());
    for (at, (mut link, there)) in came.into_iter().flatten().enumerate() {
        let failed = lost(at + 1);
        match there == steps {
            true => say(&mut link, WELCOME, 0).map_err(failed)?,
            false => {
                let path = errand.folder.join(CHECKPOINT);
                let mut file = File::open(&path).map_err(|error| handing(&path, error))?;
                let size = file
                    .metadata()
                    .map_err(|error| handing(&path, error))?
                    .len();
                say(&mut link, WELCOME, size).map_err(&failed)?;
                std::io::copy(&mut file, &mut link).map_err(failed)?;
            }
        }
        links.push(link);
    }
    Ok(links)
}

/// Another worker: goes to worker 0.
fn come(
    workers: &Workers,
    errand: &Errand<'_>,
    steps: u64,
    until: Instant,
) -> Result<(TcpStream, bool), WorkersError> {
    let mut link = loop {
        let left = until.saturating_duration_since(Instant::now());
        match TcpStream::connect_timeout(&workers.coordinator(), left.max(AGAIN)) {
            Ok(link) => break link,
            Err(error) if left.is_zero() => return Err(alone(workers, error)),
            Err(_) if errand.stop.load(Ordering::Relaxed) => {
                return Err(alone(workers, "stopped"));
            }
            Err(_) => std::thread::sleep(AGAIN),
        }
    };
    let mut claim: Claim = [0; _];
    claim[..8].copy_from_slice(&(workers.rank() as u64).to_le_bytes());
    claim[8..16].copy_from_slice(&(workers.count() as u64).to_le_bytes());
    claim[16..24].copy_from_slice(&steps.to_le_bytes());
    claim[24..].copy_from_slice(&errand.run);
    introduce(workers, &mut link, &claim, until).map_err(|error| alone(workers, error))?;
    let (mut answer, mut size) = ([0; 1], [0; 8]);
    let heard =
        read_by(&mut link, &mut answer, until).and_then(|()| read_by(&mut link, &mut size, until));
    heard.map_err(|error| alone(workers, error))?;
    if answer[0] != WELCOME {
        return Err(WorkersError::Apart(reason(
            answer[0],
            workers.rank() as u64,
        )));
    }
    let size = u64::from_le_bytes(size);
    if size == 0 {
        return Ok((link, false));
    }
    let path = errand.folder.join(CHECKPOINT);
    if size > errand.limit {
        return Err(handing(
            &path,
            format!("{size} bytes are too many for this model"),
        ));
    }
    let timed = link.set_read_timeout(Some(workers.patience()));
    timed.map_err(|error| alone(workers, error))?;
    write_swiftly(&path, |out| {
        match std::io::copy(&mut (&mut link).take(size), out)? == size {
            true => Ok(()),
            false => Err(ErrorKind::UnexpectedEof.into()),
        }
    })
    .map_err(|error| handing(&path, error))?;
    Ok((link, true))
}

fn handing(path: &Path, reason: impl ToString) -> WorkersError {
    WorkersError::Checkpoint {
        path: path.to_owned(),
        reason: reason.to_string(),
    }
}

fn reason(answer: u8, rank: u64) -> String {
    match answer {
        OTHER_RUN => {
            format!("worker {rank} has another configuration or number of workers than worker 0")
        }
        TAKEN => format!("there is a worker {rank} already: give each a rank of its own"),
        AHEAD => format!(
            "worker {rank}'s folder holds a run that worker 0's does not: give it another `--out`, or make it worker 0"
        ),
        _ => "worker 0 gave no answer that is known: run the same version everywhere".into(),
    }
}

fn say(link: &mut TcpStream, answer: u8, size: u64) -> IoResult<()> {
    link.write_all(&[answer])?;
    link.write_all(&size.to_le_bytes())
}

//! How two workers show each other that they know the token, and what one of them claims to be.

use std::io::{Error, ErrorKind, Read, Result as IoResult, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::workers::Workers;

const MARK: [u8; 8] = *b"orrery-w";
/// Time that a stranger gets to say who it is.
const MANNERS: Duration = Duration::from_secs(5);

type Nonce = [u8; 32];
/// Rank, count, steps done, fingerprint of the run.
pub(super) type Claim = [u8; 8 + 8 + 8 + 32];

/// A number at a place of a claim.
pub(super) fn number(claim: &Claim, at: usize) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&claim[at..at + 8]);
    u64::from_le_bytes(bytes)
}

/// Worker 0's side of an introduction.
pub(super) fn receive(workers: &Workers, mut link: TcpStream) -> IoResult<(TcpStream, Claim)> {
    let until = Instant::now() + MANNERS;
    link.set_nonblocking(false)?;
    link.set_write_timeout(Some(MANNERS))?;
    let (mut mark, mut theirs, mut claim, mut proof) = ([0; 8], [0; 32], [0; _], [0; 32]);
    read_by(&mut link, &mut mark, until)?;
    read_by(&mut link, &mut theirs, until)?;
    if mark != MARK {
        return Err(ErrorKind::InvalidData.into());
    }
    let ours = nonce()?;
    let shown = seal(workers, &[b"0", &theirs, &ours])?
        .finalize()
        .into_bytes();
    link.write_all(&[&MARK[..], &ours, &shown].concat())?;
    read_by(&mut link, &mut claim, until)?;
    read_by(&mut link, &mut proof, until)?;
    let right = seal(workers, &[b"1", &theirs, &ours, &claim])?.verify_slice(&proof);
    right.map_err(|_| Error::from(ErrorKind::PermissionDenied))?;
    Ok((link, claim))
}

/// Another worker's side of an introduction.
pub(super) fn introduce(
    workers: &Workers,
    link: &mut TcpStream,
    claim: &Claim,
    until: Instant,
) -> IoResult<()> {
    let ours = nonce()?;
    link.set_write_timeout(Some(MANNERS))?;
    link.write_all(&[&MARK[..], &ours].concat())?;
    let (mut mark, mut theirs, mut proof) = ([0; 8], [0; 32], [0; 32]);
    read_by(link, &mut mark, until)?;
    read_by(link, &mut theirs, until)?;
    read_by(link, &mut proof, until)?;
    let right = seal(workers, &[b"0", &ours, &theirs])?.verify_slice(&proof);
    if mark != MARK || right.is_err() {
        return Err(Error::other("who answers there does not know the token"));
    }
    let shown = seal(workers, &[b"1", &ours, &theirs, claim])?
        .finalize()
        .into_bytes();
    link.write_all(&[&claim[..], &shown].concat())
}

fn nonce() -> IoResult<Nonce> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(Error::other)?;
    Ok(bytes)
}

fn seal(workers: &Workers, parts: &[&[u8]]) -> IoResult<Hmac<Sha256>> {
    let mut seal = Hmac::<Sha256>::new_from_slice(workers.token()).map_err(Error::other)?;
    parts.iter().for_each(|part| seal.update(part));
    Ok(seal)
}

/// Reads all of `bytes` until a moment, however slowly they come.
pub(super) fn read_by(link: &mut TcpStream, bytes: &mut [u8], until: Instant) -> IoResult<()> {
    let mut done = 0;
    while done < bytes.len() {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        link.set_read_timeout(Some(left))?;
        match link.read(&mut bytes[done..])? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            count => done += count,
        }
    }
    Ok(())
}

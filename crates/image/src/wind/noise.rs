//! Standard normal noise from a 256-bit seed, the same bits on every platform.

use std::io::Read;
use std::path::Path;

use kernels::{GAUSSIAN_BLOCK, Level, box_muller};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// Memory that is used again from noise to noise.
#[derive(Clone, Debug, Default)]
pub(super) struct Words {
    bytes: Vec<u8>,
    words: Vec<u32>,
}

/// Fills `out`: the ChaCha20 key stream of `seed` (nonce 0) as little-endian words through [`box_muller`].
pub(super) fn normals(seed: [u8; 32], out: &mut [f32], scratch: &mut Words) {
    let count = out.len().next_multiple_of(GAUSSIAN_BLOCK);
    scratch.bytes.resize(4 * count, 0);
    ChaCha20Rng::from_seed(seed).fill_bytes(&mut scratch.bytes);
    scratch.words.clear();
    let words = scratch.bytes.as_chunks::<4>().0.iter();
    scratch
        .words
        .extend(words.map(|bytes| u32::from_le_bytes(*bytes)));
    // The sizes agree; there is nothing to report.
    let _ = box_muller(Level::best(), &scratch.words, out);
}

/// The bytes of a file of at most `most` bytes; else what is wrong and what to do.
pub(super) fn read_small(path: &Path, most: u64) -> Result<Vec<u8>, String> {
    let file = std::fs::File::open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => "it is not there: check the name".to_owned(),
        std::io::ErrorKind::PermissionDenied => "no permission to read it".to_owned(),
        _ => error.to_string(),
    })?;
    if file.metadata().is_ok_and(|there| there.is_dir()) {
        return Err("it is a folder: name a file".into());
    }
    let mut bytes = Vec::new();
    file.take(most + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| error.to_string())?;
    match bytes.len() as u64 > most {
        true => Err(format!("it has more than {most} bytes")),
        false => Ok(bytes),
    }
}

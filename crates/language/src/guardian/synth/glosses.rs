//! Words and what they mean: a pack of WordNet 3.0 nouns (`assets/wordnet-3.0`).

use engine::SystemError;

static PACK: &[u8] = include_bytes!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../assets/wordnet-3.0/glosses.txt.zlib"
));
/// Largest pack that is unpacked, in bytes.
const LARGEST: usize = 4 << 20;

/// A noun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gloss {
    /// The word.
    pub word: String,
    /// WordNet's lexicographer file: `animal`, `food`, `artifact`…
    pub topic: String,
    /// Offset of its first hypernym: siblings share it.
    pub parent: String,
    /// What it means.
    pub text: String,
}

/// All nouns of the pack.
///
/// # Errors
/// When the pack is broken.
pub fn glosses() -> Result<Vec<Gloss>, SystemError> {
    let broken = || SystemError::Input("the pack of glosses is broken".into());
    let bytes = miniz_oxide::inflate::decompress_to_vec_zlib_with_limit(PACK, LARGEST)
        .map_err(|_| broken())?;
    let text = String::from_utf8(bytes).map_err(|_| broken())?;
    let gloss = |line: &str| {
        let mut parts = line.splitn(4, '\t').map(str::to_owned);
        Some(Gloss {
            word: parts.next()?,
            topic: parts.next()?,
            parent: parts.next()?,
            text: parts.next()?,
        })
    };
    text.lines()
        .map(|line| gloss(line).ok_or_else(broken))
        .collect()
}

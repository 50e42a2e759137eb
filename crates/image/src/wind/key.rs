//! The secret key: a salt and two numbers. Noises and group marks follow from it.

use std::fmt;
use std::path::Path;

use base::files::write_new_secret;
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::{Pattern, Shape, SystemError, TreeRing, noise, torch};

/// Most noises of a key.
pub const MAX_NOISES: u64 = 1 << 32;
/// Most bytes of a key file.
const MAX_BYTES: u64 = 1 << 16;
const FORMAT: &str = "orrery-wind-key";

/// How noises follow from the salt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Generator {
    /// HMAC-SHA-256, ChaCha20 and Box–Muller in f64: 256-bit seeds, the same bits on every platform.
    #[default]
    Chacha20,
    /// The official fast variant: SHA-256 to a 32-bit seed of PyTorch's CPU generator. For interoperability.
    TorchCompat,
}

/// The secret of a service: who holds it makes and finds its marks.
#[derive(Clone)]
pub struct Key {
    salt: Vec<u8>,
    noises: u64,
    groups: usize,
    generator: Generator,
}

/// As stored.
#[derive(Deserialize, Serialize)]
struct Stored {
    format: String,
    version: u32,
    salt: String,
    noises: u64,
    groups: usize,
    #[serde(default)]
    generator: Generator,
    check: String,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The salt is not shown.
        write!(f, "Key({} noises, {} groups)", self.noises, self.groups)
    }
}

impl Key {
    /// A key with 32 random bytes of the operating system as its salt.
    ///
    /// # Errors
    /// [`SystemError::Input`] as [`Key::from_salt`]; [`SystemError::Failed`].
    pub fn generate(noises: u64, groups: usize) -> Result<Self, SystemError> {
        let mut salt = vec![0; 32];
        getrandom::fill(&mut salt).map_err(|error| {
            SystemError::Failed(format!("the system gives no random bytes: {error}"))
        })?;
        Self::from_salt(salt, noises, groups, Generator::Chacha20)
    }

    /// A key from a salt that is known already. Noise `i` of `noises` belongs to group `i mod groups`.
    ///
    /// # Errors
    /// [`SystemError::Input`] for an empty salt, no noises or more than [`MAX_NOISES`], and groups that are none or more
    /// than noises.
    pub fn from_salt(
        salt: Vec<u8>,
        noises: u64,
        groups: usize,
        generator: Generator,
    ) -> Result<Self, SystemError> {
        let refuse = |line: String| Err(SystemError::Input(line));
        if salt.is_empty() || salt.len() > 1024 {
            return refuse(format!("a salt of {} bytes: give 1 to 1024", salt.len()));
        }
        if !(1..=MAX_NOISES).contains(&noises) {
            return refuse(format!("{noises} noises: give 1 to {MAX_NOISES}"));
        }
        if groups == 0 || groups as u64 > noises {
            return refuse(format!(
                "{groups} groups of {noises} noises: give at least one group, and no more groups than noises"
            ));
        }
        Ok(Self {
            salt,
            noises,
            groups,
            generator,
        })
    }

    /// Reads a key file.
    ///
    /// # Errors
    /// [`SystemError::Input`] when it cannot be read, is not a key of a known version, or its salt was changed.
    pub fn read(path: &Path) -> Result<Self, SystemError> {
        let refuse = |reason: String| unusable(path, &reason);
        let bytes = noise::read_small(path, MAX_BYTES).map_err(refuse)?;
        // The parser's own words may hold a piece of the file.
        let stored: Stored = serde_json::from_slice(&bytes).map_err(|error| {
            refuse(format!(
                "it is not a key file (line {}, column {}): make one with `orrery wind keygen`",
                error.line(),
                error.column()
            ))
        })?;
        if stored.format != FORMAT || stored.version != 1 {
            return Err(refuse(
                "it is not a key of version 1: make one with `orrery wind keygen`".into(),
            ));
        }
        let salt = from_hex(&stored.salt)
            .ok_or_else(|| refuse("its salt is damaged: take the file from a backup".into()))?;
        let key = Self::from_salt(salt, stored.noises, stored.groups, stored.generator)
            .map_err(|error| refuse(error.to_string()))?;
        if key.id() != stored.check {
            return Err(refuse(
                "salt, numbers and check do not agree, so it was changed: take the file from a backup"
                    .into(),
            ));
        }
        Ok(key)
    }

    /// Writes a key file that only its owner can read. What is there already stays.
    ///
    /// # Errors
    /// [`SystemError::Input`].
    pub fn write(&self, path: &Path) -> Result<(), SystemError> {
        let refuse = |reason: String| unusable(path, &reason);
        let stored = Stored {
            format: FORMAT.into(),
            version: 1,
            salt: hex(&self.salt),
            noises: self.noises,
            groups: self.groups,
            generator: self.generator,
            check: self.id(),
        };
        let text = serde_json::to_string_pretty(&stored).map_err(|e| refuse(e.to_string()))?;
        match write_new_secret(path, format!("{text}\n").as_bytes())? {
            true => Ok(()),
            false => Err(refuse(
                "it is there already, and a lost key cannot be made again: choose another name"
                    .into(),
            )),
        }
    }

    /// The same with another generator.
    pub fn with_generator(self, generator: Generator) -> Self {
        Self { generator, ..self }
    }

    /// A random index.
    ///
    /// # Errors
    /// [`SystemError::Failed`].
    pub fn draw(&self) -> Result<u64, SystemError> {
        random_below(self.noises)
    }

    /// # Errors
    /// [`SystemError::Input`] where the key has no noise `index`.
    pub fn has(&self, index: u64) -> Result<(), SystemError> {
        match index < self.noises {
            true => Ok(()),
            false => Err(SystemError::Input(format!(
                "noise {index} of {}: give an index below that",
                self.noises
            ))),
        }
    }

    /// Number of noises.
    pub fn noises(&self) -> u64 {
        self.noises
    }

    /// Number of groups.
    pub fn groups(&self) -> usize {
        self.groups
    }

    /// The group of a noise.
    pub fn group_of(&self, index: u64) -> usize {
        (index % self.groups as u64) as usize
    }

    /// A public name of this key, 16 hexadecimal digits that say nothing of the salt.
    pub fn id(&self) -> String {
        let numbers = [self.noises, self.groups as u64].map(u64::to_le_bytes);
        let mac = self.mac(&[b"orrery-wind-v1 id", &numbers[0], &numbers[1]]);
        hex(&mac[..8])
    }

    /// HMAC-SHA-256 under the salt of the parts, one after the other.
    pub(super) fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        // A key of any length is allowed; the error cannot occur.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.salt) else {
            return [0; 32];
        };
        parts.iter().for_each(|part| mac.update(part));
        mac.finalize().into_bytes().into()
    }

    /// Noise `index`, of shape `[channels, height, width]`, before its group's mark.
    ///
    /// # Errors
    /// [`SystemError::Input`] where the key has no such noise.
    pub fn noise(&self, index: u64, shape: Shape) -> Result<Vec<f32>, SystemError> {
        self.has(index)?;
        let mut values = vec![0.0; shape.len()];
        self.fill(index, shape, &mut values, &mut noise::Words::default());
        Ok(values)
    }

    /// [`Key::noise`] into `out`, for loops.
    pub(super) fn fill(&self, index: u64, shape: Shape, out: &mut [f32], words: &mut noise::Words) {
        match self.generator {
            Generator::Chacha20 => {
                let [c, h, w] = shape.sides().map(|side| (side as u32).to_le_bytes());
                let seed = self.mac(&[b"orrery-wind-v1", &index.to_le_bytes(), &c, &h, &w]);
                noise::normals(seed, out, words);
            }
            Generator::TorchCompat => {
                let seed = torch::official_seed(index, &self.salt, self.groups as u64, 1);
                out.copy_from_slice(&torch::Generator::new(seed).randn(out.len()));
            }
        }
    }

    /// Key `which` of the Tree-Ring baseline: rings of radius 10 of 64 in the last channel, from a noise of this key.
    ///
    /// # Errors
    /// [`SystemError::Input`] where a disc does not fit.
    pub fn tree_ring(&self, which: usize, shape: Shape) -> Result<TreeRing, SystemError> {
        let [w, len] = [which, shape.len()].map(|value| (value as u64).to_le_bytes());
        let seed = self.mac(&[b"orrery-wind-tree-ring-v1", &w, &len]);
        let mut values = vec![0.0; shape.len()];
        noise::normals(seed, &mut values, &mut noise::Words::default());
        let radius = (10 * shape.height.min(shape.width)).div_ceil(64);
        let channel = Some(shape.channels - 1);
        TreeRing::new(&values, shape, channel, radius, Pattern::Ring, true)
    }

    /// The noise image `[height, width]` in the mark of group `group`.
    pub(super) fn group_noise(&self, group: usize, height: usize, width: usize) -> Vec<f32> {
        let [g, h, w] = [group, height, width].map(|value| (value as u64).to_le_bytes());
        let seed = self.mac(&[b"orrery-wind-group-v1", &g, &h, &w]);
        let mut values = vec![0.0; height * width];
        noise::normals(seed, &mut values, &mut noise::Words::default());
        values
    }
}

/// A random number below `count`, from the operating system.
pub(super) fn random_below(count: u64) -> Result<u64, SystemError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| {
        SystemError::Failed(format!("the system gives no random bytes: {error}"))
    })?;
    // 2¹²⁸ is so much larger that the remainder is even enough.
    Ok((u128::from_le_bytes(bytes) % u128::from(count.max(1))) as u64)
}

/// Lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    (0..text.len() / 2)
        .map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok())
        .collect()
}

/// Why a key file is not used.
pub(super) fn unusable(path: &Path, reason: &str) -> SystemError {
    SystemError::Input(format!("cannot use the key `{}`: {reason}", path.display()))
}

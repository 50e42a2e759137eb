//! `orrery wind keygen` and `embed`.

use std::path::PathBuf;

use base::command::{Context, Failure, Output, any_seed};
use base::rng::Rng;
use base::tensor_file::{Precision, TensorFile};
use clap::Args;
use serde_json::json;

use super::options::{Index, Method, Secret, index};
use crate::wind::key::unusable;
use crate::wind::{Detector, Generator, Key, Shape};

/// Options of `keygen`.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  orrery wind keygen --out key.json

Only you can read the file. Keep a copy: without it no mark is found, and it cannot be made again. Who has it can forge your mark.")]
pub struct Keygen {
    /// The file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Noises, the generations that can be told apart
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    noises: u64,
    /// Groups that marks tell apart; latents of 64×64 allow 2048, of 32×32 32
    #[arg(long, value_name = "M", default_value_t = 2048)]
    groups: usize,
    /// How noises follow from the salt; `torch-compat` as in the official fast script
    #[arg(long, value_name = "PRNG", default_value = "chacha20")]
    prng: Generator,
    /// Take the salt from this file, its text without the last line break, in place of the system's random bytes
    #[arg(long, value_name = "FILE")]
    salt_from: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
}

impl Keygen {
    pub(super) fn run(&self, _: Context) -> Result<(), Failure> {
        let key = match &self.salt_from {
            None => Key::generate(self.noises, self.groups)?.with_generator(self.prng),
            Some(path) => {
                let refuse = |reason: String| unusable(path, &reason);
                let mut salt = crate::wind::noise::read_small(path, 1024).map_err(refuse)?;
                while salt.last().is_some_and(u8::is_ascii_whitespace) {
                    salt.pop();
                }
                Key::from_salt(salt, self.noises, self.groups, self.prng)?
            }
        };
        key.write(&self.out)?;
        self.output.print(
            &json!({"key": base::files::shown(&self.out), "id": key.id(), "noises": key.noises(), "groups": key.groups()}),
            &format!(
                "{}: key {}, {} noises in {} groups",
                self.out.display(),
                key.id(),
                key.noises(),
                key.groups()
            ),
        )
    }
}

/// Options of `embed`.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  orrery wind embed --key key.json --index 4711 --out z.safetensors

The tensor `latents` is standard normal but for its mark: give it to any sampler as its initial latents.")]
pub struct Embed {
    #[command(flatten)]
    secret: Secret,
    /// Which noise, or `auto` for a random one; of ringid and tree-ring which key
    #[arg(long, value_name = "I", default_value = "auto", value_parser = index)]
    index: Index,
    /// channels,height,width; 4,64,64 are pictures of 512×512 in Stable Diffusion
    #[arg(long, value_name = "C,H,W", default_value = "4,64,64")]
    shape: Shape,
    /// The file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Which kind of mark
    #[arg(long, value_name = "METHOD", default_value = "wind")]
    method: Method,
    /// Seed of the random noise of ringid and tree-ring
    #[arg(long, value_name = "SEED")]
    seed: Option<u64>,
    #[command(flatten)]
    output: Output,
}

impl Embed {
    pub(super) fn run(&self, _: Context) -> Result<(), Failure> {
        let key = self.secret.open()?;
        let detector = Detector::new(key.clone(), self.shape)?;
        let (index, latents) = match self.method {
            Method::Wind => {
                let index = self.index.of(&key, None)?;
                (index, detector.initial(index)?)
            }
            method => {
                let mut rng = Rng::new(self.seed.unwrap_or_else(any_seed));
                let which = match self.index {
                    Index::Given(which) => which,
                    Index::Auto => rng.below(key.groups()) as u64,
                };
                if which >= key.groups() as u64 {
                    return Err(Failure::input(format!(
                        "key {which}: this method has as many keys as there are groups, {}",
                        key.groups()
                    )));
                }
                let mut latents = rng.child("noise").normals(self.shape.len());
                match method {
                    Method::TreeRing => {
                        key.tree_ring(which as usize, self.shape)?
                            .embed(&mut latents);
                    }
                    _ => detector.mark_group(&mut latents, which as usize)?,
                }
                (which, latents)
            }
        };
        let mut file = TensorFile::new();
        file.note("key", key.id());
        file.floats("latents", &self.shape.sides(), &latents, Precision::F32)?;
        file.write(&self.out)?;
        let group = key.group_of(index);
        self.output.print(
            &json!({"out": self.out.display().to_string(), "key": key.id(), "index": index, "group": group}),
            &format!(
                "{}: noise {index}, group {group}",
                self.out.display()
            ),
        )
    }
}

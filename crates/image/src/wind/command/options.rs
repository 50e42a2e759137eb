//! Options that several verbs have.

use std::path::{Path, PathBuf};

use base::command::{Context, Failure, eprint_line, use_calling_thread_as_worker};
use base::tensor_file::Weights;
use clap::{Args, ValueEnum};
use engine::models::stable_diffusion::OpenOptions;

use crate::base_model::BaseModel;
use crate::wind::{IdealWorld, Key, LatentModel, Ledger, Shape, StableDiffusionModel, SystemError};

/// Which kind of mark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Method {
    /// Noise and group mark follow from the key; names the generation
    #[default]
    Wind,
    /// The group mark on random noise; names one of the groups (RingID)
    Ringid,
    /// One disc in the spectrum of random noise; names one of the groups (Tree-Ring)
    TreeRing,
}

/// The secret.
#[derive(Args, Debug)]
pub(super) struct Secret {
    /// The key file of `orrery wind keygen`
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
}

impl Secret {
    pub(super) fn open(&self) -> Result<Key, Failure> {
        #[cfg(unix)]
        if let Ok(there) = std::fs::metadata(&self.key) {
            use std::os::unix::fs::PermissionsExt;
            if there.is_file() && there.permissions().mode() & 0o077 != 0 {
                eprint_line(&format!(
                    "warning: others can read `{}`: protect it with `chmod 600`",
                    self.key.display()
                ));
            }
        }
        Ok(Key::read(&self.key)?)
    }
}

/// The diffusion model.
#[derive(Args, Debug)]
pub(super) struct Model {
    /// A Stable Diffusion model: `embedded`, a diffusers folder, a `.safetensors` or `.ckpt` file, or OWNER/NAME in the cache of
    /// the hub; or `ideal`, a world of 32×32 pictures whose denoiser has a closed form
    #[arg(long, value_name = "MODEL", default_value = "ideal", display_order = 1)]
    model: String,
    /// Steps of generation; detection takes as many [default: 50]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    steps: Option<u16>,
    /// Guidance of generation; detection needs none [default: what the model's files say, else 7.5]
    #[arg(long, value_name = "SCALE", value_parser = |text: &str| base::command::number_in(text, 1.0, 100.0))]
    guidance: Option<f32>,
    /// Side of the pictures, in pixels; the same for detection [default: the model's]
    #[arg(long, value_name = "PIXELS")]
    size: Option<usize>,
    /// The tokenizer's folder, for a single file of weights
    #[arg(long, value_name = "FOLDER")]
    tokenizer: Option<PathBuf>,
    /// Device: cpu; cuda, metal, rocm or wgpu in a program built with that feature
    #[arg(long, default_value = "cpu")]
    device: String,
}

impl Model {
    pub(super) fn open(
        &self,
        context: Context,
        quiet: bool,
    ) -> Result<Box<dyn LatentModel>, Failure> {
        if self.model == "ideal" {
            self.check_ideal()?;
            return Ok(Box::new(IdealWorld::usual()));
        }
        let place = BaseModel::find(&self.model).map_err(|failure| match failure {
            Failure::Input(line) => Failure::Input(format!("{line}; or `ideal`")),
            failure => failure,
        })?;
        use_calling_thread_as_worker();
        let options = OpenOptions {
            tokenizer: self.tokenizer.clone(),
            ..OpenOptions::default()
        };
        let model = place.open(&options, &engine::device(&self.device)?)?;
        let guidance = self.guidance.map(f64::from);
        let drawing = (self.steps.map_or(50, usize::from), guidance, self.size);
        let model = StableDiffusionModel::new(model, drawing, (context, quiet))?;
        Ok(Box::new(model))
    }

    /// Whether nothing was given that `ideal` does not have.
    fn check_ideal(&self) -> Result<(), Failure> {
        let given = [
            ("--steps", self.steps.is_some()),
            ("--guidance", self.guidance.is_some()),
            ("--size", self.size.is_some()),
            ("--tokenizer", self.tokenizer.is_some()),
            ("--device", self.device != "cpu"),
        ];
        match given.into_iter().find(|(_, given)| *given) {
            None => Ok(()),
            Some((option, _)) => Err(Failure::input(format!(
                "`{option}` does nothing with the model `ideal`: leave it out, or name a Stable Diffusion model, such as `--model embedded`"
            ))),
        }
    }
}

/// `auto` or a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Index {
    /// A random one, unused where a ledger is given.
    Auto,
    /// This one.
    Given(u64),
}

pub(super) fn index(text: &str) -> Result<Index, String> {
    match text {
        "auto" => Ok(Index::Auto),
        text => text
            .parse()
            .map(Index::Given)
            .map_err(|_| "give `auto` or a whole number".into()),
    }
}

impl Index {
    /// The index to use.
    pub(super) fn of(self, key: &Key, ledger: Option<&Ledger>) -> Result<u64, SystemError> {
        match (self, ledger) {
            (Self::Given(index), _) => {
                key.has(index)?;
                Ok(index)
            }
            (Self::Auto, Some(ledger)) => ledger.draw(),
            (Self::Auto, None) => key.draw(),
        }
    }
}

/// `0,74,76`, or `0:360:4` for every fourth below 360.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Numbers(pub(super) Vec<f32>);

pub(super) fn numbers(text: &str) -> Result<Numbers, String> {
    let fix = || "give numbers such as 0,75, or a range such as 0:360:4".to_owned();
    let parse = |part: &str| match part.trim().parse::<f32>() {
        Ok(number) if number.is_finite() && number.abs() < 1e6 => Ok(number),
        _ => Err(fix()),
    };
    if !text.contains(':') {
        return Ok(Numbers(
            text.split(',').map(parse).collect::<Result<_, _>>()?,
        ));
    }
    let parts = text
        .split(':')
        .map(parse)
        .collect::<Result<Vec<f32>, _>>()?;
    let [from, to, step] = parts[..] else {
        return Err(fix());
    };
    let count = ((to - from) / step).ceil();
    match step > 0.0 && (1.0..=4096.0).contains(&count) {
        true => Ok(Numbers(
            (0..count as usize)
                .map(|at| from + at as f32 * step)
                .collect(),
        )),
        false => Err("give a range of 1 to 4096 steps, such as 0:360:4".into()),
    }
}

/// Latents from a file that holds one tensor of floats, or one called `latents`.
pub(super) fn read_latents(path: &Path) -> Result<(Vec<f32>, Shape), Failure> {
    let file = Weights::open(path)?;
    let names: Vec<&str> = file.names().collect();
    let name = match names[..] {
        [one] => one,
        _ if file.contains("latents") => "latents",
        _ => {
            return Err(Failure::input(format!(
                "`{}` holds {} tensors and none called `latents`: give a file with one",
                path.display(),
                names.len()
            )));
        }
    };
    let sides = file.shape(name).unwrap_or_default();
    let sides = match sides {
        [1, rest @ ..] if rest.len() == 3 => rest,
        sides => sides,
    };
    let &[channels, height, width] = sides else {
        return Err(Failure::input(format!(
            "`{name}` in `{}` has the shape {sides:?}: latents are [channels, height, width]",
            path.display()
        )));
    };
    let values = file.values(name)?;
    if values.is_empty() || values.len() > 1 << 26 {
        return Err(Failure::input(format!(
            "`{name}` in `{}` has {} values: give latents of one picture",
            path.display(),
            values.len()
        )));
    }
    Ok((values, Shape::new([channels, height, width])))
}

pub(super) fn positive(text: &str) -> Result<f32, String> {
    base::command::number_in(text, 0.01, 1.0)
}

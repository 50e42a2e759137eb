//! `orrery lora-rar merge`.

use std::path::PathBuf;
use std::time::Instant;

use base::command::{Context, Failure, Output, Steps, check_out, number_in};
use base::tensor_file::Precision;
use clap::{Args, ValueEnum};

use super::ziplora::ZipOptions;
use crate::lora_rar::pipeline::{Job, fingerprint, open_merger};
use crate::lora_rar::{Format, LoraFile, Method, Rule, Settings, SystemError};

/// Options of `merge`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orrery lora-rar merge --content dog.safetensors --style watercolor.safetensors --hypernet hypernet.pth --out merged.safetensors
  orrery lora-rar merge --content dog.safetensors --style watercolor.safetensors --method direct --style-strength 0.7 --out merged.safetensors
  orrery lora-rar merge --content dog.safetensors --style ink.safetensors --method ziplora --model sdxl-base --content-data dog --style-data ink --out merged.safetensors
  orrery lora-rar merge --content a.safetensors --style b.safetensors --method ties_svd --density 0.3 --out merged.safetensors

The result is an ordinary LoRA with alpha equal to its rank. `rar`, `ziplora`, `direct` and `cat`
are exact and have the sum of both ranks; methods that end in svd have the larger rank; the others
need equal ranks and keep them. Methods other than `rar`, `ziplora` and `direct` are those of PEFT.
More than two: merge two, then the result with the next.")]
pub struct Merge {
    /// The subject's LoRA: safetensors, or a torch file
    #[arg(long, value_name = "FILE")]
    content: PathBuf,
    /// The style's LoRA; the order matters to `rar`
    #[arg(long, value_name = "FILE")]
    style: PathBuf,
    /// Where the merged LoRA goes
    #[arg(long, value_name = "FILE")]
    pub(super) out: PathBuf,
    /// How to merge
    #[arg(long, value_enum, default_value = "rar")]
    pub(super) method: Name,
    /// The network of `rar`: the published `hypernet.pth`, or one of the same names for other widths
    #[arg(long, value_name = "FILE")]
    hypernet: Option<PathBuf>,
    /// Weight of the content update; 1 for `rar`, `ziplora` and `direct`, else 0.5
    #[arg(long, value_name = "WEIGHT", value_parser = strength, allow_hyphen_values = true)]
    content_strength: Option<f32>,
    /// Weight of the style update; 1 for `rar`, `ziplora` and `direct`, else 0.5
    #[arg(long, value_name = "WEIGHT", value_parser = strength, allow_hyphen_values = true)]
    style_strength: Option<f32>,
    /// Seed of what `dare` drops and of the noise of `ziplora` [default: 0]
    #[arg(long, value_name = "SEED")]
    seed: Option<u64>,
    /// Share of values that `ties`, `dare` and `magnitude_prune` keep [default: 0.5]
    #[arg(long, value_name = "SHARE", value_parser = density)]
    density: Option<f64>,
    /// How the result names its tensors; as the content file does where not given
    #[arg(long, value_enum)]
    format: Option<Naming>,
    /// Element type of the result; the wider of the two inputs where not given
    #[arg(long, value_enum)]
    precision: Option<Width>,
    /// Write ranks, norms and coefficients of every layer as JSON
    #[arg(long, value_name = "FILE")]
    pub(super) report: Option<PathBuf>,
    /// Only say what would be merged; nothing is computed or written
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    pub(super) output: Output,
    #[command(flatten)]
    zip: ZipOptions,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(super) enum Name {
    /// Coefficients from the hypernetwork
    Rar,
    /// Coefficients optimised for this pair, with the base model and pictures of both
    #[value(name = "ziplora")]
    ZipLora,
    /// The weighted sum of both updates
    Direct,
    /// The same with PEFT's default weights
    Cat,
    /// The weighted sum, truncated
    Svd,
    /// Weighted sums of the factors, which hold cross terms
    Linear,
    /// Of the largest factor values those that agree in sign
    Ties,
    /// The same on updates, truncated
    TiesSvd,
    /// Randomly dropped factor values, summed
    DareLinear,
    /// Randomly dropped factor values, those that agree in sign
    DareTies,
    /// Randomly dropped values of updates, summed, truncated
    DareLinearSvd,
    /// Randomly dropped values of updates, those that agree in sign, truncated
    DareTiesSvd,
    /// The largest factor values, summed
    MagnitudePrune,
    /// The largest values of updates, summed, truncated
    MagnitudePruneSvd,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Naming {
    /// lora_unet_…, with alpha: A1111, ComfyUI, Forge
    Kohya,
    /// unet.….lora_A.weight
    Peft,
    /// unet.….lora.down.weight
    Diffusers,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Width {
    F32,
    F16,
    Bf16,
}

impl Name {
    fn method(self) -> Method {
        match self {
            Self::Rar => Method::Rar,
            Self::ZipLora => Method::ZipLora,
            Self::Direct | Self::Cat => Method::Direct,
            Self::Svd => Method::Updates(Rule::Linear),
            Self::Linear => Method::Factors(Rule::Linear),
            Self::Ties => Method::Factors(Rule::Ties),
            Self::TiesSvd => Method::Updates(Rule::Ties),
            Self::DareLinear => Method::Factors(Rule::DareLinear),
            Self::DareTies => Method::Factors(Rule::DareTies),
            Self::DareLinearSvd => Method::Updates(Rule::DareLinear),
            Self::DareTiesSvd => Method::Updates(Rule::DareTies),
            Self::MagnitudePrune => Method::Factors(Rule::MagnitudePrune),
            Self::MagnitudePruneSvd => Method::Updates(Rule::MagnitudePrune),
        }
    }

    pub(super) fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

impl Merge {
    /// Whether nothing was given that the method does not use.
    fn check_options(&self) -> Result<(), Failure> {
        let rule = match self.method.method() {
            Method::Factors(rule) | Method::Updates(rule) => Some(rule),
            _ => None,
        };
        let zip = self.method == Name::ZipLora;
        let keeps = rule.is_some_and(|rule| rule != Rule::Linear);
        let drops = matches!(rule, Some(Rule::DareLinear | Rule::DareTies));
        let idle = [
            ("--density", self.density.is_some() && !keeps),
            ("--seed", self.seed.is_some() && !drops && !zip),
        ];
        let of_zip = self
            .zip
            .given()
            .map(|(option, given)| (option, given && !zip));
        match idle.into_iter().chain(of_zip).find(|(_, idle)| *idle) {
            None => Ok(()),
            Some((option, _)) => Err(Failure::input(format!(
                "`{option}` does nothing with `--method {}`: leave it out, or choose a method that uses it",
                self.method.name()
            ))),
        }
    }

    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        let begun = Instant::now();
        self.check_options()?;
        check_out(
            &self.out,
            [&self.content, &self.style]
                .into_iter()
                .chain(&self.hypernet),
        )?;
        let [content, style] = [LoraFile::open(&self.content)?, LoraFile::open(&self.style)?];
        let merger = match (self.method, &self.hypernet) {
            (Name::Rar, Some(path)) => Some(open_merger(path)?),
            (Name::Rar, None) => {
                return Err(Failure::input(
                    "`rar` needs its network: give `--hypernet FILE`, or `--method direct` for the plain sum",
                ));
            }
            (_, Some(_)) => {
                return Err(Failure::input(
                    "only `rar` asks a network: leave `--hypernet` out, or use `--method rar`",
                ));
            }
            (_, None) => None,
        };
        let usual = match self.method {
            Name::Rar | Name::ZipLora | Name::Direct => 1.0,
            _ => 0.5,
        };
        let job = Job {
            settings: Settings {
                method: self.method.method(),
                strengths: [self.content_strength, self.style_strength]
                    .map(|given| given.unwrap_or(usual)),
                density: self.density.unwrap_or(0.5),
            },
            merger: merger.as_ref(),
            columns: None,
            seed: self.seed.unwrap_or(0),
            format: match self.format {
                None => content.format,
                Some(Naming::Kohya) => Format::Kohya,
                Some(Naming::Peft) => Format::Peft,
                Some(Naming::Diffusers) => Format::Diffusers,
            },
            precision: match self.precision {
                Some(Width::F32) => Precision::F32,
                Some(Width::F16) => Precision::F16,
                Some(Width::Bf16) => Precision::BF16,
                None if content.precision() == style.precision() => content.precision(),
                None => Precision::F32,
            },
            content: &content,
            style: &style,
        };
        self.warn(&job)?;
        if self.dry_run {
            job.check()?;
            return self.matches(&job);
        }
        job.check()?;
        let columns = match self.method {
            Name::ZipLora => {
                Some(
                    self.zip
                        .columns([&content, &style], job.seed, self.output.json, context)?,
                )
            }
            _ => None,
        };
        let job = Job {
            columns: columns.as_ref(),
            ..job
        };
        let mut bar = Steps::new("layers", self.output.json);
        let prints = || -> Result<Vec<String>, SystemError> {
            let files = [
                Some(&self.content),
                Some(&self.style),
                self.hypernet.as_ref(),
            ];
            files
                .into_iter()
                .flatten()
                .map(|path| fingerprint(path))
                .collect()
        };
        let mut progress = |done: usize, of: usize| {
            bar.at(done, of);
            context.proceed().map_err(SystemError::from)
        };
        let (prints, merged) = std::thread::scope(|scope| {
            let prints = scope.spawn(prints);
            let merged = job.run(&mut progress);
            (prints.join(), merged)
        });
        bar.finish();
        let (mut file, layers) = merged?;
        let prints =
            prints.map_err(|_| Failure::failed("the inputs' hashes could not be computed"))??;
        file.note("method", self.method.name());
        for (key, print) in ["content_sha256", "style_sha256", "hypernet_sha256"]
            .iter()
            .zip(&prints)
        {
            file.note(*key, print);
        }
        let [of_content, of_style] = job.settings.strengths;
        file.note("strengths", format!("{of_content}, {of_style}"));
        context.proceed()?;
        file.write(&self.out)?;
        self.print_report(&layers, begun.elapsed().as_secs_f64())
    }
}

fn strength(text: &str) -> Result<f32, String> {
    number_in(text, -100.0, 100.0)
}

fn density(text: &str) -> Result<f64, String> {
    match text.trim().parse::<f64>() {
        Ok(share) if share > 0.0 && share <= 1.0 => Ok(share),
        _ => Err("give a share above 0, up to 1".into()),
    }
}

//! Options that the verbs share.

use std::path::PathBuf;

use base::command::{Context, Failure, eprint_line};
use base::endpoint::Endpoint;
use base::media::read_image;
use clap::{Args, ValueEnum};
use engine::burn::tensor::Device;
use engine::models::stable_diffusion::StableDiffusion;
use engine::weights::Weights;

use crate::asked_model;
use crate::base_model::BaseModel;
use crate::fiva::pipeline::{self, Extractor, Guide, Reference, Uncond};
use crate::fiva::{Padding, Projector, Taxonomy, tags};

/// Height and width of pictures where nothing is said: 512 pixels, of the embedded model its own.
pub fn side(place: &BaseModel, model: &StableDiffusion) -> usize {
    match place {
        BaseModel::Embedded => model.request().width,
        BaseModel::At(_) => 512,
    }
}

/// Reads the height and width of a square picture.
pub fn pixels(text: &str) -> Result<usize, String> {
    text.parse()
        .map_err(|_| "give one number, such as 512: pictures are square".into())
}

/// A reference at the command line: `FILE:TAG` or `FILE:TAG:STRENGTH`.
#[derive(Clone, Debug, PartialEq)]
pub struct Given {
    path: PathBuf,
    tag: String,
    strength: f32,
}

/// Reads `FILE:TAG[:STRENGTH]` from the right, as paths may hold colons.
pub fn reference(text: &str) -> Result<Given, String> {
    let shape =
        "give FILE:TAG or FILE:TAG:STRENGTH, such as `sunset.png:color` or `sunset.png:color:0.8`";
    let (rest, last) = text.rsplit_once(':').ok_or(shape)?;
    let (path, tag, strength) = match (last.trim().parse::<f32>(), rest.rsplit_once(':')) {
        (Ok(strength), Some((path, tag))) => (path, tag, strength),
        _ => (rest, last, 1.0),
    };
    if !(0.0..=5.0).contains(&strength) {
        return Err("a strength must be 0 to 5".into());
    }
    match path.is_empty() || tag.trim().is_empty() {
        true => Err(shape.into()),
        false => Ok(Given {
            path: path.into(),
            tag: tag.trim().to_owned(),
            strength,
        }),
    }
}

/// What stands for "no reference".
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum UncondArg {
    /// Features of zeros, as the published code has it
    ZeroFeatures,
    /// A picture of zeros with an empty text, as the paper says
    ZeroImage,
}

/// How many slots there are.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum PaddingArg {
    /// Three, as the paper has it
    Full,
    /// As the published code, which makes two for one reference
    Published,
}

/// References and what reads them.
#[derive(Args, Debug)]
pub struct ReferenceOptions {
    /// A picture and the attribute wanted of it, with a strength if not 1; up to three
    #[arg(long = "ref", value_name = "FILE:TAG[:STRENGTH]", value_parser = reference, display_order = 1)]
    pub references: Vec<Given>,
    /// The Q-Former: a file (`pytorch_model_1.bin`, safetensors) or a folder with one
    #[arg(long, value_name = "FILE|DIR")]
    pub qformer: Option<PathBuf>,
    /// The Q-Former's `config.json` [default: beside it, else sizes are read off the weights]
    #[arg(long, value_name = "FILE")]
    pub qformer_config: Option<PathBuf>,
    /// `vocab.txt` of uncased BERT [default: beside the Q-Former]
    #[arg(long, value_name = "FILE|DIR")]
    pub vocab: Option<PathBuf>,
    /// What stands for no reference in guidance
    #[arg(long, value_enum, default_value = "zero-features")]
    pub uncond: UncondArg,
    /// How many slots there are
    #[arg(long, value_enum, default_value = "full")]
    pub padding: PaddingArg,
    /// Bring pictures to 224 x 224 at once, not by way of 512 x 512 as the published script does
    #[arg(long)]
    pub direct: bool,
}

impl ReferenceOptions {
    /// Opens the Q-Former.
    pub fn extractor(&self, device: &Device) -> Result<Extractor, Failure> {
        let path = self.qformer.as_deref().ok_or_else(|| {
            Failure::input("no Q-Former was named: give `--qformer` FiVA's `pytorch_model_1.bin`, or a folder that `orrery fiva train` wrote")
        })?;
        let [config, vocab] = [&self.qformer_config, &self.vocab].map(|it| it.as_deref());
        Ok(Extractor::open(path, config, vocab, device)?)
    }

    /// Reads the references; `adapter` is the adapter's file.
    pub fn guide(&self, adapter: &Weights, device: &Device) -> Result<Guide, Failure> {
        let taxonomy = Taxonomy::ours()?;
        let references = self
            .references
            .iter()
            .map(|given| {
                if let Some(warning) = tags::warning(&given.tag, &taxonomy) {
                    eprint_line(&format!("warning: {warning}"));
                }
                Ok(Reference {
                    picture: read_image(&given.path)?,
                    tag: given.tag.clone(),
                    strength: given.strength,
                })
            })
            .collect::<Result<Vec<_>, Failure>>()?;
        pipeline::check(&references)?;
        let projector = Projector::read(adapter, device)?;
        let extractor = self.extractor(device)?;
        let guide = Guide::new(
            &extractor,
            &projector,
            &references,
            match self.padding {
                PaddingArg::Full => Padding::Full,
                PaddingArg::Published => Padding::Published,
            },
            match self.uncond {
                UncondArg::ZeroFeatures => Uncond::ZeroFeatures,
                UncondArg::ZeroImage => Uncond::ZeroImage,
            },
            !self.direct,
        )?;
        Ok(guide)
    }
}

/// A model that sees, behind a server.
#[derive(Args, Debug)]
pub struct JudgeOptions {
    /// Address of an OpenAI-compatible server whose model sees pictures
    #[arg(long, value_name = "URL")]
    url: String,
    /// The model's name on that server
    #[arg(long, value_name = "NAME")]
    judge: String,
    /// The variable that holds the key, where the server wants one
    #[arg(long, value_name = "NAME", default_value = "OPENAI_API_KEY")]
    key_env: String,
    /// Questions under way at a time
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub workers: u16,
}

impl JudgeOptions {
    /// The model.
    pub fn endpoint(&self, context: Context) -> Result<Endpoint, Failure> {
        asked_model::endpoint(&self.url, &self.judge, &self.key_env, context)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn references_are_read_from_the_right() {
        let given =
            |text| reference(text).map(|it| (it.path.display().to_string(), it.tag, it.strength));
        assert_eq!(
            given("a.png:color").unwrap(),
            ("a.png".into(), "color".into(), 1.0)
        );
        assert_eq!(
            given("a.png:color:0.8").unwrap(),
            ("a.png".into(), "color".into(), 0.8)
        );
        assert_eq!(
            given("C:\\a.png:soft light").unwrap(),
            ("C:\\a.png".into(), "soft light".into(), 1.0)
        );
        for wrong in [
            "a.png",
            "a.png:",
            ":color",
            "a.png:color:9",
            "a.png:color:nan",
        ] {
            assert!(given(wrong).is_err() || wrong.ends_with("nan"), "{wrong}");
        }
    }
}

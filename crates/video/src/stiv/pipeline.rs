//! The call that a command, a server or another system makes: parameters in, images or clips and how they were made out.

use std::path::Path;
use std::sync::Arc;

use base::command::Failure;
use base::hash::{FNV_START, fnv1a};
use base::media::Clip;
use base::rng::Rng;
use burn::tensor::Device;
use engine::weights::{self, Precision, TensorFile, Weights, WeightsError};

use super::checkpoint::{self, CONFIG_KEY};
use super::clips::FRAMES;
use super::config::StivConfig;
use super::data::SIZE;
use super::first_frame;
use super::generation_params::GenerationParams;
use super::model::Stiv;
use super::prompt_analysis::{self, PromptAnalysis};
use super::text::WordTower;
use super::tower;

mod samples;

pub use samples::{EachStep, SampleRequest};

/// Metadata key of the fingerprint by which an image names the weights that made it.
const ID_KEY: &str = "orrery.id";

/// A trained model with its text tower, and for clips what draws their first frames.
pub struct StivPipeline {
    /// The transformer.
    pub model: Stiv,
    /// Its shape.
    pub config: StivConfig,
    /// Its text tower.
    pub tower: WordTower,
    /// Where the weights came from: a path, or `embedded weights`.
    pub origin: String,
    /// How an image names the weights: a name and, where the file has one, their fingerprint.
    pub weights: String,
    /// The image model for parameters with `image_first`.
    first_frame: Option<Arc<StivPipeline>>,
    device: Device,
}

/// What a call made.
#[derive(Clone, Debug)]
pub struct Generated {
    /// One clip a sample; of an image one frame, 32×32.
    pub clips: Vec<Clip>,
    /// The provenance: what makes the same again, written as [`GenerationParams::provenance`].
    pub params: GenerationParams,
}

impl StivPipeline {
    /// Reads a file that `orrery stiv train` wrote.
    ///
    /// # Errors
    /// When the file is not a whole checkpoint with a text tower, or its parts do not fit.
    pub fn open(weights: &Weights, device: &Device) -> Result<Self, WeightsError> {
        let name = Path::new(weights.origin()).file_stem().unwrap_or_default();
        Self::named(&name.to_string_lossy(), weights, device)
    }

    /// [`Self::open`] with another name than that of the file.
    pub(super) fn named(
        name: &str,
        weights: &Weights,
        device: &Device,
    ) -> Result<Self, WeightsError> {
        let config = checkpoint::read_config(weights)?;
        checkpoint::check_sizes(weights, &config)?;
        let model = config.init(&mut Rng::new(0), device);
        let keys = checkpoint::key_map().ignore("text.");
        let model = weights::load(model, weights, &keys)?;
        let tower = tower::read(weights)?;
        if tower.width != config.context {
            return Err(weights.unfit(format!(
                "its text tower is {} wide, its model expects {}",
                tower.width, config.context
            )));
        }
        let id = weights.metadata().get(ID_KEY).map_or("", String::as_str);
        Ok(Self {
            model,
            config,
            tower,
            origin: weights.origin().to_owned(),
            weights: format!("{name} {id}").trim_end().to_owned(),
            first_frame: None,
            device: device.clone(),
        })
    }

    /// The same, with the image model that draws first frames.
    pub fn with_first_frame(self, images: Arc<StivPipeline>) -> Self {
        Self {
            first_frame: Some(images),
            ..self
        }
    }

    /// Writes model and tower as one file; `notes` go to the metadata.
    ///
    /// # Errors
    /// When a value does not fit `precision`, or the file cannot be written.
    pub fn save(
        model: &Stiv,
        config: &StivConfig,
        tower: &WordTower,
        notes: &[(&str, &str)],
        precision: Precision,
        path: &Path,
    ) -> Result<(), WeightsError> {
        let mut file = TensorFile::new();
        file.note(
            CONFIG_KEY,
            serde_json::to_string(config).unwrap_or_default(),
        );
        weights::collect(model, &checkpoint::key_map(), precision, &mut file)?;
        tower::write(tower, &mut file, precision)?;
        file.note(ID_KEY, fingerprint(&file.to_bytes()));
        for (key, value) in notes {
            file.note(*key, *value);
        }
        file.write(path)
    }

    /// Looks whether this model draws images (or clips).
    ///
    /// # Errors
    /// [`Failure::Input`] that says why it does not.
    pub fn check(&self, clips: bool) -> Result<(), Failure> {
        let StivConfig {
            channels,
            temporal_patch,
            spatial_patch,
            ..
        } = self.config;
        let problem = if channels != 3 {
            format!("it makes {channels} channels, not RGB")
        } else if !SIZE.is_multiple_of(spatial_patch) {
            format!("its patch of {spatial_patch} does not divide {SIZE}")
        } else {
            match (clips, temporal_patch) {
                (false, 1) => return Ok(()),
                (false, _) => "it is a clip model: use a picture model, or ask for a clip".into(),
                (true, 1) => "it is a picture model: use a clip model, or ask for a picture".into(),
                (true, patch) if !FRAMES.is_multiple_of(patch) => {
                    format!("its patch of {patch} frames does not divide {FRAMES}")
                }
                (true, _) => return Ok(()),
            }
        };
        Err(Failure::input(format!("`{}`: {problem}", self.origin)))
    }

    /// What the prompt of `params` is taken to mean, by the model that draws first.
    ///
    /// # Errors
    /// [`Failure::Input`] for parameters out of range, and for a prompt of which this model knows no word.
    pub fn analyse(&self, params: &GenerationParams) -> Result<PromptAnalysis, Failure> {
        params.check()?;
        self.check(params.video)?;
        let drawer = self.drawer(params)?;
        let analysis = match &params.tower_prompt {
            Some(prompt) => prompt_analysis::by_tower(drawer, prompt),
            None => prompt_analysis::analyse(drawer, &params.prompt),
        };
        match analysis.known || params.prompt.trim().is_empty() {
            true => Ok(analysis),
            false => Err(analysis.refusal()),
        }
    }

    /// What a person should know before it is drawn, a line each.
    pub fn warnings(&self, params: &GenerationParams, analysis: &PromptAnalysis) -> Vec<String> {
        let mut lines = analysis.warnings(&params.prompt);
        if params.image_first && !self.tower.codes.contains(&analysis.code) {
            lines.push(format!(
                "the clip model was not taught `{}`: it moves the picture by what it sees in it",
                analysis.subject
            ));
        }
        let now = self.weights_for(params);
        if params.made_with_others(&now) {
            lines.push(format!(
                "it was made with the weights `{}`, these are `{now}`: it will look different",
                base::command::one_line(&params.model)
            ));
        }
        lines
    }

    /// Draws `params.count` images, or clips of 16 frames that go through the given frames; sample `i` is what the seed
    /// `params.seed + i` alone would give. `analysis` is [`Self::analyse`]'s of the same parameters. Fewer come where
    /// `each_step` ended the work.
    ///
    /// # Errors
    /// For a model of the wrong kind (see [`Self::check`]); when the network's output is not an image (damaged weights).
    pub fn generate(
        &self,
        params: &GenerationParams,
        analysis: &PromptAnalysis,
        each_step: EachStep,
    ) -> Result<Generated, Failure> {
        self.check(params.video)?;
        let request = SampleRequest {
            prompt: &analysis.tower_prompt,
            style: analysis.style.is_none().then_some(params.style),
            count: params.count,
            seed: params.seed,
            config: &params.sampling(),
            given: &params.given,
        };
        let mut clips = match params.image_first {
            true => {
                let images = self.drawer(params)?;
                first_frame::clips(self, images, &analysis.code, &request, each_step)?
            }
            false => self.samples(&request, each_step)?,
        };
        if let (true, Some(delay_ms)) = (params.video, params.delay_ms) {
            clips.iter_mut().for_each(|clip| clip.delay_ms = delay_ms);
        }
        Ok(Generated {
            clips,
            params: GenerationParams {
                tower_prompt: Some(analysis.tower_prompt.clone()),
                model: self.weights_for(params),
                ..params.clone()
            },
        })
    }

    /// The model that reads the prompt and draws first.
    fn drawer(&self, params: &GenerationParams) -> Result<&Self, Failure> {
        match (params.image_first, &self.first_frame) {
            (false, _) => Ok(self),
            (true, Some(images)) => Ok(images),
            (true, None) => Err(Failure::input(
                "the first frame is to be drawn by a picture model, and there is none: give a first frame",
            )),
        }
    }

    /// How files name the weights that these parameters use.
    fn weights_for(&self, params: &GenerationParams) -> String {
        match &self.first_frame {
            Some(images) if params.image_first => format!("{} {}", images.weights, self.weights),
            _ => self.weights.clone(),
        }
    }
}

/// 16 hexadecimal digits that tell weights apart.
fn fingerprint(bytes: &[u8]) -> String {
    format!("{:016x}", fnv1a(FNV_START, bytes.iter().copied()))
}

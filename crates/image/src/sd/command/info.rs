//! `orrery sd info`.

use base::command::{Context, Failure, print_line};
use clap::Args;
use engine::models::stable_diffusion::{ModelInfo, OpenOptions};
use engine::nn::WeightKind;

use crate::base_model::BaseModel;
use crate::sd::options::ModelOptions;

/// Options of `info`.
#[derive(Args, Debug)]
pub struct Info {
    #[command(flatten)]
    model: ModelOptions,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Info {
    pub(super) fn run(&self, _: Context) -> Result<(), Failure> {
        let options: OpenOptions = self.model.opening();
        let info = BaseModel::find(self.model.name())?.info(&options)?;
        match self.json {
            true => print_line(&serde_json::to_string(&info).map_err(Failure::failed)?),
            false => print_line(&in_words(&info)?),
        }
    }
}

fn in_words(info: &ModelInfo) -> Result<String, Failure> {
    let millions = |count: usize| format!("{:.1} million", count as f64 / 1e6);
    let mut lines = vec![
        info.family.clone(),
        format!(
            "U-Net: {} parameters, reads {} channels, {:?} at its resolutions",
            millions(info.unet_parameters),
            info.in_channels,
            info.block_out_channels
        ),
    ];
    for tower in &info.text_encoders {
        lines.push(format!(
            "text encoder: {} parameters, {} layers of width {}, {} tokens of a vocabulary of {}",
            millions(tower.parameters),
            tower.layers,
            tower.width,
            tower.tokens,
            tower.vocabulary
        ));
    }
    lines.push(format!(
        "autoencoder: {} of {} parameters, {} pixels a latent, scaled by {}",
        info.autoencoder,
        millions(info.vae_parameters),
        info.factor,
        info.scaling_factor
    ));
    let sizes: Vec<String> = WeightKind::ALL
        .iter()
        .filter_map(|kind| {
            let bytes = *info.weight_bytes.get(&kind.to_string())? as f64;
            Some(match bytes < 1e9 {
                true => format!("{:.0} MB in {kind}", bytes / 1e6),
                false => format!("{:.1} GB in {kind}", bytes / 1e9),
            })
        })
        .collect();
    lines.push(format!("weights: {}", sizes.join(", ")));
    let predicts = serde_json::to_value(info.prediction).map_err(Failure::failed)?;
    lines.push(format!(
        "predicts {}, scheduler {}",
        predicts.as_str().unwrap_or_default(),
        info.scheduler.as_deref().unwrap_or("not named")
    ));
    let does = match info.edits {
        true => "edits pictures by instruction (`orrery sd edit`), trained on",
        false => "draws",
    };
    if let Some(size) = info.size {
        lines.push(format!("{does} {size}x{size}"));
    }
    Ok(lines.join("\n"))
}

//! A trained federation as the place of attacks, and pictures of what they found.

use std::ops::Range;

use base::command::Context;
use base::media::caption::{text_width, with_caption};
use base::media::{Image, MediaError};

use super::accountant::noise_multiplier;
use super::config::{Config, Method};
use super::data::Dataset;
use super::local::Samples;
use super::privacy::{Target, Victim};
use super::simulate::Simulation;
use crate::error::{LearningError, Result};

/// See the module.
#[derive(Debug)]
pub struct Scene {
    simulation: Simulation,
}

impl Scene {
    /// Trains the federation that `target` stands for, for all rounds of its settings. The DP target is FedAvg's network:
    /// what its noise protects is then the only difference.
    ///
    /// # Errors
    /// As [`Simulation::round`].
    pub fn train(
        config: impl Fn(Method) -> Config,
        (data, parts): (&Dataset, &[[Vec<usize>; 2]]),
        target: Target,
        context: Context,
    ) -> Result<Self> {
        let method = match target {
            Target::Hyperfl => Method::Hyperfl,
            Target::Fedavg | Target::DpFedavg => Method::Fedavg,
        };
        let config = config(method);
        let rounds = config.rounds;
        let mut simulation = Simulation::new(config, data, parts.to_vec())?;
        for _ in 0..rounds {
            simulation.round(data, context)?;
        }
        Ok(Self { simulation })
    }

    /// Pictures of client `client`, by their numbers among its own; those of its first labels come first.
    ///
    /// # Errors
    /// Where it has fewer.
    pub fn pictures(
        &self,
        data: &Dataset,
        client: usize,
        numbers: Range<usize>,
    ) -> Result<Samples> {
        let own = &self.simulation.parts[client][0];
        // Far apart, so that labels differ.
        let step = (own.len() / 7).max(1);
        let picked = numbers.map(|at| {
            own.get((at * step) % own.len() + at * step / own.len())
                .copied()
        });
        let picked: Option<Vec<usize>> = picked.collect();
        let picked = picked.ok_or_else(|| {
            LearningError::invalid(format!(
                "client {client} has {} pictures: attack fewer",
                own.len()
            ))
        })?;
        Ok(data.train.pick(&picked))
    }

    /// Parameters of client `client` as it would start its next round: φ, embedding and head for HyperFL.
    pub fn params(&self, client: usize) -> Vec<f32> {
        let mut params = self.simulation.received(client);
        params.extend(&self.simulation.private[client]);
        params
    }

    /// The client with these parameters, about to train on `truth`.
    pub fn victim<'a>(&'a self, params: &'a [f32], truth: &'a Samples) -> Victim<'a> {
        Victim {
            model: &self.simulation.work.model,
            params,
            truth,
            local: &self.simulation.work.config.local,
        }
    }

    /// The noise multiplier that the DP methods would take.
    ///
    /// # Errors
    /// Where none reaches the target.
    pub fn sigma(&self) -> Result<f64> {
        let config = &self.simulation.work.config;
        let samples = self
            .simulation
            .parts
            .first()
            .map_or(1, |part| part[0].len());
        let rate = (config.batch as f64 / samples as f64).min(1.0);
        let epochs = (config.rounds * config.epochs) as f64;
        noise_multiplier(config.epsilon, config.delta, rate, epochs)
    }
}

/// Rows of pictures `[count, channels, rows, columns]`, three times as large, each row under its name.
///
/// # Errors
/// Where rows are empty or too large for a picture.
pub fn pictures_sheet(
    rows: &[&[f32]],
    names: &[&str],
    [channels, height, width]: [usize; 3],
) -> Result<Image, MediaError> {
    const SCALE: u32 = 3;
    const GAP: u32 = 4;
    let mut lines = Vec::new();
    for (row, name) in rows.iter().zip(names) {
        let count = row.len() / (channels * height * width).max(1);
        let cell = [width as u32 * SCALE + GAP, height as u32 * SCALE + GAP];
        let mut line = Image::filled(cell[0] * count as u32 + GAP, cell[1], [255; 3]);
        for (at, picture) in row.chunks_exact(channels * height * width).enumerate() {
            let pixels: Vec<u8> = (0..height * width)
                .flat_map(|pixel| {
                    (0..3).map(move |c| picture[c.min(channels - 1) * height * width + pixel])
                })
                .map(|value| (value.clamp(0.0, 1.0) * 255.0).round() as u8)
                .collect();
            let small = Image::new(width as u32, height as u32, pixels)?;
            line.paste(
                &small.upscale_nearest(SCALE),
                at as u32 * cell[0] + GAP,
                GAP,
            );
        }
        let wide = text_width(name) + 2 * GAP;
        let mut padded = Image::filled(line.width.max(wide), line.height, [255; 3]);
        padded.paste(&line, 0, 0);
        lines.push(with_caption(&padded, name));
    }
    let width = lines.iter().map(|line| line.width).max().unwrap_or(1);
    let height = lines.iter().map(|line| line.height).sum::<u32>().max(1);
    let mut sheet = Image::filled(width, height, [255; 3]);
    let mut y = 0;
    for line in &lines {
        sheet.paste(line, 0, y);
        y += line.height;
    }
    Ok(sheet)
}

//! What is read from a picture before the search: its initial latents, turned back in one of two ways.

use base::media::Image;
use rayon::prelude::*;

use super::latent::rotated;
use super::{LatentModel, Shape, SystemError, attack};

/// What is turned back where a picture may have been turned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum TurnBack {
    /// The latents: one inversion in all
    #[default]
    Latents,
    /// The picture: one inversion an angle
    Picture,
}

/// Latents of a picture, and by which angles they are yet to be turned back.
#[derive(Clone, Debug)]
pub struct Reading {
    /// Initial latents that an inversion found.
    pub latents: Vec<f32>,
    /// Degrees by which the picture was turned back before.
    pub turned: f32,
    /// Degrees by which the latents are turned back, each in turn.
    pub angles: Vec<f32>,
}

impl Reading {
    /// Latents as they are.
    pub fn straight(latents: Vec<f32>) -> Self {
        Self {
            latents,
            turned: 0.0,
            angles: vec![0.0],
        }
    }

    /// The latents turned back by each angle, with the whole angle.
    pub fn turns(&self, shape: Shape) -> impl Iterator<Item = (f32, Vec<f32>)> {
        let turn = move |&angle: &f32| (self.turned + angle, rotated(&self.latents, shape, -angle));
        self.angles.iter().map(turn)
    }
}

/// Inverts a picture that may have been turned counter-clockwise by one of `angles`.
///
/// # Errors
/// What the model says.
pub fn readings(
    model: &dyn LatentModel,
    picture: &Image,
    angles: &[f32],
    turn: TurnBack,
) -> Result<Vec<Reading>, SystemError> {
    match turn {
        TurnBack::Latents => Ok(vec![Reading {
            angles: angles.to_vec(),
            ..Reading::straight(model.invert(picture)?)
        }]),
        TurnBack::Picture => angles
            .par_iter()
            .map(|&angle| {
                let upright = match angle {
                    0.0 => picture.clone(),
                    angle => attack::rotated(picture, -angle),
                };
                Ok(Reading {
                    turned: angle,
                    ..Reading::straight(model.invert(&upright)?)
                })
            })
            .collect(),
    }
}

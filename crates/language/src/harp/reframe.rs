//! The perturbed embeddings of a second look (paper, section 3.2).

use super::{HarpConfig, Noise, SystemError, Uniforms};

/// Perturbs `embeddings`, `[positions, width]`, by one fresh draw a coordinate: `e' = e · 1[m > δ]`, without a rescale, or
/// the uniform noise of NEFTune.
///
/// Scales that a family puts on embeddings commute with the mask: these are rows of the table before any scale.
///
/// # Errors
/// What the source of draws reports.
pub fn reframe(
    embeddings: &mut [f32],
    config: &HarpConfig,
    uniforms: &mut dyn Uniforms,
) -> Result<(), SystemError> {
    let mut draws = vec![0.0; embeddings.len()];
    uniforms.fill(&mut draws)?;
    let pairs = embeddings.iter_mut().zip(&draws);
    match config.noise {
        Noise::Dropout => pairs.for_each(|(e, draw)| {
            if *draw <= config.delta {
                *e = 0.0;
            }
        }),
        Noise::Uniform(alpha) => {
            let scale = alpha / (draws.len() as f32).sqrt();
            pairs.for_each(|(e, draw)| *e += scale * (2.0 * draw - 1.0));
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::Recorded;
    use super::*;

    #[test]
    fn dropout_keeps_what_is_strictly_above_delta_and_rescales_nothing() {
        let config = HarpConfig {
            delta: 0.25,
            ..HarpConfig::default()
        };
        let mut e = [1.0, -2.0, 3.0, 4.0];
        reframe(
            &mut e,
            &config,
            &mut Recorded::new(vec![0.25, 0.26, 0.0, 0.99]),
        )
        .unwrap();
        assert_eq!(e, [0.0, -2.0, 0.0, 4.0]);
        let short = reframe(&mut e, &config, &mut Recorded::new(vec![0.5; 3]));
        let line = short.unwrap_err().to_string();
        assert!(line.contains("draws end 1 values too early"), "{line}");
    }

    #[test]
    fn uniform_noise_shrinks_with_the_size_of_the_input() {
        let config = HarpConfig {
            noise: Noise::Uniform(4.0),
            ..HarpConfig::default()
        };
        let mut e = [0.0; 4];
        reframe(
            &mut e,
            &config,
            &mut Recorded::new(vec![0.0, 0.5, 0.75, 0.25]),
        )
        .unwrap();
        assert_eq!(e, [-2.0, 0.0, 1.0, -1.0]);
    }
}

//! Latents of training pictures that were encoded already.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use burn::tensor::Tensor;

use super::pairs::Shot;

/// Most values that are kept, 512 MiB of them: those of all pictures of a small model.
const MOST: usize = 1 << 27;

/// See the module. May serve several trainings on one base with targets of one size.
#[derive(Debug, Default)]
pub struct Latents(Mutex<HashMap<(PathBuf, u32), Tensor<4>>>);

impl Latents {
    /// The latents `[1, channels, height, width]` of a tile, made where they are not there.
    ///
    /// # Errors
    /// What `make` says.
    pub fn of<E>(
        &self,
        shot: &Shot,
        tile: u32,
        make: impl FnOnce() -> Result<Tensor<4>, E>,
    ) -> Result<Tensor<4>, E> {
        let key = (shot.image.clone(), tile);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = known.get(&key) {
            return Ok(found.clone());
        }
        let made = make()?;
        let values = made.dims().iter().product::<usize>();
        if known.len().saturating_mul(values) < MOST {
            known.insert(key, made.clone());
        }
        Ok(made)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn what_was_made_is_not_made_again() {
        let latents = Latents::default();
        let shot = |name: &str| Shot {
            image: name.into(),
            grid: 2,
        };
        let made = |value: f32| {
            move || Ok::<_, String>(Tensor::<4>::full([1, 4, 2, 2], value, &Device::flex()))
        };
        let first = |found: Tensor<4>| found.into_data().iter::<f32>().next().unwrap();
        assert_eq!(first(latents.of(&shot("a"), 0, made(1.0)).unwrap()), 1.0);
        assert_eq!(first(latents.of(&shot("a"), 0, made(2.0)).unwrap()), 1.0);
        assert_eq!(first(latents.of(&shot("a"), 1, made(3.0)).unwrap()), 3.0);
        let no = latents.of(&shot("b"), 0, || Err::<Tensor<4>, _>("no"));
        assert_eq!(no.unwrap_err(), "no");
    }
}

//! Retrieval among 100,000 noises, timed beside numpy: `orrery bench --suite diffusion`.

use std::hint::black_box;

use base::rng::Rng;
use engine::bench::{Benchmark, Run};

use super::{Detector, Generator, Key, Mode, Search, Shape, SystemError};

const NOISES: u64 = 100_000;
const GROUPS: usize = 2048;
/// Seconds that a query may take.
const LIMIT: f64 = 30.0;
/// Cosine of a query and the latents that it comes from.
const COSINE: f32 = 0.1;

/// All benchmarks of retrieval. numpy derives and compares every tenth noise, and reports ten times that.
pub fn benchmarks() -> Vec<Benchmark> {
    vec![
        Benchmark::alone(
            "wind-two-stage",
            "a marked query among 100,000 noises of 4×64×64 in 2,048 groups, from the key on",
            || query(Mode::Fast),
        )
        .within(LIMIT),
        Benchmark::with_peer(
            "wind-exhaustive",
            "the same without its mark, at a cosine of 0.1: all noises derived and compared; numpy beside it",
            || query(Mode::Full),
        )
        .at_most(1.0 / 3.0)
        .within(LIMIT),
    ]
}

fn query(mode: Mode) -> Run {
    let mut find = finder(mode);
    Box::new(move || {
        let found = match &mut find {
            Ok(find) => find(),
            Err(_) => Ok(false),
        };
        assert!(found.unwrap_or_default(), "the noise was not found");
    })
}

/// What looks for a noise, and says whether it is the right one.
fn finder(mode: Mode) -> Result<impl FnMut() -> Result<bool, SystemError> + Send, SystemError> {
    let shape = Shape::new([4, 64, 64]);
    let salt = b"the benchmark's salt".to_vec();
    let key = Key::from_salt(salt, NOISES, GROUPS, Generator::Chacha20)?;
    let mut rng = Rng::new(0).child("wind bench");
    let truth = rng.below(NOISES as usize) as u64;
    let detector = Detector::new(key.clone(), shape)?;
    let mut latents = detector.initial(truth)?;
    if mode == Mode::Full {
        let error = (1.0 - COSINE * COSINE).sqrt() / COSINE;
        latents.iter_mut().for_each(|v| *v += error * rng.normal());
    }
    let search = Search {
        mode,
        windows: false,
        ..Search::default()
    };
    Ok(move || {
        let detect =
            |detector: &Detector| detector.detect(latents.clone(), &search, &mut |_, _| Ok(()));
        let found = match mode {
            // Deriving the marks is part of the work.
            Mode::Fast => detect(&Detector::new(key.clone(), shape)?)?,
            Mode::Full => detect(&detector)?,
        };
        Ok(black_box(found).index == truth)
    })
}

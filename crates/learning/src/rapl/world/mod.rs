//! X-MAGICAL's SweepToTop and RAPL's two tasks: a robot sweeps three blocks into a goal strip at the top.
//!
//! Physics, states, rewards and pictures follow the public benchmark (commit `c8d812e`); avoiding and grouping are rebuilt
//! after the paper's captions, since their code is not public.

mod block;
mod colour;
mod draw;
mod name;
mod raster;
mod robot;
mod scene;
mod task;

pub use block::{BLOCK_SHAPES, BlockShape};
pub use colour::{COLOURS, Colour, Rgb};
pub use draw::{PICTURE, View};
pub use name::{EnvName, NameError};
pub use robot::{EMBODIMENTS, Embodiment};
pub use scene::{Layout, Step, Variant, World};
pub use task::{Task, Truth, ZONE};

/// Half the side of the arena, metres.
pub const HALF: f64 = 1.1;
/// The robot's size.
pub(super) const RADIUS: f64 = 0.2;
/// Largest forward speed (m/s) and turn (radians).
pub const ACTION_LIMITS: [f64; 2] = [4.0 * RADIUS, 1.5];
/// Frames a second.
pub const FPS: f64 = 8.0;
/// Steps of physics a frame.
const SUBSTEPS: usize = 10;
/// The goal strip: left, right, bottom, top.
pub const GOAL: [f64; 4] = [-1.2, 1.2, 0.76, 1.16];

/// The largest forces of the joints, which one variant of the benchmark draws by lot.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Forces {
    pub robot_move: f64,
    pub robot_turn: f64,
    pub finger: f64,
    pub block_slide: f64,
    pub block_turn: f64,
}

impl Forces {
    pub const USUAL: Self = Self {
        robot_move: 5.0,
        robot_turn: 1.0,
        finger: 4.0,
        block_slide: 1.5,
        block_turn: 0.1,
    };

    /// Drawn uniformly from the published ranges.
    pub fn draw(rng: &mut base::rng::Rng) -> Self {
        let mut within = |low: f64, high: f64| low + (high - low) * f64::from(rng.uniform());
        Self {
            robot_move: within(3.2, 5.5),
            robot_turn: within(0.7, 1.5),
            finger: within(2.5, 4.5),
            block_slide: within(1.0, 1.8),
            block_turn: within(0.07, 0.15),
        }
    }
}

//! The three tasks and what is truly wanted in each.

use crate::rapl::physics::Vec2;

/// The off-limits region of [`Task::Avoid`]: left, right, bottom, top.
pub const ZONE: [f64; 4] = [0.6, 1.1, 0.15, 0.55];
/// Farthest that two blocks may be apart while they count as a group, metres.
const GROUPED: f64 = 0.75;
/// Above this height a block is on its way into the goal.
const ON_THE_WAY: f64 = 0.3;
/// Share of the frames in which a constraint must hold.
const HELD: f64 = 0.95;

/// What the robot is to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// Sweep the blocks into the goal: the public benchmark.
    #[default]
    Sweep,
    /// The same without entering a zone near the goal, with robot or block.
    Avoid,
    /// The same, the blocks close together on their way.
    Group,
}

impl Task {
    /// Where the blocks start.
    pub(super) fn blocks(self) -> [Vec2; 3] {
        let columns = match self {
            Self::Avoid => [-0.6, -0.2, 0.2],
            _ => [-0.5, 0.0, 0.5],
        };
        columns.map(|x| Vec2::new(x, 0.0))
    }
}

/// What truly happened in an episode so far: the return that a user's preferences follow, and whether the task was done as wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct Truth {
    /// Sum of the true rewards.
    pub total: f64,
    /// Frames.
    pub frames: usize,
    /// Frames in which the constraint held.
    pub held: usize,
}

/// What a frame shows: block places, and whether the zone is entered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub blocks: [Vec2; 3],
    pub in_zone: bool,
}

/// Minus the mean distance of the blocks from the top; none once a block is in the strip.
pub(super) fn dense(blocks: &[Vec2; 3]) -> f64 {
    let left = blocks.iter().map(|block| match block.y > 0.88 {
        true => 0.0,
        false => (1.0 - block.y).abs(),
    });
    -left.sum::<f64>() / 3.0
}

/// Greatest distance between two blocks.
fn spread(blocks: &[Vec2; 3]) -> f64 {
    let [a, b, c] = *blocks;
    (a - b).length().max((b - c).length()).max((a - c).length())
}

impl Task {
    /// The true reward of a frame, and whether the constraint holds in it.
    pub(super) fn judge(self, seen: &Seen) -> (f64, bool) {
        let swept = dense(&seen.blocks);
        match self {
            Self::Sweep => (swept, true),
            Self::Avoid => (swept - f64::from(u8::from(seen.in_zone)), !seen.in_zone),
            Self::Group => {
                let apart = spread(&seen.blocks);
                let moving = seen.blocks.iter().any(|block| block.y > ON_THE_WAY);
                (swept - apart, !moving || apart <= GROUPED)
            }
        }
    }
}

impl Truth {
    pub(super) fn add(&mut self, reward: f64, held: bool) {
        self.total += reward;
        self.frames += 1;
        self.held += usize::from(held);
    }

    /// Whether the constraint held in nearly all frames so far.
    pub fn kept(&self) -> bool {
        self.held as f64 >= HELD * self.frames as f64
    }
}

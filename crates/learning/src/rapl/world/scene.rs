//! A world with its robot and blocks, frame by frame.

use std::ops::Range;

use base::rng::Rng;

use crate::rapl::physics::{Shape, Space, Vec2, touching};

use super::block::{self, BLOCK_SHAPES, BlockShape};
use super::robot::{Embodiment, Robot};
use super::task::{Seen, Task, Truth, ZONE, dense};
use super::{COLOURS, Colour, FPS, Forces, GOAL, HALF, SUBSTEPS};

/// Passes of the solver.
const ITERATIONS: usize = 10;
/// Overlap left alone, metres.
const SLOP: f64 = 0.01;
/// The arena's diagonal: distances in the state are shares of it.
const DIAGONAL: f64 = 2.828_427_124_746_190_3;
/// Radius of the walls; their inner faces are at ±[`HALF`].
const WALL: f64 = 1.0;
const WALL_FRICTION: f64 = 0.8;

/// What the benchmark draws by lot at the start of an episode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Variant {
    /// Nothing.
    #[default]
    Demo,
    /// Where the blocks lie.
    TestLayout,
    /// The colours of goal and blocks.
    TestColor,
    /// The shapes of the blocks.
    TestShape,
    /// The largest forces of the joints.
    TestDynamics,
    /// All of it.
    TestAll,
}

impl Variant {
    fn has(self, aspect: Self) -> bool {
        self == aspect || self == Self::TestAll
    }
}

/// What an episode is about; at most so many frames long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Layout {
    /// What is to be done.
    pub task: Task,
    /// Which robot does it.
    pub embodiment: Embodiment,
    /// What is drawn by lot.
    pub variant: Variant,
}

impl Layout {
    /// Frames of an episode: 100, for the Longstick 50.
    pub fn frames(&self) -> usize {
        match self.embodiment {
            Embodiment::Longstick => 50,
            _ => 100,
        }
    }

    /// Length of the state: 16, for the gripper 17.
    pub fn state_len(&self) -> usize {
        14 + self.embodiment.actions()
    }
}

/// One block.
#[derive(Clone, Debug)]
pub(super) struct Block {
    pub body: usize,
    pub shape: BlockShape,
    pub colour: Colour,
    shapes: Range<usize>,
}

/// What a frame gives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// Share of the blocks wholly inside the goal.
    pub sparse: f64,
    /// Minus the mean distance of the blocks from the top.
    pub dense: f64,
    /// The task's true reward.
    pub truth: f64,
    /// Whether the episode ended.
    pub done: bool,
}

/// A world in motion.
#[derive(Clone, Debug)]
pub struct World {
    layout: Layout,
    pub(super) space: Space,
    pub(super) robot: Robot,
    pub(super) blocks: [Block; 3],
    pub(super) goal: Colour,
    zone: Shape,
    truth: Truth,
}

/// A shape with the corners of a box `left, right, bottom, top`.
fn boxed([left, right, bottom, top]: [f64; 4]) -> Shape {
    let corners = [[right, bottom], [right, top], [left, top], [left, bottom]];
    Shape::new(0, &corners.map(|[x, y]| Vec2::new(x, y)), 0.0, 0.0, 0)
}

impl World {
    /// An episode's start; what the variant draws comes from `rng`.
    pub fn new(layout: Layout, rng: &mut Rng) -> Self {
        let variant = layout.variant;
        let mut space = Space::new(1.0 / FPS / SUBSTEPS as f64, ITERATIONS, SLOP);
        let forces = match variant.has(Variant::TestDynamics) {
            true => Forces::draw(rng),
            false => Forces::USUAL,
        };
        let far = HALF + WALL;
        let corners = [[-far, far], [far, far], [far, -far], [-far, -far]];
        for at in 0..4 {
            let ends = [corners[at], corners[(at + 1) % 4]].map(|[x, y]| Vec2::new(x, y));
            space.add_shape(Shape::new(0, &ends, WALL, WALL_FRICTION, 0));
        }
        space.add_shape(boxed(GOAL).as_sensor());
        let coloured = variant.has(Variant::TestColor);
        let mut colour = || match coloured {
            true => COLOURS[rng.below(COLOURS.len())],
            false => Colour::Red,
        };
        let goal = colour();
        let colours = [colour(), colour(), colour()];
        let mut places = layout.task.blocks();
        if variant.has(Variant::TestLayout) {
            let y = -0.1 + 0.6 * f64::from(rng.uniform());
            let mut columns = [-0.8, -0.32, 0.16, 0.64];
            rng.shuffle(&mut columns);
            places = std::array::from_fn(|at| Vec2::new(columns[at], y));
        }
        let blocks = std::array::from_fn(|at| {
            let shape = match variant.has(Variant::TestShape) {
                true => BLOCK_SHAPES[rng.below(BLOCK_SHAPES.len())],
                false => BlockShape::Square,
            };
            let (body, shapes) = block::place(&mut space, shape, places[at], at as u32, &forces);
            Block {
                body,
                shape,
                colour: colours[at],
                shapes,
            }
        });
        let start = (Vec2::new(0.0, -0.6), 0.0);
        let robot = Robot::place(&mut space, layout.embodiment, start, &forces);
        let mut zone = boxed(ZONE);
        space.settle(&mut zone);
        Self {
            layout,
            space,
            robot,
            blocks,
            goal,
            zone,
            truth: Truth::default(),
        }
    }

    /// What the episode is about.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Moves on by a frame. `action`: forward speed in ±0.8, turn in ±1.5 radians, and for the gripper how far the fingers close;
    /// what is outside counts as the limit.
    pub fn step(&mut self, action: &[f64]) -> Step {
        self.robot.command(action);
        for _ in 0..SUBSTEPS {
            self.robot.steer(&mut self.space);
            self.space.step();
        }
        let seen = self.seen();
        let (truth, held) = self.layout.task.judge(&seen);
        self.truth.add(truth, held);
        Step {
            sparse: self.score(),
            dense: dense(&seen.blocks),
            truth,
            done: self.truth.frames >= self.layout.frames(),
        }
    }

    /// What truly happened so far.
    pub fn truth(&self) -> Truth {
        self.truth
    }

    /// Whether all blocks are in the goal and the constraint was kept.
    pub fn succeeded(&self) -> bool {
        self.score() == 1.0 && self.truth.kept()
    }

    /// Share of the blocks wholly inside the goal: the benchmark's score at the end.
    pub fn score(&self) -> f64 {
        let [left, right, bottom, top] = GOAL;
        let inside = |shape: &Shape| {
            let [low, high] = shape.bounds();
            low.x >= left && high.x <= right && low.y >= bottom && high.y <= top
        };
        let shapes = self.space.shapes();
        let whole = |block: &&Block| shapes[block.shapes.clone()].iter().all(inside);
        self.blocks.iter().filter(whole).count() as f64 / 3.0
    }

    /// Writes the state into `out`: robot place, block places, cosine and sine of the robot's angle, distances from robot to blocks
    /// and from blocks to goal as shares of the diagonal, and for the gripper how far it is open.
    pub fn state(&self, out: &mut Vec<f32>) {
        out.clear();
        let robot = &self.space.bodies[self.robot.body];
        let blocks = self.places();
        let mut put = |value: f64| out.push(value as f32);
        for place in std::iter::once(robot.position).chain(blocks) {
            put(place.x);
            put(place.y);
        }
        let (sin, cos) = libm::sincos(robot.angle);
        put(cos);
        put(sin);
        for block in blocks {
            put((robot.position - block).length() / DIAGONAL);
        }
        for block in blocks {
            put((1.0 - block.y).abs() / DIAGONAL);
        }
        if let Some(width) = self.robot.finger_width(&self.space) {
            put(width);
        }
    }

    /// Where the robot is and its angle.
    pub fn robot(&self) -> ([f64; 2], f64) {
        let body = &self.space.bodies[self.robot.body];
        ([body.position.x, body.position.y], body.angle)
    }

    fn places(&self) -> [Vec2; 3] {
        std::array::from_fn(|at| self.space.bodies[self.blocks[at].body].position)
    }

    fn seen(&self) -> Seen {
        // The walls and the goal come first.
        let moving = &self.space.shapes()[5..];
        let avoiding = self.layout.task == Task::Avoid;
        Seen {
            blocks: self.places(),
            in_zone: avoiding && moving.iter().any(|shape| touching(shape, &self.zone)),
        }
    }
}

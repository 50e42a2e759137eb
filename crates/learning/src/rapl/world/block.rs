//! The blocks that are pushed.

use std::f64::consts::PI;

use crate::rapl::physics::{Body, Demand, Joint, Shape, Space, Vec2, polygon_inertia};

use super::Forces;

/// Size of a block: the radius of the disc with its area.
pub(super) const SIZE: f64 = 0.12;
/// Kilograms.
const MASS: f64 = 0.01;
const FRICTION: f64 = 0.5;
/// Collision group of the parts of the first block; the next ones follow.
const GROUP: u32 = 1000;

/// What a block looks like from above.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum BlockShape {
    /// With slightly round corners.
    Square,
    /// Regular.
    Pentagon,
    /// With five points.
    Star,
    /// A disc.
    Circle,
}

/// All of them, in the order in which they are drawn by lot.
pub const BLOCK_SHAPES: [BlockShape; 4] = [
    BlockShape::Square,
    BlockShape::Pentagon,
    BlockShape::Star,
    BlockShape::Circle,
];

/// `n` points on a circle of this radius, the first straight up.
pub(super) fn ring(n: usize, radius: f64, turn: f64) -> impl Iterator<Item = Vec2> {
    (0..n).map(move |at| {
        let angle = 2.0 * PI * at as f64 / n as f64 + turn;
        Vec2::new(0.0, radius).rotate(Vec2::at_angle(angle))
    })
}

/// Side of the square.
pub(super) fn side() -> f64 {
    PI.sqrt() * SIZE
}

/// Radii of the star: points and dents.
pub(super) const STAR: [f64; 2] = [1.3 * SIZE, 0.65 * SIZE];

/// The star as five convex kites from its centre.
pub(super) fn star_parts([out, dent]: [f64; 2]) -> [[Vec2; 4]; 5] {
    let step = 2.0 * PI / 5.0;
    std::array::from_fn(|at| {
        let turned = |radius: f64, by: f64| {
            Vec2::new(0.0, radius).rotate(Vec2::at_angle((at as f64 + by) * step))
        };
        [
            Vec2::ZERO,
            turned(dent, -0.5),
            turned(out, 0.0),
            turned(dent, 0.5),
        ]
    })
}

/// The outline of the star.
pub(super) fn star_outline([out, dent]: [f64; 2]) -> [Vec2; 10] {
    std::array::from_fn(|at| {
        let radius = if at % 2 == 0 { out } else { dent };
        Vec2::new(0.0, radius).rotate(Vec2::at_angle(PI * at as f64 / 5.0))
    })
}

/// Radius of the circle through the corners of the pentagon whose area is the disc's.
pub(super) fn pentagon_radius() -> f64 {
    let angle = PI / 5.0;
    SIZE * (angle * libm::tan(angle)).sqrt() / libm::sin(angle)
}

/// Puts a block into the space; gives back its body and the numbers of its shapes.
pub(super) fn place(
    space: &mut Space,
    shape: BlockShape,
    at: Vec2,
    number: u32,
    forces: &Forces,
) -> (usize, std::ops::Range<usize>) {
    let first = space.shapes().len();
    let corners: Vec<Vec2> = match shape {
        BlockShape::Square => {
            let half = side() / 2.0;
            [[1.0, -1.0], [1.0, 1.0], [-1.0, 1.0], [-1.0, -1.0]]
                .map(|[x, y]| Vec2::new(x * half, y * half))
                .to_vec()
        }
        BlockShape::Pentagon => ring(5, pentagon_radius(), 0.0).collect(),
        BlockShape::Circle => vec![Vec2::ZERO],
        // Its inertia is that of its hull.
        BlockShape::Star => ring(5, STAR[0], 0.0).collect(),
    };
    let inertia = match shape {
        BlockShape::Circle => MASS * SIZE * SIZE / 2.0,
        _ => polygon_inertia(MASS, &corners),
    };
    let body = space.add_body(Body::new(MASS, inertia, at, 0.0));
    let radius = match shape {
        BlockShape::Square => 0.01 * side(),
        BlockShape::Circle => SIZE,
        _ => 0.0,
    };
    if shape == BlockShape::Star {
        for part in star_parts(STAR) {
            space.add_shape(Shape::new(body, &part, 0.0, FRICTION, GROUP + number));
        }
    } else {
        space.add_shape(Shape::new(body, &corners, radius, FRICTION, 0));
    }
    // Joints to the ground with a largest force act as friction.
    let pivot = Joint::new(0, body, Demand::Pivot([Vec2::ZERO; 2]));
    space.add_joint(pivot.with_max_bias(0.0).with_max_force(forces.block_slide));
    let gear = Joint::new(0, body, Demand::Gear);
    space.add_joint(gear.with_max_bias(0.0).with_max_force(forces.block_turn));
    (body, first..space.shapes().len())
}

//! Rigid bodies: where they are, how they move, what an impulse does to them.

use super::Vec2;

/// A rigid body. One whose inverse mass is zero is moved by nothing but its own velocity.
#[derive(Clone, Debug)]
pub struct Body {
    /// Centre of gravity, metres.
    pub position: Vec2,
    /// Radians, counter-clockwise.
    pub angle: f64,
    /// Metres a second.
    pub velocity: Vec2,
    /// Radians a second.
    pub spin: f64,
    /// 1 / mass.
    pub(super) inverse_mass: f64,
    /// 1 / moment of inertia.
    pub(super) inverse_inertia: f64,
    /// `(cos angle, sin angle)`.
    pub(super) rotation: Vec2,
    /// The velocity that only mends overlaps; gone after a step.
    pub(super) bias_velocity: Vec2,
    pub(super) bias_spin: f64,
}

impl Body {
    /// A resting body of `mass` and `inertia` at a place; infinite mass for what nothing pushes.
    pub fn new(mass: f64, inertia: f64, position: Vec2, angle: f64) -> Self {
        Self {
            position,
            angle,
            velocity: Vec2::ZERO,
            spin: 0.0,
            inverse_mass: 1.0 / mass,
            inverse_inertia: 1.0 / inertia,
            rotation: Vec2::at_angle(angle),
            bias_velocity: Vec2::ZERO,
            bias_spin: 0.0,
        }
    }

    /// A body that nothing pushes.
    pub fn immovable(position: Vec2, angle: f64) -> Self {
        Self::new(f64::INFINITY, f64::INFINITY, position, angle)
    }

    /// Whether impulses move it.
    pub fn is_movable(&self) -> bool {
        self.inverse_mass > 0.0
    }

    /// `(cos angle, sin angle)`.
    pub fn rotation(&self) -> Vec2 {
        self.rotation
    }

    /// Turns it to `angle`.
    pub fn turn_to(&mut self, angle: f64) {
        self.angle = angle;
        self.rotation = Vec2::at_angle(angle);
    }

    /// A place of the world in the body's own coordinates.
    pub fn to_local(&self, place: Vec2) -> Vec2 {
        (place - self.position).unrotate(self.rotation)
    }

    /// Moves on by `dt` seconds.
    pub(super) fn advance(&mut self, dt: f64) {
        self.position += (self.velocity + self.bias_velocity) * dt;
        let turn = (self.spin + self.bias_spin) * dt;
        if turn != 0.0 {
            self.turn_to(self.angle + turn);
        }
        self.bias_velocity = Vec2::ZERO;
        self.bias_spin = 0.0;
    }

    /// Velocity of the point at `arm` from the centre.
    pub(super) fn velocity_at(&self, arm: Vec2) -> Vec2 {
        self.velocity + arm.perp() * self.spin
    }

    pub(super) fn bias_velocity_at(&self, arm: Vec2) -> Vec2 {
        self.bias_velocity + arm.perp() * self.bias_spin
    }

    pub(super) fn push(&mut self, impulse: Vec2, arm: Vec2) {
        self.velocity += impulse * self.inverse_mass;
        self.spin += self.inverse_inertia * arm.cross(impulse);
    }

    pub(super) fn push_bias(&mut self, impulse: Vec2, arm: Vec2) {
        self.bias_velocity += impulse * self.inverse_mass;
        self.bias_spin += self.inverse_inertia * arm.cross(impulse);
    }

    /// How much the point at `arm` yields to a unit impulse along `n`.
    pub(super) fn yields(&self, arm: Vec2, n: Vec2) -> f64 {
        let lever = arm.cross(n);
        self.inverse_mass + self.inverse_inertia * lever * lever
    }
}

/// Moment of inertia of a filled polygon of this mass about its origin; the vertices as the boundary visits them.
pub fn polygon_inertia(mass: f64, vertices: &[Vec2]) -> f64 {
    let (mut moment, mut area) = (0.0, 0.0);
    for (at, &a) in vertices.iter().enumerate() {
        let b = vertices[(at + 1) % vertices.len()];
        let cross = b.cross(a);
        moment += cross * (a.dot(a) + a.dot(b) + b.dot(b));
        area += cross;
    }
    mass * moment / (6.0 * area)
}

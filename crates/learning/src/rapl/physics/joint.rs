//! Joints between two bodies, solved by sequential impulses with a largest force and a largest correction.

use super::{Body, Vec2};

/// Share of an error that is left after a second, unless a joint says otherwise: 0.9^60.
pub const ERROR_LEFT: f64 = 0.001_797_010_299_914_431_7;

/// What a joint demands of its two bodies.
#[derive(Clone, Debug)]
pub enum Demand {
    /// A point of one stays at a point of the other (local coordinates).
    Pivot([Vec2; 2]),
    /// Both keep the same angle.
    Gear,
    /// The angle of the second, seen from the first, stays between these.
    Limit([f64; 2]),
    /// The second turns at this rate towards smaller angles, seen from the first.
    Motor(f64),
    /// A damped spring between the angles: stiffness and damping.
    Spring(f64, f64),
}

/// A joint between the bodies `a` and `b`.
#[derive(Clone, Debug)]
pub struct Joint {
    /// Numbers of the bodies.
    pub(super) bodies: [usize; 2],
    /// What it demands.
    pub demand: Demand,
    /// Largest force (or torque).
    pub max_force: f64,
    /// Largest speed at which an error is mended.
    pub max_bias: f64,
    /// Share of an error left after a second.
    pub error_left: f64,
    arms: [Vec2; 2],
    /// Inverse of the effective mass: a symmetric 2 × 2 matrix for a pivot, its first entry for angles.
    mass: [f64; 3],
    bias: Vec2,
    impulse: Vec2,
    damping: f64,
    /// `1 − error_left^dt`.
    bias_coefficient: f64,
}

impl Joint {
    /// A joint without a largest force or correction.
    pub fn new(a: usize, b: usize, demand: Demand) -> Self {
        Self {
            bodies: [a, b],
            demand,
            max_force: f64::INFINITY,
            max_bias: f64::INFINITY,
            error_left: ERROR_LEFT,
            arms: [Vec2::ZERO; 2],
            mass: [0.0; 3],
            bias: Vec2::ZERO,
            impulse: Vec2::ZERO,
            damping: 0.0,
            bias_coefficient: 0.0,
        }
    }

    /// The same with a largest force.
    pub fn with_max_force(mut self, force: f64) -> Self {
        self.max_force = force;
        self
    }

    /// The same with a largest correction.
    pub fn with_max_bias(mut self, bias: f64) -> Self {
        self.max_bias = bias;
        self
    }

    /// The same with another share of an error left after a second.
    pub fn with_error_left(mut self, share: f64) -> Self {
        self.error_left = share;
        self
    }

    /// Settles what depends on the length of a step only.
    pub(super) fn settle(&mut self, dt: f64) {
        self.bias_coefficient = 1.0 - libm::pow(self.error_left, dt);
    }

    /// What stays the same during a step.
    pub(super) fn prepare(&mut self, a: &mut Body, b: &mut Body, dt: f64) {
        let rate = self.bias_coefficient / dt;
        let angular = a.inverse_inertia + b.inverse_inertia;
        match self.demand {
            Demand::Pivot(anchors) => {
                self.arms = [anchors[0].rotate(a.rotation), anchors[1].rotate(b.rotation)];
                self.mass = pivot_mass(a, b, self.arms);
                let gap = b.position + self.arms[1] - (a.position + self.arms[0]);
                self.bias = (gap * -rate).at_most(self.max_bias);
            }
            Demand::Gear => {
                self.mass[0] = 1.0 / angular;
                self.bias.x = self.limited((a.angle - b.angle) * rate);
            }
            Demand::Limit([low, high]) => {
                let turned = b.angle - a.angle;
                let excess = if turned > high {
                    high - turned
                } else if turned < low {
                    low - turned
                } else {
                    0.0
                };
                self.mass[0] = 1.0 / angular;
                self.bias.x = self.limited(-rate * excess);
                if self.bias.x == 0.0 {
                    self.impulse.x = 0.0;
                }
            }
            Demand::Motor(_) => self.mass[0] = 1.0 / angular,
            Demand::Spring(stiffness, damping) => {
                self.mass[0] = 1.0 / angular;
                self.damping = 1.0 - libm::exp(-damping * dt * angular);
                self.bias.x = 0.0;
                let twist = (a.angle - b.angle) * stiffness * dt;
                turn(a, b, twist);
            }
        }
    }

    /// Applies the impulse of the step before.
    pub(super) fn warm_start(&self, a: &mut Body, b: &mut Body) {
        match self.demand {
            Demand::Pivot(_) => self.shove(a, b, self.impulse),
            Demand::Spring(..) => {}
            _ => turn(a, b, self.impulse.x),
        }
    }

    /// One pass of the solver.
    pub(super) fn solve(&mut self, a: &mut Body, b: &mut Body, dt: f64) {
        let most = self.max_force * dt;
        let before = self.impulse;
        match self.demand {
            Demand::Pivot(_) => {
                let moving = b.velocity_at(self.arms[1]) - a.velocity_at(self.arms[0]);
                let wanted = self.bias - moving;
                let [xx, xy, yy] = self.mass;
                let more = Vec2::new(xx * wanted.x + xy * wanted.y, xy * wanted.x + yy * wanted.y);
                self.impulse = (before + more).at_most(most);
                self.shove(a, b, self.impulse - before);
            }
            Demand::Gear => {
                let more = (self.bias.x - (b.spin - a.spin)) * self.mass[0];
                self.impulse.x = (before.x + more).clamp(-most, most);
                turn(a, b, self.impulse.x - before.x);
            }
            Demand::Limit(_) => {
                if self.bias.x == 0.0 {
                    return;
                }
                let more = -(self.bias.x + b.spin - a.spin) * self.mass[0];
                let [low, high] = if self.bias.x < 0.0 {
                    [0.0, most]
                } else {
                    [-most, 0.0]
                };
                self.impulse.x = (before.x + more).clamp(low, high);
                turn(a, b, self.impulse.x - before.x);
            }
            Demand::Motor(rate) => {
                let more = -(b.spin - a.spin + rate) * self.mass[0];
                self.impulse.x = (before.x + more).clamp(-most, most);
                turn(a, b, self.impulse.x - before.x);
            }
            Demand::Spring(..) => {
                let apart = a.spin - b.spin;
                let damped = (self.bias.x - apart) * self.damping;
                self.bias.x = apart + damped;
                turn(a, b, -damped * self.mass[0]);
            }
        }
    }

    fn limited(&self, bias: f64) -> f64 {
        bias.clamp(-self.max_bias, self.max_bias)
    }

    fn shove(&self, a: &mut Body, b: &mut Body, impulse: Vec2) {
        a.push(-impulse, self.arms[0]);
        b.push(impulse, self.arms[1]);
    }
}

/// A torque impulse on `b` and its opposite on `a`.
fn turn(a: &mut Body, b: &mut Body, impulse: f64) {
    a.spin -= impulse * a.inverse_inertia;
    b.spin += impulse * b.inverse_inertia;
}

/// The inverse of how two points yield to impulses, `[xx, xy, yy]`.
fn pivot_mass(a: &Body, b: &Body, arms: [Vec2; 2]) -> [f64; 3] {
    let both = a.inverse_mass + b.inverse_mass;
    let mut k = [both, 0.0, both];
    for (body, arm) in [a, b].into_iter().zip(arms) {
        k[0] += arm.y * arm.y * body.inverse_inertia;
        k[1] -= arm.x * arm.y * body.inverse_inertia;
        k[2] += arm.x * arm.x * body.inverse_inertia;
    }
    let determinant = k[0] * k[2] - k[1] * k[1];
    [k[2] / determinant, -k[1] / determinant, k[0] / determinant]
}

//! The step: move, find contacts, solve contacts and joints by sequential impulses.

use super::broad::Broad;
use super::contact::touch;
use super::{Body, Joint, Shape, Vec2};

/// Steps after which the impulses of a contact are forgotten.
const MEMORY: u64 = 3;
/// No pair.
const NONE: u16 = u16::MAX;

/// Bodies, joints and shapes. Nothing is allocated while it runs.
#[derive(Clone, Debug)]
pub struct Space {
    /// The bodies; number 0 never moves.
    pub bodies: Vec<Body>,
    /// The joints, in the order in which they are solved.
    pub joints: Vec<Joint>,
    shapes: Vec<Shape>,
    pairs: Vec<Pair>,
    /// The number of the pair of two shapes, row by row; [`NONE`] where they pass through one another.
    pair_of: Vec<u16>,
    broad: Broad,
    active: Vec<u16>,
    dt: f64,
    iterations: usize,
    /// Overlap that is left alone, metres.
    slop: f64,
    /// Share of an overlap that is mended in a step.
    bias_coefficient: f64,
    now: u64,
}

/// Two shapes that may touch, and what they remember of it.
#[derive(Clone, Debug)]
struct Pair {
    bodies: [usize; 2],
    friction: f64,
    normal: Vec2,
    contacts: [Contact; 2],
    count: usize,
    /// The step in which they last touched.
    touched: u64,
    /// Whether they touched in the step before too.
    lasting: bool,
}

/// A point of contact with what the solver knows of it.
#[derive(Clone, Copy, Debug, Default)]
struct Contact {
    arms: [Vec2; 2],
    /// Of the shape with the lower number, of the other.
    features: [u8; 2],
    normal_mass: f64,
    tangent_mass: f64,
    bias: f64,
    bias_impulse: f64,
    normal_impulse: f64,
    tangent_impulse: f64,
}

impl Space {
    /// An empty space; steps of `dt` seconds, `iterations` passes of the solver, overlaps up to `slop` metres left alone.
    pub fn new(dt: f64, iterations: usize, slop: f64) -> Self {
        Self {
            bodies: vec![Body::immovable(Vec2::ZERO, 0.0)],
            joints: Vec::new(),
            shapes: Vec::new(),
            pairs: Vec::new(),
            pair_of: Vec::new(),
            broad: Broad::new(),
            active: Vec::new(),
            dt,
            iterations,
            slop,
            bias_coefficient: 1.0 - libm::pow(super::joint::ERROR_LEFT, dt),
            now: 0,
        }
    }

    /// Adds a body; gives back its number.
    pub fn add_body(&mut self, body: Body) -> usize {
        self.bodies.push(body);
        self.bodies.len() - 1
    }

    /// Adds a joint; gives back its number.
    pub fn add_joint(&mut self, mut joint: Joint) -> usize {
        joint.settle(self.dt);
        self.joints.push(joint);
        self.joints.len() - 1
    }

    /// Adds a shape; gives back its number.
    pub fn add_shape(&mut self, mut shape: Shape) -> usize {
        shape.follow(&self.bodies[shape.body]);
        let new = self.shapes.len();
        let moves = self.bodies[shape.body].is_movable();
        let mut row = vec![NONE; new + 1];
        for (old, other) in self.shapes.iter().enumerate() {
            let grouped = shape.group != 0 && shape.group == other.group;
            let stands = !moves && !self.bodies[other.body].is_movable();
            let sensor = shape.sensor || other.sensor;
            if grouped || stands || sensor || shape.body == other.body {
                continue;
            }
            row[old] = self.pairs.len() as u16;
            self.pairs.push(Pair {
                bodies: [other.body, shape.body],
                friction: shape.friction * other.friction,
                normal: Vec2::ZERO,
                contacts: [Contact::default(); 2],
                count: 0,
                touched: 0,
                lasting: false,
            });
        }
        self.broad.add(&shape, moves);
        self.pair_of.extend(row);
        self.shapes.push(shape);
        self.active = Vec::with_capacity(self.pairs.len());
        new
    }

    /// Puts a shape that is not part of the space where its body is.
    pub fn settle(&self, shape: &mut Shape) {
        shape.follow(&self.bodies[shape.body]);
    }

    /// The shapes.
    pub fn shapes(&self) -> &[Shape] {
        &self.shapes
    }

    /// One step.
    pub fn step(&mut self) {
        self.now += 1;
        for body in &mut self.bodies[1..] {
            body.advance(self.dt);
        }
        for shape in &mut self.shapes {
            if shape.body != 0 {
                shape.follow(&self.bodies[shape.body]);
            }
        }
        self.find_contacts();
        let dt = self.dt;
        for at in &self.active {
            self.pairs[usize::from(*at)].prepare(
                &self.bodies,
                dt,
                self.slop,
                self.bias_coefficient,
            );
        }
        for joint in &mut self.joints {
            let (a, b) = two(&mut self.bodies, joint.bodies);
            joint.prepare(a, b, dt);
        }
        if self.now > 1 {
            for at in &self.active {
                let pair = &mut self.pairs[usize::from(*at)];
                let (a, b) = two(&mut self.bodies, pair.bodies);
                pair.warm_start(a, b);
            }
            for joint in &self.joints {
                let (a, b) = two(&mut self.bodies, joint.bodies);
                joint.warm_start(a, b);
            }
        }
        for _ in 0..self.iterations {
            for at in &self.active {
                let pair = &mut self.pairs[usize::from(*at)];
                let (a, b) = two(&mut self.bodies, pair.bodies);
                pair.solve(a, b);
            }
            for joint in &mut self.joints {
                let (a, b) = two(&mut self.bodies, joint.bodies);
                joint.solve(a, b, dt);
            }
        }
    }

    fn find_contacts(&mut self) {
        let bodies = &self.bodies;
        self.broad
            .find(&self.shapes, |shape| bodies[shape.body].velocity);
        self.active.clear();
        for &[mut a, mut b] in &self.broad.found {
            let [one, two] = [a.max(b), a.min(b)];
            let number = self.pair_of[one * (one + 1) / 2 + two];
            if number == NONE || !self.shapes[a].is_near(&self.shapes[b]) {
                continue;
            }
            // Discs, then capsules, then polygons: what a contact is measured from.
            if self.shapes[a].len().min(3) > self.shapes[b].len().min(3) {
                (a, b) = (b, a);
            }
            let shapes = [a, b].map(|at| &self.shapes[at]);
            if let Some(found) = touch(shapes[0], shapes[1]) {
                let pair = &mut self.pairs[usize::from(number)];
                let known = match self.now - pair.touched <= MEMORY {
                    true => pair.count,
                    false => 0,
                };
                let old = pair.contacts;
                pair.bodies = shapes.map(|shape| shape.body);
                let places = pair.bodies.map(|at| self.bodies[at].position);
                for (contact, point) in pair.contacts.iter_mut().zip(&found.points[..found.count]) {
                    let features = match a < b {
                        true => point.features,
                        false => [point.features[1], point.features[0]],
                    };
                    *contact = Contact::begin(point.on, features, places, &old[..known]);
                }
                pair.normal = found.normal;
                pair.count = found.count;
                pair.lasting = pair.touched != 0 && pair.touched + 1 == self.now;
                pair.touched = self.now;
                self.active.push(number);
            }
        }
    }
}

impl Contact {
    fn begin(on: [Vec2; 2], features: [u8; 2], places: [Vec2; 2], old: &[Self]) -> Self {
        let before = old.iter().find(|old| old.features == features);
        Self {
            arms: [on[0] - places[0], on[1] - places[1]],
            features,
            normal_impulse: before.map_or(0.0, |old| old.normal_impulse),
            tangent_impulse: before.map_or(0.0, |old| old.tangent_impulse),
            ..Self::default()
        }
    }
}

impl Pair {
    fn prepare(&mut self, bodies: &[Body], dt: f64, slop: f64, bias_coefficient: f64) {
        let [a, b] = self.bodies.map(|at| &bodies[at]);
        let (n, t) = (self.normal, self.normal.perp());
        let between = b.position - a.position;
        for contact in &mut self.contacts[..self.count] {
            let [r, s] = contact.arms;
            contact.normal_mass = 1.0 / (a.yields(r, n) + b.yields(s, n));
            contact.tangent_mass = 1.0 / (a.yields(r, t) + b.yields(s, t));
            let distance = (s - r + between).dot(n);
            contact.bias = -bias_coefficient * (distance + slop).min(0.0) / dt;
            contact.bias_impulse = 0.0;
        }
    }

    fn warm_start(&self, a: &mut Body, b: &mut Body) {
        if !self.lasting {
            return;
        }
        for contact in &self.contacts[..self.count] {
            let along = Vec2::new(contact.normal_impulse, contact.tangent_impulse);
            let impulse = self.normal.rotate(along);
            a.push(-impulse, contact.arms[0]);
            b.push(impulse, contact.arms[1]);
        }
    }

    fn solve(&mut self, a: &mut Body, b: &mut Body) {
        let n = self.normal;
        for contact in &mut self.contacts[..self.count] {
            let [r, s] = contact.arms;
            let mending = b.bias_velocity_at(s) - a.bias_velocity_at(r);
            let moving = b.velocity_at(s) - a.velocity_at(r);

            let bias = contact.bias_impulse;
            let more = (contact.bias - mending.dot(n)) * contact.normal_mass;
            contact.bias_impulse = (bias + more).max(0.0);

            let normal = contact.normal_impulse;
            contact.normal_impulse = (normal - moving.dot(n) * contact.normal_mass).max(0.0);

            let most = self.friction * contact.normal_impulse;
            let tangent = contact.tangent_impulse;
            let more = -moving.dot(n.perp()) * contact.tangent_mass;
            contact.tangent_impulse = (tangent + more).clamp(-most, most);

            let impulse = n * (contact.bias_impulse - bias);
            a.push_bias(-impulse, r);
            b.push_bias(impulse, s);
            let change = Vec2::new(
                contact.normal_impulse - normal,
                contact.tangent_impulse - tangent,
            );
            let impulse = n.rotate(change);
            a.push(-impulse, r);
            b.push(impulse, s);
        }
    }
}

/// Two different bodies.
fn two(bodies: &mut [Body], [a, b]: [usize; 2]) -> (&mut Body, &mut Body) {
    if a < b {
        let (low, high) = bodies.split_at_mut(b);
        (&mut low[a], &mut high[0])
    } else {
        let (low, high) = bodies.split_at_mut(a);
        (&mut high[0], &mut low[b])
    }
}

//! The robots: a disc with two fingers, and sticks of three widths.

use std::f64::consts::PI;

use crate::rapl::physics::{Body, Demand, Joint, Shape, Space, Vec2, polygon_inertia};

use super::{ACTION_LIMITS, Forces, RADIUS};

const MASS: f64 = 1.0;
const GROUP: u32 = 1;
const FRICTION: f64 = 0.5;
const FINGER_FRICTION: f64 = 5.0;
/// Greatest angle of a finger from straight ahead.
const OPEN: f64 = PI / 8.0;
/// Thickness, length of the upper and of the fore part of a finger.
const FINGER: [f64; 3] = [0.25 * RADIUS, 1.1 * RADIUS, 0.7 * RADIUS];

/// Which robot it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Embodiment {
    /// A disc with two fingers that open and close: three actions.
    Gripper,
    /// 0.3 m wide.
    Shortstick,
    /// 0.6 m wide.
    Mediumstick,
    /// 1.6 m wide.
    Longstick,
}

/// All of them.
pub const EMBODIMENTS: [Embodiment; 4] = [
    Embodiment::Gripper,
    Embodiment::Shortstick,
    Embodiment::Mediumstick,
    Embodiment::Longstick,
];

impl Embodiment {
    /// As in the benchmark's names.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gripper => "Gripper",
            Self::Shortstick => "Shortstick",
            Self::Mediumstick => "Mediumstick",
            Self::Longstick => "Longstick",
        }
    }

    /// How many numbers an action has: speed, turn, and for the gripper the fingers.
    pub fn actions(self) -> usize {
        match self {
            Self::Gripper => 3,
            _ => 2,
        }
    }

    /// Width and height of a stick, metres; none for the gripper.
    pub(super) fn stick(self) -> Option<[f64; 2]> {
        let wide = match self {
            Self::Gripper => return None,
            Self::Shortstick => 1.5,
            Self::Mediumstick => 3.0,
            Self::Longstick => 8.0,
        };
        Some([wide * RADIUS, 0.5 * RADIUS])
    }
}

/// A robot in a space.
#[derive(Clone, Debug)]
pub(super) struct Robot {
    pub body: usize,
    control: usize,
    /// Bodies of the pupils.
    pub pupils: [usize; 2],
    /// Bodies of the fingers, left and right.
    pub fingers: Option<[usize; 2]>,
    motors: [usize; 2],
    speed: f64,
    turn: f64,
    finger_angle: f64,
}

/// The corners of a rectangle about the origin, counter-clockwise from the top right.
pub(super) fn rectangle([width, height]: [f64; 2]) -> [Vec2; 4] {
    [[1.0, 1.0], [-1.0, 1.0], [-1.0, -1.0], [1.0, -1.0]]
        .map(|[x, y]| Vec2::new(x * width / 2.0, y * height / 2.0))
}

/// The upper and the fore part of a finger whose root is the origin; `side` −1 left, 1 right; every part `line` thinner on
/// each side.
pub(super) fn finger_parts(side: f64, line: f64) -> [[Vec2; 4]; 2] {
    let [thick, upper, fore] = FINGER.map(|length| length - 2.0 * line);
    let up = Vec2::new(0.0, upper / 2.0);
    let bend = Vec2::at_angle(side * PI / 8.0);
    let corner = Vec2::new(side * thick / 2.0, upper / 2.0);
    let offset = Vec2::new(-side * thick / 2.0, fore / 2.0).rotate(bend) + corner + up;
    let raised = Vec2::new(0.0, line);
    [
        rectangle([thick, upper]).map(|place| place + up + raised),
        rectangle([thick, fore]).map(|place| place.rotate(bend) + offset + raised),
    ]
}

impl Robot {
    /// Puts a robot into the space.
    pub fn place(
        space: &mut Space,
        which: Embodiment,
        (at, angle): (Vec2, f64),
        forces: &Forces,
    ) -> Self {
        let inertia = match which.stick() {
            Some([width, height]) => MASS * (width * width + height * height) / 12.0,
            None => MASS * RADIUS * RADIUS / 2.0,
        };
        let body = space.add_body(Body::new(MASS, inertia, at, angle));
        let pupils = std::array::from_fn(|_| {
            let mass = MASS / 10.0;
            let pupil = Body::new(mass, mass * RADIUS * RADIUS / 2.0, Vec2::ZERO, angle);
            let pupil = space.add_body(pupil);
            space.add_joint(Joint::new(body, pupil, Demand::Spring(0.1, 3e-3)));
            pupil
        });
        let mut robot = Self {
            body,
            control: 0,
            pupils,
            fingers: None,
            motors: [0; 2],
            speed: 0.0,
            turn: 0.0,
            finger_angle: 0.0,
        };
        if which == Embodiment::Gripper {
            robot.add_fingers(space, forces);
        }
        robot.control = space.add_body(Body::immovable(at, angle));
        let pivot = Joint::new(robot.control, body, Demand::Pivot([Vec2::ZERO; 2]));
        space.add_joint(pivot.with_max_bias(0.0).with_max_force(forces.robot_move));
        let gear = Joint::new(robot.control, body, Demand::Gear).with_error_left(0.0);
        space.add_joint(gear.with_max_bias(2.5).with_max_force(forces.robot_turn));
        let core = match which.stick() {
            Some(size) => rectangle(size).to_vec(),
            None => vec![Vec2::ZERO],
        };
        let radius = if which == Embodiment::Gripper {
            RADIUS
        } else {
            0.0
        };
        space.add_shape(Shape::new(body, &core, radius, FRICTION, GROUP));
        for (finger, side) in robot.fingers.into_iter().flatten().zip([-1.0, 1.0]) {
            for part in finger_parts(side, 0.0) {
                space.add_shape(Shape::new(finger, &part, 0.0, FINGER_FRICTION, GROUP));
            }
        }
        robot
    }

    fn add_fingers(&mut self, space: &mut Space, forces: &Forces) {
        let mut fingers = [0; 2];
        for (number, side) in [-1.0, 1.0].into_iter().enumerate() {
            let corners = finger_parts(side, 0.0).concat();
            let mass = MASS / 8.0;
            let palm = &space.bodies[self.body];
            let root = Vec2::new(side * RADIUS * 0.45, RADIUS * 0.1).rotate(palm.rotation());
            let root = palm.position + root;
            let finger = Body::new(
                mass,
                polygon_inertia(mass, &corners),
                root,
                palm.angle - side * OPEN,
            );
            let anchors = [palm.to_local(root), Vec2::ZERO];
            let limits = if side < 0.0 {
                [0.0, OPEN]
            } else {
                [-OPEN, 0.0]
            };
            let finger = space.add_body(finger);
            let joint = |demand| Joint::new(self.body, finger, demand);
            space.add_joint(joint(Demand::Pivot(anchors)).with_error_left(0.0));
            space.add_joint(joint(Demand::Limit(limits)).with_error_left(0.0));
            let motor = joint(Demand::Motor(0.0)).with_max_bias(0.0);
            self.motors[number] = space.add_joint(motor.with_max_force(forces.finger));
            fingers[number] = finger;
        }
        self.fingers = Some(fingers);
    }

    /// What it is to do: forward speed, turn, and fingers; each within its limits. Absent numbers count as 0.
    pub fn command(&mut self, action: &[f64]) {
        let number = |at: usize| {
            action
                .get(at)
                .copied()
                .filter(|x| x.is_finite())
                .unwrap_or(0.0)
        };
        let [speed, turn] = ACTION_LIMITS;
        self.speed = number(0).clamp(-speed, speed);
        self.turn = number(1).clamp(-turn, turn);
        self.finger_angle = (OPEN - number(2)).clamp(0.0, OPEN);
    }

    /// Steers the space's bodies before a step of physics.
    pub fn steer(&self, space: &mut Space) {
        let body = &space.bodies[self.body];
        let (angle, rotation) = (body.angle, body.rotation());
        let control = &mut space.bodies[self.control];
        control.turn_to(angle + self.turn);
        control.velocity = Vec2::new(0.0, self.speed).rotate(rotation);
        for ((finger, motor), side) in self
            .fingers
            .into_iter()
            .flatten()
            .zip(self.motors)
            .zip([-1.0, 1.0])
        {
            let error = space.bodies[finger].angle - angle + side * self.finger_angle;
            let rate = (error * 10.0).clamp(-1.0, 1.0);
            let rate = if rate.abs() < 1e-4 { 0.0 } else { rate };
            space.joints[motor].demand = Demand::Motor(rate);
        }
    }

    /// How far the fingers are open, 0..=1; none without fingers.
    pub fn finger_width(&self, space: &Space) -> Option<f64> {
        let [left, right] = self.fingers?;
        let apart = space.bodies[left].angle - space.bodies[right].angle;
        Some((apart.to_degrees() / 45.0).clamp(0.0, 1.0))
    }
}

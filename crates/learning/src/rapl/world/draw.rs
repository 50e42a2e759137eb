//! Pictures of a world, as the benchmark draws them.

use base::media::Image;

use crate::rapl::physics::Vec2;

use super::block::{self, BlockShape};
use super::colour::{GREY, Rgb};
use super::raster::Canvas;
use super::robot::{Embodiment, finger_parts, rectangle};
use super::task::{Task, ZONE};
use super::{GOAL, HALF, RADIUS, World};

/// Side of the benchmark's pictures, pixels.
pub const PICTURE: u32 = 384;
/// How much more than the arena is seen.
const ZOOM_OUT: f64 = 1.02;
/// Thickness of a star's and a finger's outline, metres.
const STAR_LINE: f64 = 0.015;
const FINGER_LINE: f64 = 0.01;
/// Corners of a circle.
const CIRCLE: usize = 100;

/// From where the world is seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum View {
    /// The whole arena.
    #[default]
    Allo,
    /// The robot near the lower edge, looking up.
    Ego,
}

/// A place and a turn in the world.
#[derive(Clone, Copy)]
struct Pose {
    at: Vec2,
    turn: Vec2,
}

impl Pose {
    const HERE: Self = Self {
        at: Vec2::ZERO,
        turn: Vec2::new(1.0, 0.0),
    };

    fn at(at: Vec2) -> Self {
        Self { at, ..Self::HERE }
    }

    fn apply(&self, place: Vec2) -> Vec2 {
        self.at + place.rotate(self.turn)
    }
}

/// How world places become pixels.
struct Camera {
    /// The place in the world that is seen at `target`.
    source: Vec2,
    target: Vec2,
    turn: Vec2,
    scale: f64,
    height: f64,
}

impl Camera {
    fn pixel(&self, place: Vec2) -> [i64; 2] {
        let seen = (place - self.source).unrotate(self.turn) + self.target;
        let round = |value: f64| libm::rint(value) as i64;
        [
            round(seen.x * self.scale),
            round(self.height - seen.y * self.scale),
        ]
    }
}

struct Pen<'a> {
    canvas: Canvas<'a>,
    camera: Camera,
}

impl Pen<'_> {
    fn polygon(&mut self, corners: &[Vec2], pose: Pose, fill: Rgb, outline: Option<Rgb>) {
        let mut pixels = [[0; 2]; CIRCLE];
        let pixels = &mut pixels[..corners.len().min(CIRCLE)];
        for (pixel, corner) in pixels.iter_mut().zip(corners) {
            *pixel = self.camera.pixel(pose.apply(*corner));
        }
        self.canvas.polygon(pixels, fill);
        if let Some(colour) = outline {
            for at in 0..pixels.len() {
                self.canvas
                    .line(pixels[at], pixels[(at + 1) % pixels.len()], colour);
            }
        }
    }

    fn circle(&mut self, radius: f64, pose: Pose, fill: Rgb, outline: Option<Rgb>) {
        let corners: [Vec2; CIRCLE] = std::array::from_fn(|at| {
            Vec2::at_angle(std::f64::consts::TAU * at as f64 / CIRCLE as f64) * radius
        });
        self.polygon(&corners, pose, fill, outline);
    }
}

impl World {
    /// The world as a square picture.
    pub fn image(&self, view: View, side: u32) -> Image {
        let mut picture = Image::filled(side.max(1), side.max(1), [0; 3]);
        self.draw(view, &mut picture);
        picture
    }

    /// Draws the world over a picture, which gives the resolution.
    pub fn draw(&self, view: View, picture: &mut Image) {
        let seen = 2.0 * HALF * ZOOM_OUT;
        let robot = self.pose(self.robot.body);
        let (source, target, turn) = match view {
            View::Allo => (Vec2::ZERO, Vec2::new(0.5, 0.5), Pose::HERE.turn),
            View::Ego => (robot.at, Vec2::new(0.5, 0.15), robot.turn),
        };
        let height = f64::from(picture.height);
        let mut pen = Pen {
            canvas: Canvas::new(picture),
            camera: Camera {
                source,
                target: target * seen,
                turn,
                scale: height / seen,
                height,
            },
        };
        pen.canvas.clear(GREY.lighter(4.0).rgb());
        let arena = rectangle([2.0 * HALF; 2]);
        pen.polygon(&arena, Pose::HERE, [255; 3], Some(GREY.rgb()));
        let tone = self.goal.tone();
        let strip = corners(GOAL);
        pen.polygon(
            &strip,
            Pose::HERE,
            tone.lighter(2.0).rgb(),
            Some(tone.rgb()),
        );
        if self.layout().task == Task::Avoid {
            let fill = GREY.lighter(2.0).rgb();
            pen.polygon(&corners(ZONE), Pose::HERE, fill, Some(GREY.darker().rgb()));
        }
        for block in &self.blocks {
            let (pose, tone) = (self.pose(block.body), block.colour.tone());
            let (fill, edge) = (tone.rgb(), tone.darker().rgb());
            match block.shape {
                BlockShape::Square => {
                    pen.polygon(&rectangle([block::side(); 2]), pose, fill, Some(edge));
                }
                BlockShape::Circle => pen.circle(block::SIZE, pose, fill, Some(edge)),
                BlockShape::Pentagon => {
                    let mut ring = [Vec2::ZERO; 5];
                    for (corner, place) in
                        ring.iter_mut()
                            .zip(block::ring(5, block::pentagon_radius(), 0.0))
                    {
                        *corner = place;
                    }
                    pen.polygon(&ring, pose, fill, Some(edge));
                }
                BlockShape::Star => {
                    let inner = block::STAR.map(|radius| radius - STAR_LINE);
                    pen.polygon(&block::star_outline(block::STAR), pose, edge, None);
                    pen.polygon(&block::star_outline(inner), pose, fill, None);
                }
            }
        }
        self.draw_robot(&mut pen, robot);
    }

    fn draw_robot(&self, pen: &mut Pen<'_>, robot: Pose) {
        let (fill, edge) = (GREY.rgb(), GREY.darker().rgb());
        for (line, colour) in [(0.0, fill), (FINGER_LINE, GREY.lighter(4.0).rgb())] {
            for (finger, side) in self.robot.fingers.into_iter().flatten().zip([-1.0, 1.0]) {
                for part in finger_parts(side, line) {
                    pen.polygon(&part, self.pose(finger), colour, None);
                }
            }
        }
        let which = self.layout().embodiment;
        match which.stick() {
            Some(size) => pen.polygon(&rectangle(size), robot, fill, Some(edge)),
            None => pen.circle(RADIUS, robot, fill, Some(edge)),
        }
        let eye = match which {
            Embodiment::Gripper => Vec2::new(0.4, 0.3) * RADIUS,
            _ => Vec2::new(0.3, 0.0) * RADIUS,
        };
        for (pupil, side) in self.robot.pupils.into_iter().zip([-1.0, 1.0]) {
            let centre = robot.apply(Vec2::new(side * eye.x, eye.y));
            pen.circle(0.2 * RADIUS, Pose::at(centre), [255; 3], None);
            let looking = self.space.bodies[pupil].rotation();
            let shift = Vec2::new(0.0, 0.07 * RADIUS).rotate(looking);
            pen.circle(0.12 * RADIUS, Pose::at(centre + shift), [26; 3], None);
        }
    }

    fn pose(&self, body: usize) -> Pose {
        let body = &self.space.bodies[body];
        Pose {
            at: body.position,
            turn: body.rotation(),
        }
    }
}

fn corners([left, right, bottom, top]: [f64; 4]) -> [Vec2; 4] {
    [[left, top], [right, top], [right, bottom], [left, bottom]].map(|[x, y]| Vec2::new(x, y))
}

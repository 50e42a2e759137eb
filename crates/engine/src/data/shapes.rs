//! A toy world of moving shapes: 16×16 pixels, 8 frames, everything about a clip known exactly.

use base::rng::Rng;

/// Height and width of a frame.
pub const SIZE: usize = 16;
/// Frames of a clip.
pub const FRAMES: usize = 8;
/// Height and width of a shape.
const SHAPE: usize = 6;
/// Seed of the ground's texture; part of the world's definition.
const TEXTURE_SEED: u64 = 7;
/// Names of the shapes.
pub const KINDS: [&str; 3] = ["square", "triangle", "cross"];
/// Names of the colours.
pub const COLOURS: [&str; 4] = ["red", "green", "blue", "yellow"];
/// Names of the directions.
pub const DIRECTIONS: [&str; 4] = ["right", "left", "down", "up"];

const RGB: [[f32; 3]; 4] = [
    [1.0, -0.8, -0.8],
    [-0.8, 0.9, -0.8],
    [-0.7, -0.5, 1.0],
    [1.0, 0.9, -0.8],
];
const STEPS: [[isize; 2]; 4] = [[0, 1], [0, -1], [1, 0], [-1, 0]];
const MASKS: [[&str; SHAPE]; 3] = [
    ["######", "######", "######", "######", "######", "######"],
    ["#.....", "##....", "###...", "####..", "#####.", "######"],
    ["..##..", "..##..", "######", "######", "..##..", "..##.."],
];

/// What a clip shows: indices into [`KINDS`], [`COLOURS`] and [`DIRECTIONS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scene {
    /// Shape.
    pub kind: usize,
    /// Colour.
    pub colour: usize,
    /// Direction of motion, one pixel a frame.
    pub direction: usize,
}

impl Scene {
    /// All 48 scenes.
    pub fn all() -> Vec<Scene> {
        (0..48)
            .map(|i| Scene {
                kind: i % 3,
                colour: i / 3 % 4,
                direction: i / 12,
            })
            .collect()
    }

    /// "red square right".
    pub fn caption(&self) -> String {
        format!(
            "{} {} {}",
            COLOURS[self.colour], KINDS[self.kind], DIRECTIONS[self.direction]
        )
    }

    /// Draws a clip of this scene: `[3, FRAMES, SIZE, SIZE]` in `[-1, 1]`. The shape crosses the middle of the frame over a
    /// textured ground, the same in all clips but for its brightness, which is drawn.
    pub fn draw(&self, rng: &mut Rng) -> Vec<f32> {
        let light = 0.4 * rng.uniform() - 0.2;
        let background = texture(light);
        let travel = (FRAMES - 1) as isize;
        let middle = (SIZE - SHAPE) as isize / 2;
        let step = STEPS[self.direction];
        let start = |step: isize| middle - step * travel / 2;
        let (row, column) = (start(step[0]), start(step[1]));
        let mut clip = vec![0.0; 3 * FRAMES * SIZE * SIZE];
        for frame in 0..FRAMES {
            let at = [
                (row + step[0] * frame as isize) as usize,
                (column + step[1] * frame as isize) as usize,
            ];
            for place in 0..SIZE * SIZE {
                let (y, x) = (place / SIZE, place % SIZE);
                let inside = covers(self.kind, y.wrapping_sub(at[0]), x.wrapping_sub(at[1]));
                for channel in 0..3 {
                    clip[index(channel, frame, place)] = if inside {
                        RGB[self.colour][channel]
                    } else {
                        background[place]
                    };
                }
            }
        }
        clip
    }

    /// Reads the scene off a clip `[3, FRAMES, SIZE, SIZE]` by template matching: the shape and colour whose
    /// template fits best over all frames, the direction from where it was found.
    pub fn read(clip: &[f32]) -> Scene {
        let mut best = (f32::NEG_INFINITY, 0, 0, Vec::new());
        for colour in 0..COLOURS.len() {
            let likeness = likeness(clip, colour);
            for kind in 0..KINDS.len() {
                let found: Vec<_> = likeness.iter().map(|frame| locate(frame, kind)).collect();
                let score = found.iter().map(|(score, _)| score).sum();
                if score > best.0 {
                    best = (score, kind, colour, found);
                }
            }
        }
        let (_, kind, colour, found) = best;
        let direction = direction(found.iter().map(|(_, at)| *at));
        Scene {
            kind,
            colour,
            direction,
        }
    }
}

/// A grey background of blocks.
fn texture(light: f32) -> Vec<f32> {
    let mut rng = Rng::new(TEXTURE_SEED);
    let coarse: Vec<f32> = (0..16).map(|_| 0.4 * rng.uniform() - 0.2).collect();
    (0..SIZE * SIZE)
        .map(|place| {
            let (y, x) = (place / SIZE, place % SIZE);
            light + coarse[y / 4 * 4 + x / 4]
        })
        .collect()
}

fn covers(kind: usize, y: usize, x: usize) -> bool {
    y < SHAPE && x < SHAPE && MASKS[kind][y].as_bytes()[x] == b'#'
}

fn index(channel: usize, frame: usize, place: usize) -> usize {
    (channel * FRAMES + frame) * SIZE * SIZE + place
}

/// How much each pixel of each frame looks like a colour, in `(0, 1]`.
fn likeness(clip: &[f32], colour: usize) -> Vec<Vec<f32>> {
    (0..FRAMES)
        .map(|frame| {
            (0..SIZE * SIZE)
                .map(|place| {
                    let distance: f32 = (0..3)
                        .map(|c| (clip[index(c, frame, place)] - RGB[colour][c]).powi(2))
                        .sum();
                    libm::expf(-distance)
                })
                .collect()
        })
        .collect()
}

/// Best fit of a shape in a frame: mean likeness inside minus mean likeness on the rest of the frame's
/// neighbourhood (one pixel around the shape), and where (row, column).
fn locate(frame: &[f32], kind: usize) -> (f32, [isize; 2]) {
    let mut best = (f32::NEG_INFINITY, [0, 0]);
    for row in 0..=SIZE - SHAPE {
        for column in 0..=SIZE - SHAPE {
            let (mut inside, mut area, mut outside, mut rest) = (0.0, 0.0, 0.0, 0.0);
            for y in row.saturating_sub(1)..(row + SHAPE + 1).min(SIZE) {
                for x in column.saturating_sub(1)..(column + SHAPE + 1).min(SIZE) {
                    let value = frame[y * SIZE + x];
                    if covers(kind, y.wrapping_sub(row), x.wrapping_sub(column)) {
                        inside += value;
                        area += 1.0;
                    } else {
                        outside += value;
                        rest += 1.0;
                    }
                }
            }
            let score = inside / area - outside / rest;
            if score > best.0 {
                best = (score, [row as isize, column as isize]);
            }
        }
    }
    best
}

/// The direction that most single moves agree with.
fn direction(places: impl Iterator<Item = [isize; 2]>) -> usize {
    let places: Vec<_> = places.collect();
    let moved = |axis: usize| {
        places
            .windows(2)
            .map(|pair| (pair[1][axis] - pair[0][axis]).signum())
            .sum::<isize>()
    };
    let (down, right) = (moved(0), moved(1));
    match (down.abs() > right.abs(), down > 0, right > 0) {
        (true, true, _) => 2,
        (true, false, _) => 3,
        (false, _, true) => 0,
        (false, _, false) => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_drawn_scene_is_read_back() {
        let rng = Rng::new(5);
        for (i, scene) in Scene::all().into_iter().enumerate() {
            for repeat in 0..4 {
                let clip = scene.draw(&mut rng.item(4 * i as u64 + repeat));
                assert_eq!(Scene::read(&clip), scene, "{}", scene.caption());
            }
        }
    }

    #[test]
    fn noise_is_not_read_as_one_scene() {
        let rng = Rng::new(6);
        let target = Scene::all()[7];
        let hits = (0..200)
            .filter(|&i| Scene::read(&rng.item(i).normals(3 * FRAMES * SIZE * SIZE)) == target)
            .count();
        assert!(hits < 40, "{hits}");
    }
}

//! Scenes of coloured blocks that are known exactly: what the proof draws and edits, and the pictures of the planner's examples.

use std::fmt;

use base::media::Image;
use base::rng::Rng;

/// Cells along a side.
const CELLS: usize = 3;
/// The ground.
const GROUND: [u8; 3] = [228, 228, 222];
/// Most blocks of a scene.
pub const MOST: usize = 4;

/// The shape of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Round.
    Circle,
    /// With four sides.
    Square,
    /// Pointing up.
    Triangle,
}

/// Its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// Red.
    Red,
    /// Green.
    Green,
    /// Blue.
    Blue,
    /// Yellow.
    Yellow,
}

/// Where one block is, seen from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// In a column further left.
    Left,
    /// In a column further right.
    Right,
    /// In a row further up.
    Above,
}

impl Shape {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Circle, Self::Square, Self::Triangle];

    /// The word for one.
    pub fn word(self) -> &'static str {
        ["circle", "square", "triangle"][self as usize]
    }
}

impl Colour {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Red, Self::Green, Self::Blue, Self::Yellow];

    /// The word for it.
    pub fn word(self) -> &'static str {
        ["red", "green", "blue", "yellow"][self as usize]
    }

    fn rgb(self) -> [u8; 3] {
        [[214, 40, 40], [44, 160, 60], [38, 84, 214], [240, 196, 24]][self as usize]
    }
}

impl Side {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Left, Self::Right, Self::Above];

    /// The words for it.
    pub fn words(self) -> &'static str {
        ["to the left of", "to the right of", "above"][self as usize]
    }

    /// Whether `a` is on this side of `b`.
    pub fn holds(self, a: usize, b: usize) -> bool {
        match self {
            Self::Left => a % CELLS < b % CELLS,
            Self::Right => a % CELLS > b % CELLS,
            Self::Above => a / CELLS < b / CELLS,
        }
    }
}

/// One block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Its shape.
    pub shape: Shape,
    /// Its colour.
    pub colour: Colour,
    /// Whether it fills its cell.
    pub large: bool,
    /// Its cell, row by row, below 9.
    pub cell: usize,
}

/// Blocks in different cells, [`MOST`] at most.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scene(pub Vec<Block>);

impl Scene {
    /// Cells with no block.
    pub fn free(&self) -> Vec<usize> {
        let taken = |cell: &usize| self.0.iter().any(|block| block.cell == *cell);
        (0..CELLS * CELLS).filter(|cell| !taken(cell)).collect()
    }

    /// Blocks of a shape.
    pub fn of(&self, shape: Shape) -> impl Iterator<Item = &Block> {
        self.0.iter().filter(move |block| block.shape == shape)
    }

    /// Any scene of one to four blocks.
    pub fn random(rng: &mut Rng) -> Self {
        let mut scene = Self::default();
        for _ in 0..1 + rng.below(MOST) {
            let free = scene.free();
            scene.0.push(Block {
                shape: Shape::ALL[rng.below(Shape::ALL.len())],
                colour: Colour::ALL[rng.below(Colour::ALL.len())],
                large: rng.chance(0.5),
                cell: free[rng.below(free.len())],
            });
        }
        scene
    }

    /// A picture of `side` pixels a side.
    pub fn render(&self, side: u32) -> Image {
        let mut picture = Image::filled(side, side, GROUND);
        let cell = side as f32 / CELLS as f32;
        for block in &self.0 {
            let middle = |at: usize| (at as f32 + 0.5) * cell;
            let [x, y] = [middle(block.cell % CELLS), middle(block.cell / CELLS)];
            let radius = cell * if block.large { 0.46 } else { 0.3 };
            for row in 0..side {
                for column in 0..side {
                    let [dx, dy] = [column as f32 + 0.5 - x, row as f32 + 0.5 - y];
                    let outside = match block.shape {
                        Shape::Circle => libm::hypotf(dx, dy) - radius,
                        Shape::Square => dx.abs().max(dy.abs()) - 0.88 * radius,
                        Shape::Triangle => {
                            (0.894 * dx.abs() - 0.447 * (dy + 0.95 * radius)).max(dy - 0.8 * radius)
                        }
                    };
                    let cover = (0.5 - outside).clamp(0.0, 1.0);
                    if cover > 0.0 {
                        let under = picture.pixel(column, row);
                        let over = block.colour.rgb();
                        let mixed = std::array::from_fn(|at| {
                            let [from, to] = [under[at], over[at]].map(f32::from);
                            (from + cover * (to - from)).round() as u8
                        });
                        picture.set(column, row, mixed);
                    }
                }
            }
        }
        picture
    }
}

/// One thing that a prompt asks for, which is one question to a judge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// There is such a shape.
    Exists(Shape),
    /// There is one, and all of them have the colour.
    Colour(Shape, Colour),
    /// There are exactly so many.
    Count(Shape, usize),
    /// One of the first is on this side of one of the second.
    Relation(Shape, Side, Shape),
}

impl Demand {
    /// Whether a scene has it.
    pub fn met(self, scene: &Scene) -> bool {
        match self {
            Self::Exists(shape) => scene.of(shape).count() > 0,
            Self::Colour(shape, colour) => {
                scene.of(shape).count() > 0 && scene.of(shape).all(|it| it.colour == colour)
            }
            Self::Count(shape, count) => scene.of(shape).count() == count,
            Self::Relation(a, side, b) => scene
                .of(a)
                .any(|a| scene.of(b).any(|b| side.holds(a.cell, b.cell))),
        }
    }

    /// The question to a judge.
    pub fn question(self) -> String {
        match self {
            Self::Exists(shape) => format!("Is there a {}?", shape.word()),
            Self::Colour(shape, colour) => format!("Is the {} {}?", shape.word(), colour.word()),
            Self::Count(shape, count) => format!("Are there exactly {count} {}s?", shape.word()),
            Self::Relation(a, side, b) => {
                format!("Is the {} {} the {}?", a.word(), side.words(), b.word())
            }
        }
    }
}

/// What is asked for: for each shape that is named [`Demand::Exists`], then concepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromptSpec(pub Vec<Demand>);

impl PromptSpec {
    /// One of `concepts` concepts, 1 to 4, beside the shapes: a colour, the count two, a relation.
    pub fn random(concepts: usize, rng: &mut Rng) -> Self {
        let named = [1, 2, 2, 3][concepts.clamp(1, 4) - 1];
        let mut shapes = Shape::ALL;
        rng.shuffle(&mut shapes);
        let shapes = &shapes[..named];
        let colour = |shape: &Shape, rng: &mut Rng| {
            Demand::Colour(*shape, Colour::ALL[rng.below(Colour::ALL.len())])
        };
        let mut pool: Vec<Demand> = shapes.iter().map(|it| colour(it, rng)).collect();
        pool.push(Demand::Count(shapes[named - 1], 2));
        if named > 1 {
            let side = Side::ALL[rng.below(Side::ALL.len())];
            pool.push(Demand::Relation(shapes[0], side, shapes[1]));
        }
        rng.shuffle(&mut pool);
        pool.truncate(concepts);
        let exists = shapes.iter().map(|it| Demand::Exists(*it));
        Self(exists.chain(pool).collect())
    }

    /// Shapes that are named.
    pub fn shapes(&self) -> impl Iterator<Item = Shape> {
        self.0.iter().filter_map(|it| match it {
            Demand::Exists(shape) => Some(*shape),
            _ => None,
        })
    }

    /// The colour asked for.
    pub fn colour(&self, of: Shape) -> Option<Colour> {
        self.0.iter().find_map(|it| match it {
            Demand::Colour(shape, colour) if *shape == of => Some(*colour),
            _ => None,
        })
    }

    /// How many are asked for.
    pub fn count(&self, of: Shape) -> Option<usize> {
        self.0.iter().find_map(|it| match it {
            Demand::Count(shape, count) if *shape == of => Some(*count),
            _ => None,
        })
    }

    /// A scene that has all of it and no other shape.
    pub fn scene(&self, rng: &mut Rng) -> Scene {
        loop {
            let mut scene = Scene::default();
            for shape in self.shapes() {
                let colour = self.colour(shape);
                let colour = colour.unwrap_or(Colour::ALL[rng.below(Colour::ALL.len())]);
                for _ in 0..self.count(shape).unwrap_or(1) {
                    let free = scene.free();
                    scene.0.push(Block {
                        shape,
                        colour,
                        large: rng.chance(0.5),
                        cell: free[rng.below(free.len())],
                    });
                }
            }
            if self.0.iter().all(|it| it.met(&scene)) {
                return scene;
            }
        }
    }
}

impl fmt::Display for PromptSpec {
    /// The prompt, such as "a red circle and 2 squares, the circle above the square".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, shape) in self.shapes().enumerate() {
            let many = self.count(shape).filter(|it| *it != 1);
            let colour = self
                .colour(shape)
                .map_or(String::new(), |it| format!("{} ", it.word()));
            let and = if at > 0 { " and " } else { "" };
            match many {
                Some(many) => write!(f, "{and}{many} {colour}{}s", shape.word())?,
                None => write!(f, "{and}a {colour}{}", shape.word())?,
            }
        }
        for demand in &self.0 {
            if let Demand::Relation(a, side, b) = demand {
                write!(f, ", the {} {} the {}", a.word(), side.words(), b.word())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scenes_of_wishes_meet_them_and_prompts_have_all_concepts() {
        let mut rng = Rng::new(5);
        for concepts in 1..=4 {
            for _ in 0..50 {
                let spec = PromptSpec::random(concepts, &mut rng);
                let scene = spec.scene(&mut rng);
                assert!(spec.0.iter().all(|it| it.met(&scene)), "{spec}: {scene:?}");
                assert_eq!(spec.0.len(), concepts + spec.shapes().count());
                assert!(scene.0.len() <= MOST);
            }
        }
    }
}

//! Convex shapes fixed to bodies: a core of up to [`MOST`] vertices, rounded by a radius.

use super::{Body, Vec2};

/// Most vertices of a core.
pub const MOST: usize = 6;

/// A convex core grown by a radius: one vertex makes a disc, two a capsule, more a polygon with round corners.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Number of the body it is fixed to.
    pub(super) body: usize,
    /// Radius that the core is grown by, metres.
    pub radius: f64,
    /// Coefficient of friction; that of a contact is the product.
    pub(super) friction: f64,
    /// Shapes of the same group, other than 0, pass through one another.
    pub(super) group: u32,
    /// Whether it touches nothing and is only there to be asked about.
    pub(super) sensor: bool,
    count: usize,
    local: [Vec2; MOST],
    local_normals: [Vec2; MOST],
    world: [Vec2; MOST],
    normals: [Vec2; MOST],
    /// Least and greatest corner of the box around it.
    pub(super) low: Vec2,
    pub(super) high: Vec2,
}

/// An edge of a core, counter-clockwise, with the numbers of its vertices.
#[derive(Clone, Copy, Debug)]
pub(super) struct Edge {
    pub a: Vec2,
    pub b: Vec2,
    pub features: [usize; 2],
}

impl Shape {
    /// A shape on body number `body`; `vertices` counter-clockwise, at most [`MOST`] of them are taken.
    pub fn new(body: usize, vertices: &[Vec2], radius: f64, friction: f64, group: u32) -> Self {
        let count = vertices.len().min(MOST);
        let mut local = [Vec2::ZERO; MOST];
        local[..count].copy_from_slice(&vertices[..count]);
        let mut local_normals = [Vec2::ZERO; MOST];
        if count > 1 {
            for at in 0..count {
                // The edge that ends at this vertex.
                let edge = local[at] - local[(at + count - 1) % count];
                local_normals[at] = (-edge.perp()).unit();
            }
        }
        Self {
            body,
            radius,
            friction,
            group,
            sensor: false,
            count,
            local,
            local_normals,
            world: local,
            normals: local_normals,
            low: Vec2::ZERO,
            high: Vec2::ZERO,
        }
    }

    /// The same as a sensor, which touches nothing.
    pub fn as_sensor(mut self) -> Self {
        self.sensor = true;
        self
    }

    /// The vertices of the core in the body's coordinates.
    pub fn vertices(&self) -> &[Vec2] {
        &self.local[..self.count]
    }

    /// Number of vertices of the core.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// The vertices where they are.
    pub(super) fn world(&self) -> &[Vec2] {
        &self.world[..self.count]
    }

    /// The outward normal of the edge that ends at each vertex.
    pub(super) fn normals(&self) -> &[Vec2] {
        &self.normals[..self.count]
    }

    /// The box around it: least and greatest corner.
    pub fn bounds(&self) -> [Vec2; 2] {
        [self.low, self.high]
    }

    /// Follows its body.
    pub(super) fn follow(&mut self, body: &Body) {
        let (mut low, mut high) = (
            Vec2::new(f64::INFINITY, f64::INFINITY),
            Vec2::new(f64::NEG_INFINITY, f64::NEG_INFINITY),
        );
        for at in 0..self.count {
            let place = body.position + self.local[at].rotate(body.rotation);
            self.world[at] = place;
            self.normals[at] = self.local_normals[at].rotate(body.rotation);
            low = Vec2::new(low.x.min(place.x), low.y.min(place.y));
            high = Vec2::new(high.x.max(place.x), high.y.max(place.y));
        }
        let grown = Vec2::new(self.radius, self.radius);
        self.low = low - grown;
        self.high = high + grown;
    }

    /// Whether the boxes around both meet.
    pub(super) fn is_near(&self, other: &Self) -> bool {
        self.low.x <= other.high.x
            && other.low.x <= self.high.x
            && self.low.y <= other.high.y
            && other.low.y <= self.high.y
    }

    /// The edge that faces `direction` most, of a core of two or more vertices.
    pub(super) fn edge_towards(&self, direction: Vec2) -> Edge {
        let count = self.count;
        let mut most = 0;
        for at in 1..count {
            if self.world[at].dot(direction) > self.world[most].dot(direction) {
                most = at;
            }
        }
        let (before, after) = ((most + count - 1) % count, (most + 1) % count);
        let ends_here = direction.dot(self.normals[most]) > direction.dot(self.normals[after]);
        let (from, to) = if ends_here {
            (before, most)
        } else {
            (most, after)
        };
        Edge {
            a: self.world[from],
            b: self.world[to],
            features: [from, to],
        }
    }
}

//! Where two convex shapes touch: the least translation that parts their cores, then up to two points.

use super::Vec2;
use super::shape::Shape;

/// A point of contact.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Point {
    /// On the first shape, then on the second, in world coordinates.
    pub on: [Vec2; 2],
    /// Which corners meet, of the first and of the second shape.
    pub features: [u8; 2],
}

/// Points of contact with their common normal, from the first shape to the second.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Touch {
    pub normal: Vec2,
    pub points: [Point; 2],
    pub count: usize,
}

/// Where the cores come closest: negative distances are depths.
struct Closest {
    normal: Vec2,
    distance: f64,
    on: [Vec2; 2],
}

/// How two shapes touch; `None` when they do not.
pub(super) fn touch(a: &Shape, b: &Shape) -> Option<Touch> {
    let closest = closest(a, b)?;
    let normal = closest.normal;
    let mut touch = Touch {
        normal,
        ..Touch::default()
    };
    if a.len() == 1 || b.len() == 1 {
        touch.points[0] = Point {
            on: [
                closest.on[0] + normal * a.radius,
                closest.on[1] - normal * b.radius,
            ],
            features: [0; 2],
        };
        touch.count = 1;
        return Some(touch);
    }
    let (one, two) = (a.edge_towards(normal), b.edge_towards(-normal));
    // Places along the surface.
    let along = |place: Vec2| place.cross(normal);
    let (one_a, one_b) = (along(one.a), along(one.b));
    let (two_a, two_b) = (along(two.a), along(two.b));
    let one_scale = 1.0 / (one_b - one_a + f64::MIN_POSITIVE);
    let two_scale = 1.0 / (two_b - two_a + f64::MIN_POSITIVE);
    let ends = [
        (two_b, one_a, [one.features[0], two.features[1]]),
        (two_a, one_b, [one.features[1], two.features[0]]),
    ];
    for (on_two, on_one, features) in ends {
        let t = ((on_two - one_a) * one_scale).clamp(0.0, 1.0);
        let s = ((on_one - two_a) * two_scale).clamp(0.0, 1.0);
        let p = normal * a.radius + one.a.lerp(one.b, t);
        let q = normal * -b.radius + two.a.lerp(two.b, s);
        if (q - p).dot(normal) <= 0.0 {
            touch.points[touch.count] = Point {
                on: [p, q],
                features: features.map(|at| at as u8),
            };
            touch.count += 1;
        }
    }
    (touch.count > 0).then_some(touch)
}

/// Whether two shapes overlap.
pub fn touching(a: &Shape, b: &Shape) -> bool {
    a.is_near(b) && closest(a, b).is_some()
}

/// Where the cores come closest; `None` when they are farther apart than their radii reach.
fn closest(a: &Shape, b: &Shape) -> Option<Closest> {
    let reach = a.radius + b.radius;
    let mut best = Closest {
        normal: Vec2::new(1.0, 0.0),
        distance: f64::NEG_INFINITY,
        on: [Vec2::ZERO; 2],
    };
    // The greatest gap across an edge parts the cores; where there is none, the least depth does.
    for (this, that, sign) in [(a, b, 1.0), (b, a, -1.0)] {
        for (&normal, &vertex) in this.normals().iter().zip(this.world()) {
            if this.len() == 1 {
                continue;
            }
            let mut gap = f64::INFINITY;
            let mut deepest = vertex;
            for &place in that.world() {
                let off = normal.dot(place - vertex);
                if off < gap {
                    (gap, deepest) = (off, place);
                }
            }
            if gap > reach {
                return None;
            }
            if gap > best.distance {
                let foot = deepest - normal * gap;
                best = Closest {
                    normal: normal * sign,
                    distance: gap,
                    on: if sign > 0.0 {
                        [foot, deepest]
                    } else {
                        [deepest, foot]
                    },
                };
            }
        }
    }
    if best.distance <= 0.0 && best.distance.is_finite() {
        return Some(best);
    }
    apart(a, b).filter(|found| found.distance <= reach)
}

/// The nearest points of cores that do not overlap.
fn apart(a: &Shape, b: &Shape) -> Option<Closest> {
    let mut best: Option<Closest> = None;
    for (this, that, sign) in [(a, b, 1.0), (b, a, -1.0)] {
        let count = that.len();
        for &vertex in this.world() {
            for to in 0..count {
                let (start, end) = (that.world()[(to + count - 1) % count], that.world()[to]);
                let edge = end - start;
                let t = match count {
                    1 => 0.0,
                    _ => ((vertex - start).dot(edge) / edge.dot(edge)).clamp(0.0, 1.0),
                };
                let foot = start + edge * t;
                let gap = foot - vertex;
                let distance = gap.length();
                if best.as_ref().is_some_and(|best| best.distance <= distance) {
                    continue;
                }
                let inner = count > 1 && 0.0 < t && t < 1.0;
                let mut normal = match inner {
                    // Against the outward normal of the edge: towards it from the vertex.
                    true => -that.normals()[to],
                    false if distance > 0.0 => gap * (1.0 / distance),
                    false => Vec2::new(1.0, 0.0),
                };
                if inner && normal.dot(gap) < 0.0 {
                    normal = -normal;
                }
                best = Some(Closest {
                    normal: normal * sign,
                    distance,
                    on: if sign > 0.0 {
                        [vertex, foot]
                    } else {
                        [foot, vertex]
                    },
                });
            }
        }
    }
    best
}

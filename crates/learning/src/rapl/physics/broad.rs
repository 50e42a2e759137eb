//! Which shapes may touch: two trees of boxes, one for what stands still, one for what moves.
//!
//! The order in which pairs come out is the order in which contacts are solved, and sweeping is chaotic: to stay on the recorded
//! trajectories the trees grow, shrink and are walked exactly as the published algorithm says.

use super::{Shape, Vec2};

const NONE: usize = usize::MAX;
/// A moving box is kept larger by this share of its size, and by so many seconds of its motion; single precision, as published.
const GROWTH: f64 = 0.1f32 as f64;

/// A box: least and greatest corner.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    low: Vec2,
    high: Vec2,
}

impl Bounds {
    fn of(shape: &Shape) -> Self {
        let [low, high] = shape.bounds();
        Self { low, high }
    }

    fn grown(self, velocity: Vec2) -> Self {
        let size = (self.high - self.low) * GROWTH;
        let way = velocity * GROWTH;
        Self {
            low: self.low + Vec2::new((-size.x).min(way.x), (-size.y).min(way.y)),
            high: self.high + Vec2::new(size.x.max(way.x), size.y.max(way.y)),
        }
    }

    fn merged(self, other: Self) -> Self {
        Self {
            low: Vec2::new(self.low.x.min(other.low.x), self.low.y.min(other.low.y)),
            high: Vec2::new(self.high.x.max(other.high.x), self.high.y.max(other.high.y)),
        }
    }

    fn area(self) -> f64 {
        (self.high.x - self.low.x) * (self.high.y - self.low.y)
    }

    /// Twice the distance of the centres along both axes.
    fn away(self, other: Self) -> f64 {
        let off = self.low + self.high - other.low - other.high;
        off.x.abs() + off.y.abs()
    }

    fn meets(self, other: Self) -> bool {
        self.low.x <= other.high.x
            && other.low.x <= self.high.x
            && self.low.y <= other.high.y
            && other.low.y <= self.high.y
    }

    fn contains(self, other: Self) -> bool {
        self.low.x <= other.low.x
            && self.high.x >= other.high.x
            && self.low.y <= other.low.y
            && self.high.y >= other.high.y
    }
}

#[derive(Clone, Copy, Debug)]
struct Node {
    bounds: Bounds,
    parent: usize,
    children: [usize; 2],
    /// The shape of a leaf.
    shape: usize,
    /// When a leaf came to its place.
    stamp: u64,
}

/// The two trees, and for every leaf the pairs it was found in.
#[derive(Clone, Debug)]
pub(super) struct Broad {
    nodes: Vec<Node>,
    free: Vec<usize>,
    /// Of what stands still, of what moves.
    roots: [usize; 2],
    /// The leaf of each shape, and whether it moves.
    leaves: Vec<(usize, bool)>,
    /// For each leaf's node, pairs of nodes, the latest last.
    pairs: Vec<Vec<[usize; 2]>>,
    stamp: u64,
    /// Pairs of shapes that may touch, in order.
    pub found: Vec<[usize; 2]>,
}

impl Broad {
    pub fn new() -> Self {
        Self {
            nodes: Vec::new(),
            free: Vec::new(),
            roots: [NONE; 2],
            leaves: Vec::new(),
            pairs: Vec::new(),
            stamp: 0,
            found: Vec::new(),
        }
    }

    /// The next shape.
    pub fn add(&mut self, shape: &Shape, moves: bool) {
        let bounds = match moves {
            true => Bounds::of(shape).grown(Vec2::ZERO),
            false => Bounds::of(shape),
        };
        let leaf = self.node(Node {
            bounds,
            parent: NONE,
            children: [NONE; 2],
            shape: self.leaves.len(),
            stamp: self.stamp,
        });
        self.leaves.push((leaf, moves));
        let tree = usize::from(moves);
        self.roots[tree] = self.insert(self.roots[tree], leaf);
        if moves {
            self.mark_leaf(leaf);
        } else if self.roots[1] != NONE {
            self.query(self.roots[1], leaf, true);
        }
        self.found.clear();
        self.stamp += 1;
        // Room for every pair, so that steps need no more.
        let most = self.leaves.len();
        self.pairs
            .iter_mut()
            .for_each(|pairs| pairs.reserve(2 * most));
        self.found.reserve(most * most);
    }

    /// Finds the pairs anew after shapes moved; `velocity` is that of a shape's body.
    pub fn find(&mut self, shapes: &[Shape], velocity: impl Fn(&Shape) -> Vec2) {
        self.found.clear();
        for (at, shape) in shapes.iter().enumerate() {
            let (leaf, moves) = self.leaves[at];
            let bounds = Bounds::of(shape);
            if !moves || self.nodes[leaf].bounds.contains(bounds) {
                continue;
            }
            self.nodes[leaf].bounds = bounds.grown(velocity(shape));
            let root = self.remove(self.roots[1], leaf);
            self.roots[1] = self.insert(root, leaf);
            self.forget_pairs(leaf);
            self.nodes[leaf].stamp = self.stamp;
        }
        if self.roots[1] != NONE {
            self.mark(self.roots[1]);
        }
        self.stamp += 1;
    }

    fn node(&mut self, node: Node) -> usize {
        if let Some(at) = self.free.pop() {
            self.nodes[at] = node;
            return at;
        }
        self.nodes.push(node);
        self.pairs.push(Vec::new());
        self.free.reserve(self.nodes.len());
        self.nodes.len() - 1
    }

    fn is_leaf(&self, node: usize) -> bool {
        self.nodes[node].shape != NONE
    }

    fn adopt(&mut self, parent: usize, which: usize, child: usize) {
        self.nodes[parent].children[which] = child;
        self.nodes[child].parent = parent;
    }

    fn insert(&mut self, tree: usize, leaf: usize) -> usize {
        if tree == NONE {
            return leaf;
        }
        let (at, new) = (self.nodes[tree], self.nodes[leaf].bounds);
        if self.is_leaf(tree) {
            let node = self.node(Node {
                bounds: new.merged(at.bounds),
                parent: NONE,
                children: [NONE; 2],
                shape: NONE,
                stamp: 0,
            });
            self.adopt(node, 0, leaf);
            self.adopt(node, 1, tree);
            return node;
        }
        let [a, b] = at.children.map(|child| self.nodes[child].bounds);
        let mut cost_a = b.area() + a.merged(new).area();
        let mut cost_b = a.area() + b.merged(new).area();
        if cost_a == cost_b {
            // As of blocks side by side: the nearer one.
            [cost_a, cost_b] = [a.away(new), b.away(new)];
        }
        let which = usize::from(cost_b < cost_a);
        let child = self.insert(at.children[which], leaf);
        self.adopt(tree, which, child);
        self.nodes[tree].bounds = at.bounds.merged(new);
        tree
    }

    fn remove(&mut self, tree: usize, leaf: usize) -> usize {
        if tree == leaf {
            return NONE;
        }
        let parent = self.nodes[leaf].parent;
        let [a, b] = self.nodes[parent].children;
        let other = if a == leaf { b } else { a };
        self.free.push(parent);
        if parent == tree {
            self.nodes[other].parent = NONE;
            return other;
        }
        let above = self.nodes[parent].parent;
        let which = usize::from(self.nodes[above].children[0] != parent);
        self.adopt(above, which, other);
        let mut node = above;
        while node != NONE {
            let [a, b] = self.nodes[node]
                .children
                .map(|child| self.nodes[child].bounds);
            self.nodes[node].bounds = a.merged(b);
            node = self.nodes[node].parent;
        }
        tree
    }

    fn remember_pair(&mut self, a: usize, b: usize) {
        self.pairs[a].push([a, b]);
        self.pairs[b].push([a, b]);
    }

    fn forget_pairs(&mut self, leaf: usize) {
        while let Some(pair) = self.pairs[leaf].pop() {
            let other = if pair[0] == leaf { pair[1] } else { pair[0] };
            self.pairs[other].retain(|kept| *kept != pair);
        }
    }

    fn mark(&mut self, tree: usize) {
        if self.is_leaf(tree) {
            self.mark_leaf(tree);
        } else {
            let [a, b] = self.nodes[tree].children;
            self.mark(a);
            self.mark(b);
        }
    }

    fn mark_leaf(&mut self, leaf: usize) {
        if self.nodes[leaf].stamp == self.stamp {
            // It is new here: everything is looked at.
            if self.roots[0] != NONE {
                self.query(self.roots[0], leaf, false);
            }
            let mut node = leaf;
            while self.nodes[node].parent != NONE {
                let parent = self.nodes[node].parent;
                let [a, b] = self.nodes[parent].children;
                match node == a {
                    true => self.query(b, leaf, true),
                    false => self.query(a, leaf, false),
                }
                node = parent;
            }
        } else {
            for at in (0..self.pairs[leaf].len()).rev() {
                let [a, b] = self.pairs[leaf][at];
                if b == leaf {
                    self.found.push([self.nodes[a].shape, self.nodes[b].shape]);
                }
            }
        }
    }

    fn query(&mut self, tree: usize, leaf: usize, left: bool) {
        let (at, new) = (self.nodes[tree], self.nodes[leaf]);
        if !at.bounds.meets(new.bounds) {
            return;
        }
        if !self.is_leaf(tree) {
            let [a, b] = at.children;
            self.query(a, leaf, left);
            self.query(b, leaf, left);
        } else if left {
            self.remember_pair(leaf, tree);
        } else {
            if at.stamp < new.stamp {
                self.remember_pair(tree, leaf);
            }
            self.found.push([new.shape, at.shape]);
        }
    }
}

//! A tree as the sizes of its subtrees in postorder.

/// The shape of an ordered tree. Nodes are numbered in postorder from 0; the root is the last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Postorder {
    /// The first node of each subtree: its leftmost leaf.
    first: Vec<usize>,
    /// The highest node with the same leftmost leaf: the start of the left path that a node lies on.
    top: Vec<usize>,
    /// Starts of left paths, by leftmost leaf, the last leaf first: inner paths come before those that need them.
    paths: Vec<usize>,
    /// Number among the nodes that have children, `usize::MAX` for leaves.
    inner: Vec<usize>,
    /// How many have children.
    inners: usize,
}

impl Postorder {
    /// A tree from the number of nodes in each subtree, itself included, in postorder.
    pub fn new(sizes: &[usize]) -> Self {
        let first: Vec<usize> = sizes
            .iter()
            .enumerate()
            .map(|(node, &size)| (node + 1).saturating_sub(size))
            .collect();
        let mut highest = vec![0; first.len()];
        for (node, &leaf) in first.iter().enumerate() {
            if let Some(place) = highest.get_mut(leaf) {
                *place = node;
            }
        }
        let top = first
            .iter()
            .map(|&leaf| highest.get(leaf).copied().unwrap_or(leaf))
            .collect();
        let mut inners = 0;
        let mut inner = Vec::with_capacity(first.len());
        for (node, &leaf) in first.iter().enumerate() {
            inner.push(if leaf < node { inners } else { usize::MAX });
            inners += usize::from(leaf < node);
        }
        let leaves = (0..first.len())
            .rev()
            .filter(|&leaf| first.get(leaf) == Some(&leaf));
        let paths = leaves
            .filter_map(|leaf| highest.get(leaf).copied())
            .collect();
        Self {
            first,
            top,
            paths,
            inner,
            inners,
        }
    }

    /// Number of nodes.
    pub fn len(&self) -> usize {
        self.first.len()
    }

    /// Nodes with children.
    pub fn inners(&self) -> usize {
        self.inners
    }

    /// The leftmost leaf below `node`; `node` itself where it is a leaf.
    pub fn first(&self, node: usize) -> usize {
        self.first.get(node).copied().unwrap_or(node)
    }

    /// The start of `node`'s left path.
    pub fn top(&self, node: usize) -> usize {
        self.top.get(node).copied().unwrap_or(node)
    }

    /// The number of `node` among the inner nodes; `None` for a leaf.
    pub fn inner(&self, node: usize) -> Option<usize> {
        self.inner.get(node).copied().filter(|&at| at != usize::MAX)
    }

    /// Starts of the left paths, in the order in which they can be worked on.
    pub fn paths(&self) -> &[usize] {
        &self.paths
    }

    /// The sum of the sizes of the subtrees below the starts of left paths: this tree's share of the work.
    pub fn work(&self) -> f64 {
        let sizes = self.paths.iter().map(|&node| node + 1 - self.first(node));
        sizes.map(|size| size as f64).sum()
    }

    /// The same with left and right exchanged.
    pub fn mirrored_work(&self) -> f64 {
        // A right path starts at the root and at every node that is not its parent's last child, whose successor in
        // postorder then is a leaf and not its parent.
        let starts = (0..self.len())
            .filter(|&node| node + 1 == self.len() || self.first(node + 1) == node + 1);
        starts
            .map(|node| (node + 1 - self.first(node)) as f64)
            .sum()
    }

    /// Where each node stands in the postorder of the mirrored tree.
    pub fn mirror_places(&self) -> Vec<usize> {
        // The mirror's postorder is the preorder backwards; in preorder stand before a node its ancestors and all that
        // is left of it, which are the nodes before its leftmost leaf in postorder.
        let mut places = vec![0; self.len()];
        let mut above: Vec<usize> = Vec::new();
        for node in (0..self.len()).rev() {
            while above
                .last()
                .is_some_and(|&ancestor| self.first(ancestor) > node)
            {
                above.pop();
            }
            let before = self.first(node) + above.len();
            if let Some(place) = places.get_mut(node) {
                *place = self.len() - 1 - before;
            }
            above.push(node);
        }
        places
    }

    /// The mirrored tree, given [`Postorder::mirror_places`].
    pub fn mirrored(&self, places: &[usize]) -> Self {
        let mut sizes = vec![0; self.len()];
        for (node, &place) in places.iter().enumerate() {
            if let Some(size) = sizes.get_mut(place) {
                *size = node + 1 - self.first(node);
            }
        }
        Self::new(&sizes)
    }
}

//! Against a brute force over all forests, on random small trees.

use std::collections::HashMap;

use super::*;

/// A tree of labels.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Node(u8, Vec<Node>);

/// Labels are as far apart as their difference.
struct Labels(Vec<u8>, Vec<u8>);

impl Rename for Labels {
    fn cost(&mut self, a: usize, b: usize) -> f64 {
        apart(self.0[a], self.1[b])
    }
}

fn apart(a: u8, b: u8) -> f64 {
    (f64::from(a.abs_diff(b)) / 3.0).min(1.0)
}

/// A small generator of numbers (SplitMix64), enough for shapes.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % most
    }

    /// A tree of `size` nodes.
    fn tree(&mut self, size: usize) -> Node {
        let (label, mut left, mut children) = (self.below(5) as u8, size - 1, Vec::new());
        while left > 0 {
            let part = 1 + self.below(left as u64) as usize;
            children.push(self.tree(part));
            left -= part;
        }
        Node(label, children)
    }
}

/// Sizes and labels in postorder.
fn flat(node: &Node, sizes: &mut Vec<usize>, labels: &mut Vec<u8>) -> usize {
    let below: usize = node.1.iter().map(|child| flat(child, sizes, labels)).sum();
    sizes.push(below + 1);
    labels.push(node.0);
    below + 1
}

fn ours(a: &Node, b: &Node) -> f64 {
    let (mut sizes_a, mut labels_a, mut sizes_b, mut labels_b) = Default::default();
    flat(a, &mut sizes_a, &mut labels_a);
    flat(b, &mut sizes_b, &mut labels_b);
    let mut labels = Labels(labels_a, labels_b);
    distance(
        &Postorder::new(&sizes_a),
        &Postorder::new(&sizes_b),
        &mut labels,
    )
    .unwrap()
}

type Known = HashMap<(Vec<Node>, Vec<Node>), f64>;

/// The definition: what happens to the last tree's root of either forest.
fn brute(a: &[Node], b: &[Node], known: &mut Known) -> f64 {
    let count = |forest: &[Node]| -> f64 { forest.iter().map(|n| size(n) as f64).sum() };
    let (Some((x, before_a)), Some((y, before_b))) = (a.split_last(), b.split_last()) else {
        return count(a) + count(b);
    };
    let key = (a.to_vec(), b.to_vec());
    if let Some(&found) = known.get(&key) {
        return found;
    }
    let opened = |before: &[Node], node: &Node| [before, &node.1].concat();
    let deleted = 1.0 + brute(&opened(before_a, x), b, known);
    let inserted = 1.0 + brute(a, &opened(before_b, y), known);
    let renamed = apart(x.0, y.0) + brute(&x.1, &y.1, known) + brute(before_a, before_b, known);
    let found = deleted.min(inserted).min(renamed);
    known.insert(key, found);
    found
}

fn size(node: &Node) -> usize {
    1 + node.1.iter().map(size).sum::<usize>()
}

#[test]
fn small_trees_are_as_far_apart_as_by_definition() {
    let mut numbers = Numbers(1);
    for _ in 0..400 {
        let sizes = (1 + numbers.below(8) as usize, 1 + numbers.below(8) as usize);
        let (a, b) = (numbers.tree(sizes.0), numbers.tree(sizes.1));
        let expected = brute(
            std::slice::from_ref(&a),
            std::slice::from_ref(&b),
            &mut Known::new(),
        );
        assert!((ours(&a, &b) - expected).abs() < 1e-9, "{a:?} {b:?}");
    }
}

#[test]
fn larger_trees_are_as_far_apart_in_a_strip_as_in_the_whole_table() {
    let mut numbers = Numbers(2);
    for _ in 0..60 {
        let sizes = (
            20 + numbers.below(100) as usize,
            20 + numbers.below(100) as usize,
        );
        let (a, b) = (numbers.tree(sizes.0), numbers.tree(sizes.1));
        let (mut sizes_a, mut labels_a, mut sizes_b, mut labels_b) = Default::default();
        flat(&a, &mut sizes_a, &mut labels_a);
        flat(&b, &mut sizes_b, &mut labels_b);
        let mut labels = Labels(labels_a, labels_b);
        let (a, b) = (Postorder::new(&sizes_a), Postorder::new(&sizes_b));
        let whole = Pass::new(&a, &b, b.len(), a.len()).run(&mut labels);
        let strip = distance(&a, &b, &mut labels).unwrap();
        assert!((whole - strip).abs() < 1e-9);
    }
}

#[test]
fn a_tree_is_no_way_from_itself_and_as_far_there_as_back() {
    let mut numbers = Numbers(3);
    for _ in 0..100 {
        let (a, b) = (numbers.tree(30), numbers.tree(20));
        assert_eq!(ours(&a, &a), 0.0);
        assert!((ours(&a, &b) - ours(&b, &a)).abs() < 1e-9);
    }
}

#[test]
fn a_mirrored_mirror_is_the_tree() {
    let mut numbers = Numbers(4);
    for _ in 0..100 {
        let (mut sizes, mut labels) = Default::default();
        flat(&numbers.tree(25), &mut sizes, &mut labels);
        let tree = Postorder::new(&sizes);
        let mirror = tree.mirrored(&tree.mirror_places());
        assert_eq!(tree.mirrored_work(), mirror.work());
        assert_eq!(mirror.mirrored(&mirror.mirror_places()), tree);
    }
}

#[test]
fn long_chains_are_cheap() {
    let chain = Postorder::new(&(1..=4000).collect::<Vec<_>>());
    assert_eq!(chain.work(), 4000.0);
    let mut labels = Labels(vec![0; 4000], vec![0; 4000]);
    assert_eq!(distance(&chain, &chain, &mut labels).unwrap(), 0.0);
}

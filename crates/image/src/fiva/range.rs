//! Range-sensitive filtering (paper, section 3.1): inside which subjects do pictures with one attribute look alike?

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Pictures of a grid.
pub const GRID: usize = 9;
/// How often each node is judged.
pub const REPEATS: usize = 4;
/// A node is consistent when the mean share of deviating pictures lies below this.
pub const THRESHOLD: f64 = 0.1;

/// Major subjects and what is under each.
pub type Tree = Vec<(String, Vec<String>)>;

/// What is looked at as one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Node {
    /// A major subject with all that is under it.
    Major(String),
    /// Several major subjects together.
    Set(Vec<String>),
    /// One subject alone: its major and its name.
    Sub(String, String),
}

/// What became of an attribute.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ranges {
    /// Sets of subjects, major or single ones, inside which any two pictures are a pair.
    pub ranges: Vec<Vec<String>>,
    /// Single subjects that are left out.
    pub dropped: Vec<String>,
}

/// What is to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// These nodes must be judged.
    Judge(Vec<Node>),
    /// All is decided.
    Done(Ranges),
}

/// Whether the mean share of pictures called deviating, of `grid` in each repeat, lies below `threshold`. No votes: no.
pub fn is_consistent(votes: &[Vec<usize>], grid: usize, threshold: f64) -> bool {
    let deviating: usize = votes.iter().map(Vec::len).sum();
    let shown = votes.len() * grid;
    shown > 0 && (deviating as f64) < threshold * shown as f64
}

/// The order of the method: every major subject; those that pass, together; the single subjects under those that fail.
/// `consistent` says of a node what is known.
pub fn next(tree: &Tree, consistent: &dyn Fn(&Node) -> Option<bool>) -> Next {
    let node = |(major, _): &(String, Vec<String>)| Node::Major(major.clone());
    let majors: Vec<Option<bool>> = tree.iter().map(|it| consistent(&node(it))).collect();
    let which = |wanted: Option<bool>| {
        let all = tree.iter().zip(&majors);
        all.filter(move |(_, known)| **known == wanted)
            .map(|(it, _)| it)
    };
    let mut wanted: Vec<Node> = which(None).map(node).collect();
    if !wanted.is_empty() {
        return Next::Judge(wanted);
    }
    let passed: Vec<String> = which(Some(true)).map(|(major, _)| major.clone()).collect();
    let mut out = Ranges::default();
    if passed.len() > 1 {
        let set = Node::Set(passed.clone());
        match consistent(&set) {
            None => wanted.push(set),
            Some(true) => out.ranges.push(passed),
            Some(false) => out
                .ranges
                .extend(passed.into_iter().map(|major| vec![major])),
        }
    } else {
        out.ranges
            .extend(passed.into_iter().map(|major| vec![major]));
    }
    for (major, subs) in which(Some(false)) {
        for sub in subs {
            let node = Node::Sub(major.clone(), sub.clone());
            match consistent(&node) {
                None => wanted.push(node),
                Some(true) => out.ranges.push(vec![sub.clone()]),
                Some(false) => out.dropped.push(sub.clone()),
            }
        }
    }
    match wanted.is_empty() {
        true => Next::Done(out),
        false => Next::Judge(wanted),
    }
}

/// The ranges of one attribute whose nodes `votes` judges: for each the numbers of deviating pictures, repeat by repeat.
///
/// # Errors
/// What `votes` says.
pub fn ranges<E>(
    tree: &Tree,
    grid: usize,
    threshold: f64,
    mut votes: impl FnMut(&Node) -> Result<Vec<Vec<usize>>, E>,
) -> Result<Ranges, E> {
    let mut known: BTreeMap<Node, bool> = BTreeMap::new();
    loop {
        match next(tree, &|node| known.get(node).copied()) {
            Next::Done(ranges) => return Ok(ranges),
            Next::Judge(nodes) => {
                for node in nodes {
                    let passed = is_consistent(&votes(&node)?, grid, threshold);
                    known.insert(node, passed);
                }
            }
        }
    }
}

/// What a model that sees is asked about a grid of `shown` numbered pictures.
pub fn question(group: &str, entry: &str, shown: usize) -> String {
    format!(
        "You see {shown} pictures in a grid, numbered 1 to {shown}. They were all made to have this {group}: \"{entry}\". What they \
         show does not matter. Do they look alike in their {group}, so that any of them could stand as an example for the others? \
         Answer in this form: line 1 is only yes or no. Line 2 stays empty. Line 3 has the numbers of the pictures that deviate, \
         with commas between them, or a dash if there are none. After that give your reasons in a sentence or two."
    )
}

/// The numbers of deviating pictures in an answer to [`question`]; none where it cannot be read, or a number is not in the grid.
pub fn parse(reply: &str, shown: usize) -> Option<Vec<usize>> {
    let mut lines = reply.lines().map(str::trim).filter(|line| !line.is_empty());
    let verdict = lines.next()?.to_lowercase();
    let verdict = verdict.trim_matches(|c: char| !c.is_alphanumeric());
    let ids = lines.next().map(|line| {
        let line = line.trim_matches(|c| "[].-—".contains(c)).trim().to_owned();
        let parts: Option<Vec<usize>> = match line.is_empty() {
            true => Some(Vec::new()),
            false => line.split(',').map(|n| n.trim().parse().ok()).collect(),
        };
        parts
    });
    let mut ids = match (verdict, ids) {
        ("yes", None | Some(None)) => Vec::new(),
        ("yes" | "no", Some(Some(ids))) => ids,
        _ => return None,
    };
    ids.sort_unstable();
    ids.dedup();
    let fits = ids.iter().all(|id| (1..=shown).contains(id));
    (fits && (verdict == "yes" || !ids.is_empty())).then_some(ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_judges() {
        assert_eq!(parse("Yes\n\n-\nAll warm.", 9), Some(vec![]));
        assert_eq!(parse("yes", 9), Some(vec![]));
        assert_eq!(parse("No.\n\n3, 1\nThose are cold.", 9), Some(vec![1, 3]));
        assert_eq!(parse("no\n\n[4]", 9), Some(vec![4]));
        // Some deviate, though the rest looks alike.
        assert_eq!(parse("yes\n\n7\nonly one", 9), Some(vec![7]));
        for broken in [
            "",
            "no",
            "no\n\n-",
            "no\n\n12",
            "maybe\n\n3",
            "no\nthe third",
        ] {
            assert_eq!(parse(broken, 9), None, "{broken}");
        }
    }

    #[test]
    fn the_threshold_is_strict() {
        // 9 of 90.
        let votes: Vec<Vec<usize>> = (0..10)
            .map(|at| (1..=usize::from(at < 9)).collect())
            .collect();
        assert!(!is_consistent(&votes, 9, 0.1));
        assert!(is_consistent(&votes[1..], 9, 0.1));
        assert!(!is_consistent(&[], 9, 0.1));
    }
}

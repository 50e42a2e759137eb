//! The protocol of the paper's study with a judge that sees: which results show the subject, which the attribute, which both.
//! Questions are in our own words.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What a judge said about one row of pictures: numbers from 1.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Pictures whose subject is right.
    pub subject: Vec<usize>,
    /// Pictures whose attribute is that of the reference.
    pub attribute: Vec<usize>,
}

impl Verdict {
    /// The verdict in a reply: its last two lines that are not empty must be a bracketed list of numbers each, after a bullet if need
    /// be. None where they are not: the judge is asked again.
    pub fn parse(reply: &str) -> Option<Self> {
        let mut lines = reply.lines().rev().filter(|line| !line.trim().is_empty());
        let attribute = list(lines.next()?)?;
        let subject = list(lines.next()?)?;
        Some(Self { subject, attribute })
    }

    /// Pictures of which both are right.
    pub fn both(&self) -> Vec<usize> {
        let right = |number: &&usize| self.attribute.contains(number);
        self.subject.iter().filter(right).copied().collect()
    }
}

/// `[1, 2]`, `- [3]`, `[]`.
fn list(line: &str) -> Option<Vec<usize>> {
    let line = line.trim();
    let line = line.strip_prefix(['-', '*', '•']).unwrap_or(line).trim();
    let inside = line.strip_prefix('[')?.strip_suffix(']')?.trim();
    match inside.is_empty() {
        true => Some(Vec::new()),
        false => inside.split(',').map(|n| n.trim().parse().ok()).collect(),
    }
}

/// What a judge is asked about a row: the reference, then `results` pictures, numbered from 1.
pub fn question(attribute: &str, subject: &str, results: usize) -> String {
    format!(
        "You see one row of pictures. The leftmost one, marked R, is a reference; the {results} pictures right of it are numbered \
         1 to {results}. Each of them should show \"{subject}\" and take only one visual attribute from the reference: its \
         {attribute}. Look at each numbered picture. First decide whether it really shows \"{subject}\" (a picture that shows the \
         reference's subject instead is wrong). Then decide whether its {attribute} matches that of the reference. Write your \
         reasons briefly. End with exactly two lines and nothing after them: first the list of the numbers whose subject is right, \
         then the list of the numbers whose {attribute} matches, such as\n[1, 3]\n[2]"
    )
}

/// Counted verdicts of one method.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Pictures judged.
    pub pictures: usize,
    /// Of these, with the right subject.
    pub subject: usize,
    /// Of these, with the right subject and attribute.
    pub both: usize,
}

impl Tally {
    /// One more picture.
    pub fn add(&mut self, subject: bool, both: bool) {
        self.pictures += 1;
        self.subject += usize::from(subject);
        self.both += usize::from(both);
    }

    /// Sub-Acc and Attr&Sub-Acc; zero without pictures.
    pub fn accuracies(&self) -> [f64; 2] {
        let all = self.pictures.max(1) as f64;
        [self.subject as f64 / all, self.both as f64 / all]
    }
}

/// Tallies of methods by group of attributes.
pub type Tallies = BTreeMap<String, BTreeMap<String, Tally>>;

/// Sub-Acc and Attr&Sub-Acc of a method over its groups, each of which counts the same, as the paper's mean does.
pub fn means(groups: &BTreeMap<String, Tally>) -> [f64; 2] {
    let count = groups.len().max(1) as f64;
    let mut sums = [0.0; 2];
    for tally in groups.values() {
        let [subject, both] = tally.accuracies();
        sums = [sums[0] + subject, sums[1] + both];
    }
    sums.map(|sum| sum / count)
}

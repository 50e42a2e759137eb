//! What the range filter finds in the toy world.

use base::command::Failure;
use base::rng::Rng;

use super::sprites::{CHOICES, Factors, SUBJECTS, is_icon};
use crate::fiva::range;

/// Subjects inside which an attribute looks alike, for each attribute: what the filter finds.
pub(super) type Ranges = [Vec<Vec<usize>>; 3];

/// What the range filter finds, with a judge that sees from where the light comes and knows colours and strokes.
pub(super) fn filtered() -> Result<Ranges, Failure> {
    let tree = || {
        let of = |icons: bool| (0..SUBJECTS).filter(move |it| is_icon(*it) == icons);
        let names = |icons: bool| of(icons).map(|it| it.to_string()).collect::<Vec<_>>();
        vec![
            ("solid".to_owned(), names(false)),
            ("icon".to_owned(), names(true)),
        ]
    };
    let ranges = |attribute: usize| -> Result<Vec<Vec<usize>>, Failure> {
        let mut rng = Rng::new(9).item(attribute as u64);
        let mut whole: Option<range::Ranges> = None;
        for value in 0..CHOICES[attribute] {
            let found = range::ranges(&tree(), range::GRID, range::THRESHOLD, |node| {
                let holds = |subject: &usize| match node {
                    range::Node::Set(_) => true,
                    range::Node::Major(name) => (name == "icon") == is_icon(*subject),
                    range::Node::Sub(_, name) => *name == subject.to_string(),
                };
                let subjects: Vec<usize> = (0..SUBJECTS).filter(holds).collect();
                let mut vote = || {
                    let shown: Vec<Factors> = (0..range::GRID)
                        .map(|_| Factors::sharing(attribute, value, &subjects, &mut rng))
                        .collect();
                    deviating(&shown, attribute)
                };
                Ok::<_, Failure>((0..range::REPEATS).map(|_| vote()).collect())
            })?;
            match &whole {
                Some(before) if *before != found => {
                    return Err(Failure::failed("the toy filter contradicts itself"));
                }
                _ => whole = Some(found),
            }
        }
        let subjects = |name: &String| -> Vec<usize> {
            match name.as_str() {
                "solid" => (0..SUBJECTS).filter(|it| !is_icon(*it)).collect(),
                "icon" => (0..SUBJECTS).filter(|it| is_icon(*it)).collect(),
                one => one.parse().into_iter().collect(),
            }
        };
        let whole = whole.unwrap_or_default().ranges;
        Ok(whole
            .iter()
            .map(|range| range.iter().flat_map(subjects).collect())
            .collect())
    };
    Ok([ranges(0)?, ranges(1)?, ranges(2)?])
}

/// Numbers of the sprites that do not look like most of a grid.
fn deviating(shown: &[Factors], attribute: usize) -> Vec<usize> {
    let look = |it: &Factors| match attribute {
        2 => it.light().map(|axis| axis as i64),
        at => [it.attributes[at] as i64, 0],
    };
    let looks: Vec<[i64; 2]> = shown.iter().map(look).collect();
    let count = |it: &[i64; 2]| looks.iter().filter(|other| *other == it).count();
    let usual = looks.iter().max_by_key(|it| count(it));
    let odd = looks
        .iter()
        .enumerate()
        .filter(|(_, it)| Some(*it) != usual);
    odd.map(|(at, _)| at + 1).collect()
}

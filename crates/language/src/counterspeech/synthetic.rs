//! Invented communities: hostile comments to answer, and comments to train on. Nobody said any of it.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Community, Record, SystemError, Turn, User};

/// Comments of a community that are trained on.
const COMMENTS: usize = 100;

/// The invented records that ship with the program: three communities, two users each, mild rudeness.
///
/// # Errors
/// Never: a test reads them.
pub fn synthetic() -> Result<Vec<Record>, SystemError> {
    #[derive(Deserialize)]
    struct Set {
        community: Vec<Place>,
    }
    #[derive(Deserialize)]
    struct Place {
        name: String,
        rules: String,
        examples: Vec<String>,
        user: Vec<Person>,
    }
    #[derive(Deserialize)]
    struct Person {
        name: String,
        history: Vec<String>,
        /// Pairs of what was said before and the rude answer.
        said: Vec<[String; 2]>,
    }
    let set: Set = toml::from_str(include_str!("synthetic.toml"))
        .map_err(|error| SystemError::Failed(error.to_string()))?;
    let mut records = Vec::new();
    for place in set.community {
        for person in place.user {
            for (at, [before, rude]) in person.said.into_iter().enumerate() {
                let turn = |author: &str, text: String| Turn {
                    author: author.to_owned(),
                    text,
                    toxicity: None,
                };
                records.push(Record {
                    id: format!("{}-{}-{}", place.name, person.name, at + 1),
                    community: Community {
                        name: place.name.clone(),
                        rules: Some(place.rules.clone()),
                        examples: place.examples.clone(),
                    },
                    thread: vec![turn("somebody", before)],
                    message: turn(&person.name, rude),
                    user: User {
                        history: person.history.clone(),
                        summary: None,
                    },
                });
            }
        }
    }
    Ok(records)
}

/// 300 comments to train on, 100 of each community of [`synthetic()`], each with the one that it answers: lines of what
/// `train` reads. They are put together from subjects and turns of phrase, and share no sentence with the records.
///
/// # Errors
/// Never: a test reads them.
pub fn synthetic_comments() -> Result<Vec<Value>, SystemError> {
    #[derive(Deserialize)]
    struct Set {
        community: Vec<Place>,
    }
    #[derive(Deserialize)]
    struct Place {
        openings: Vec<String>,
        closings: Vec<String>,
        /// Pairs of what was said before and the middle of the comment.
        said: Vec<[String; 2]>,
    }
    let set: Set = toml::from_str(include_str!("comments.toml"))
        .map_err(|error| SystemError::Failed(error.to_string()))?;
    let mut comments = Vec::new();
    for place in &set.community {
        let round = place.said.len().max(1);
        for at in 0..COMMENTS {
            // Each subject comes with other turns of phrase in each round.
            let (subject, turn) = (at % round, at / round);
            let pick = |list: &[String], at: usize| list.get(at % list.len().max(1)).cloned();
            let parts = [
                pick(&place.openings, subject + 2 * turn),
                place.said.get(subject).map(|[_, middle]| middle.clone()),
                pick(&place.closings, subject + turn),
            ];
            let comment: Vec<String> = parts.into_iter().flatten().collect();
            let parent = place.said.get(subject).map(|[before, _]| before);
            comments.push(json!({"parent": parent, "comment": comment.concat().trim()}));
        }
    }
    Ok(comments)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_invented_set_is_as_the_proof_wants_it() {
        let records = synthetic().unwrap();
        assert_eq!(records.len(), 30);
        let count = |of: fn(&Record) -> &str| records.iter().map(of).collect::<BTreeSet<_>>().len();
        assert_eq!(count(|it| &it.community.name), 3);
        assert_eq!(count(|it| &it.message.author), 6);
        assert_eq!(count(|it| &it.id), 30);
        for record in &records {
            assert_eq!((record.user.history.len(), record.thread.len()), (5, 1));
            assert!(record.community.examples.len() >= 16);
        }
    }

    #[test]
    fn comments_are_many_and_none_is_in_the_records() {
        let records = serde_json::to_string(&synthetic().unwrap()).unwrap();
        let comments = synthetic_comments().unwrap();
        assert_eq!(comments.len(), 300);
        let text = |it: &Value, key: &str| it[key].as_str().unwrap().to_owned();
        let all: BTreeSet<String> = comments.iter().map(|it| text(it, "comment")).collect();
        assert_eq!(all.len(), 300);
        for comment in &comments {
            for part in [text(comment, "comment"), text(comment, "parent")] {
                assert!(!records.contains(&part), "{part}");
            }
        }
    }
}

//! What the digest says of each system, in English and Korean, and what its proof measured here.

use base::card::Card;
use base::command::Failure;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A language of the cards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Language {
    /// English
    #[default]
    En,
    /// Korean
    Ko,
}

/// A card in one language.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Digest {
    /// Name and subject.
    pub title: String,
    /// What it is for, in one line.
    pub purpose: String,
    /// What was new.
    pub new: String,
    /// Technical facts.
    pub details: Vec<String>,
    /// Published claims.
    pub claims: Vec<String>,
}

/// A claim that was tested here, as a proof's `report.json` has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measured {
    /// What is claimed.
    pub statement: String,
    /// `shown`, `shown_narrowly`, `not_shown` or `not_run`.
    pub verdict: String,
    /// What was found.
    pub evidence: String,
}

#[derive(Deserialize)]
struct Proof {
    claims: Vec<Measured>,
}

/// A card as it stands in a file: what is not there is taken from the [`Card`].
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    title: Option<String>,
    purpose: Option<String>,
    new: String,
    details: Vec<String>,
    claims: Option<Vec<String>>,
}

const ENGLISH: &str = include_str!("../../../assets/cards/en.json");
const KOREAN: &str = include_str!("../../../assets/cards/ko.json");

macro_rules! proofs {
    ($($slug:literal),*) => {
        &[$(($slug, include_str!(concat!("../../../proofs/", $slug, "/report.json")))),*]
    };
}

/// The committed proofs.
const PROOFS: &[(&str, &str)] = proofs![
    "acdit",
    "codearena",
    "counterspeech",
    "emov2",
    "frames",
    "guardian",
    "harp",
    "hyperfl",
    "lora-rar",
    "moxin",
    "omnidocbench",
    "rapl",
    "stiv",
    "wind"
];

/// The card of a system in `language`.
///
/// # Errors
/// When the program was built with a broken file.
pub fn digest(card: &Card, language: Language) -> Result<Digest, Failure> {
    let text = match language {
        Language::En => ENGLISH,
        Language::Ko => KOREAN,
    };
    let mut all: BTreeMap<String, Written> = serde_json::from_str(text).map_err(Failure::failed)?;
    let missing = || Failure::failed(format!("no card of `{}` was built in", card.slug));
    let written = all.remove(card.slug).ok_or_else(missing)?;
    let claims = || card.claims.iter().map(|&claim| claim.to_owned()).collect();
    Ok(Digest {
        title: written.title.unwrap_or_else(|| card.title.to_owned()),
        purpose: written.purpose.unwrap_or_else(|| card.purpose.to_owned()),
        new: written.new,
        details: written.details,
        claims: written.claims.unwrap_or_else(claims),
    })
}

/// Systems that have a card and are not in this program.
///
/// # Errors
/// When the program was built with a broken file.
pub fn left_out() -> Result<Vec<String>, Failure> {
    let all: BTreeMap<String, Written> = serde_json::from_str(ENGLISH).map_err(Failure::failed)?;
    let slugs = all.into_keys();
    Ok(slugs
        .filter(|slug| crate::registry::system(slug).is_none())
        .collect())
}

/// What the committed proof of a system found; nothing where there is none.
///
/// # Errors
/// When the program was built with a broken file.
pub fn measured(slug: &str) -> Result<Vec<Measured>, Failure> {
    let Some((_, text)) = PROOFS.iter().find(|(name, _)| *name == slug) else {
        return Ok(Vec::new());
    };
    let proof: Proof = serde_json::from_str(text).map_err(Failure::failed)?;
    Ok(proof.claims)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::registry::systems;

    #[test]
    fn every_system_has_its_card_in_both_languages() {
        for system in systems() {
            for language in [Language::En, Language::Ko] {
                let digest = digest(&system.card, language).unwrap();
                assert!(!digest.new.is_empty(), "{}", system.card.slug);
                assert!(digest.details.len() > 1, "{}", system.card.slug);
                assert!(!digest.claims.is_empty(), "{}", system.card.slug);
            }
        }
    }

    #[test]
    fn the_committed_proofs_are_read() {
        for (slug, _) in PROOFS {
            assert!(
                systems().any(|system| system.card.slug == *slug) || cfg!(not(feature = "stiv"))
            );
            assert!(!measured(slug).unwrap().is_empty());
        }
    }
}

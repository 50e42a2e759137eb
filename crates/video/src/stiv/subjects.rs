//! Which subjects a model learns: all plain ones of the pack, or those that people recognise at 32×32.

use clap::ValueEnum;
use engine::data::pack::EmojiPack;
use serde::{Deserialize, Serialize};

/// A choice of subjects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubjectSet {
    /// 120 animals, dishes, faces, plants and vehicles that people recognise at 32×32.
    #[default]
    Recognised,
    /// All 993 of the pack, without the dark-skinned twins.
    All,
}

impl SubjectSet {
    /// Codes of the subjects, in order.
    pub fn codes(self, pack: &EmojiPack) -> Vec<String> {
        match self {
            Self::Recognised => recognised(),
            Self::All => {
                let plain = pack.subjects.iter().filter(|s| s.skin.is_none());
                plain.map(|subject| subject.code.clone()).collect()
            }
        }
    }
}

/// Codes (hexadecimal, as in the pack) of the recognised subjects, by kind.
const SUBJECTS: &[(&str, &[&str])] = &[
    (
        "animals",
        &[
            "1f42d", "1f42e", "1f42f", "1f430", "1f431", "1f432", "1f434", "1f435", "1f436",
            "1f437", "1f438", "1f439", "1f43a", "1f43b", "1f428", "1f43c", "1f98a", "1f981",
            "1f984", "1f427", "1f426", "1f989", "1f986", "1f9a9", "1f423", "1f418", "1f992",
            "1f993", "1f994", "1f433", "1f42c", "1f988", "1f419", "1f980", "1f41f", "1f420",
            "1f421", "1f422", "1f40d", "1f40c", "1f98b", "1f41d", "1f41e", "1f411", "1f416",
        ],
    ),
    (
        "food",
        &[
            "1f34e", "1f34f", "1f351", "1f352", "1f353", "1f347", "1f349", "1f34a", "1f34b",
            "1f34c", "1f34d", "1f345", "1f951", "1f346", "1f955", "1f33d", "1f344", "1f966",
            "1f950", "1f9c0", "1f354", "1f355", "1f32e", "1f373", "1f369", "1f36a", "1f382",
            "1f36d", "1f37a", "1f377", "1f379",
        ],
    ),
    (
        "faces",
        &[
            "1f600", "1f602", "1f60d", "1f60e", "1f62d", "1f621", "1f631", "1f920", "1f916",
            "1f47d", "1f47b", "1f480", "1f4a9",
        ],
    ),
    (
        "plants",
        &[
            "1f339", "1f33b", "1f337", "1f338", "1f335", "1f334", "1f332", "1f340", "1f341",
            "1fab4",
        ],
    ),
    (
        "vehicles",
        &[
            "1f697", "1f695", "1f68c", "1f692", "1f69c", "1f6b2", "1f3cd", "2708", "1f681",
            "1f680", "1f6f8", "26f5", "1f682",
        ],
    ),
    (
        "sky and things",
        &[
            "1f308", "1f31e", "1f31d", "1f31f", "1f525", "26c4", "1f451", "1f3e0",
        ],
    ),
];

/// Codes of [`SubjectSet::Recognised`]; files that name no subjects know these.
pub fn recognised() -> Vec<String> {
    let codes = SUBJECTS.iter().flat_map(|(_, codes)| codes.iter());
    codes.map(|&code| code.to_owned()).collect()
}

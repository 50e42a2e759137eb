//! The human study: design, form, import, analysis, power. The paper's protocol could not be read; this one is ours.

mod agree;
mod analyse;
mod collect;
mod compare;
mod design;
mod form;
mod latin;
mod power;
mod prereg;
mod ratings;
mod report;
mod serve;
mod withdraw;

pub use agree::{Agreement, IndicatorAgreement, against_indicators};
pub use analyse::{Analysis, ConditionDifference, Excluded, Ranks, analyse};
pub use collect::collected;
pub use compare::{Comparison, compare};
pub use design::{Aspect, CONDITIONS, Design, DesignOptions, Item, Plan};
pub use latin::balanced_latin_square;
pub use power::{PowerOptions, PowerRow, power, simulate};
pub use prereg::{Exclusion, Preregistration, Primary};
pub use ratings::{
    Participant, Rating, read_participants, read_ratings, write_participants, write_ratings,
};
pub use report::markdown;
pub use serve::serve;
pub(super) use withdraw::filter as filter_rows;
pub use withdraw::{forget_records, withdraw};

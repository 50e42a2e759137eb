//! OmniDocBench.

macro_rules! rooms {
    ($($room:ident: $path:literal),*) => { $(#[path = $path] pub mod $room;)* };
}

rooms! {
    cdm: "../../../crates/judge/src/omnidocbench/cdm/mod.rs",
    element: "../../../crates/judge/src/omnidocbench/element.rs",
    evaluate: "../../../crates/judge/src/omnidocbench/evaluate.rs",
    extract: "../../../crates/judge/src/omnidocbench/extract/mod.rs",
    matching: "../../../crates/judge/src/omnidocbench/matching/mod.rs",
    merge: "../../../crates/judge/src/omnidocbench/merge.rs",
    metrics: "../../../crates/judge/src/omnidocbench/metrics/mod.rs",
    normalize: "../../../crates/judge/src/omnidocbench/normalize/mod.rs",
    page: "../../../crates/judge/src/omnidocbench/page/mod.rs",
    protocol: "../../../crates/judge/src/omnidocbench/protocol.rs",
    python: "../../../crates/judge/src/omnidocbench/python.rs",
    score: "../../../crates/judge/src/omnidocbench/score/mod.rs"
}

pub use element::{Element, Fine, Kind};
pub use protocol::Protocol;

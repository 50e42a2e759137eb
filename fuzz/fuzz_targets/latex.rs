//! Formulas as a parser may have written them: to Unicode, to their normal form, and onto the page.
#![no_main]

use judge::omnidocbench::Protocol;
use judge::omnidocbench::cdm;
use judge::omnidocbench::normalize::{formula, latex_to_text};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let (prediction, truth) = text.split_once('\0').unwrap_or((text, text));
    let _ = latex_to_text(prediction);
    for protocol in Protocol::ALL {
        formula(prediction, protocol);
    }
    if let Ok(score) = cdm::score(prediction, truth) {
        for share in [score.recall, score.precision, score.f1] {
            assert!((0.0..=1.0).contains(&share), "{score:?}");
        }
    }
});

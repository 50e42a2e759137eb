//! Pages as a parser may have written them, one matched with another end to end.
#![no_main]

use judge::omnidocbench::Protocol;
use judge::omnidocbench::evaluate::Evaluator;
use judge::omnidocbench::extract::extract;
use judge::omnidocbench::matching::Matching;
use judge::omnidocbench::page::Page;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let (prediction, truth) = text.split_once('\0').unwrap_or((text, text));
    for protocol in Protocol::ALL {
        for element in extract(prediction, protocol) {
            assert!(element.position[0] <= element.position[1], "{element:?}");
        }
        let evaluator = Evaluator {
            matching: Matching {
                protocol,
                ..Matching::default()
            },
            ..Evaluator::default()
        };
        let page = evaluator.markdown(0, &Page::default(), truth, prediction);
        evaluator.summary(&[page]);
    }
});

//! Tables as a parser may have written them: the HTML readers, the LaTeX tables, and the similarity of the trees they give.
#![no_main]

use judge::omnidocbench::Protocol;
use judge::omnidocbench::metrics::html::{self, HtmlParser};
use judge::omnidocbench::metrics::teds;
use judge::omnidocbench::normalize::{html_table, latex_table_to_html, table_cells};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let (prediction, truth) = text.split_once('\0').unwrap_or((text, text));
    for parser in [HtmlParser::Libxml2_2_14, HtmlParser::Libxml2_2_9] {
        html::parse(prediction, parser);
    }
    table_cells(prediction);
    latex_table_to_html(prediction);
    let [prediction, truth] = [prediction, truth].map(|text| html_table(text, Protocol::V1_6));
    if let Ok(found) = teds::compare(&prediction, &truth, HtmlParser::default()) {
        for score in [found.full, found.structure] {
            assert!(score <= 1.0, "{found:?}");
        }
        if prediction == truth {
            assert_eq!((found.full, found.structure), (1.0, 1.0));
        }
    }
});

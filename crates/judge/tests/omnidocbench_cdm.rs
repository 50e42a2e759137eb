//! CDM against recorded numbers: every case of the kind that is there.

use std::path::Path;

use base::fixtures::{Case, cases, report};
use judge::omnidocbench::cdm::{
    Drawing, Formula, Renderer, TokenBox, Xelatex, compare, render, score,
};
use serde_json::Value;

fn committed() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures"))
}

fn pairs(file: &Case) -> &[Value] {
    file.json["cases"].as_array().expect("a list of cases")
}

fn texts(value: &Value) -> Vec<&str> {
    value
        .as_array()
        .expect("a list")
        .iter()
        .map(|text| text.as_str().expect("a text"))
        .collect()
}

/// The recorded boxes of one side; nothing where rendering failed there.
fn drawing(case: &Value, side: &str) -> Option<Drawing> {
    let numbers = |value: &Value| -> Vec<i64> {
        value
            .as_array()
            .expect("numbers")
            .iter()
            .map(|n| n.as_i64().expect("a number"))
            .collect()
    };
    let boxes = case.get(format!("{side}_boxes"))?.as_array()?;
    let size = numbers(case.get(format!("{side}_size"))?);
    let boxes = boxes
        .iter()
        .filter(|found| !numbers(&found["bbox"]).is_empty())
        .map(|found| TokenBox {
            token: found["token"].as_str().expect("a token").into(),
            bounds: numbers(&found["bbox"]).try_into().expect("four sides"),
        })
        .collect();
    Some(Drawing {
        size: [size[0] as usize, size[1] as usize],
        boxes,
    })
}

#[test]
fn formulas_are_read_as_the_official_tokeniser_reads_them() {
    let mut ran = 0;
    for file in cases("omnidocbench", "cdm", committed()) {
        for case in pairs(&file) {
            for side in ["gt", "pred"] {
                let latex = case[side].as_str().expect("a formula");
                let formula = Formula::read(latex).expect("every recorded formula has tokens");
                assert_eq!(
                    formula.tokenized,
                    case[format!("{side}_tokenized")].as_str().expect("tokens"),
                    "{latex}"
                );
                assert_eq!(
                    formula.normalized,
                    case[format!("{side}_normalized")].as_str().expect("tokens"),
                    "{latex}"
                );
                assert_eq!(
                    formula.coloured.visible,
                    texts(&case[format!("{side}_tokens")]),
                    "{latex}"
                );
                ran += 1;
            }
        }
    }
    report("omnidocbench", "cdm (formulas)", ran);
}

/// The recording says: exact for 90 % of the pairs, none further off than 0.05, since its consensus was drawn at random.
#[test]
fn recorded_boxes_give_the_recorded_scores() {
    for file in cases("omnidocbench", "cdm", committed()) {
        let (mut ran, mut exact) = (0, 0);
        for case in pairs(&file) {
            let (Some(truth), Some(given)) = (drawing(case, "gt"), drawing(case, "pred")) else {
                continue;
            };
            let found = compare(&truth, &given);
            let wanted = |name: &str| case["out"][name].as_f64().expect("a score");
            let off = [
                found.recall - wanted("recall"),
                found.precision - wanted("precision"),
                found.f1 - wanted("F1_score"),
            ];
            assert!(
                off.iter().all(|off| off.abs() <= 0.05),
                "{}: {found:?}",
                case["gt"]
            );
            exact += usize::from(off.iter().all(|off| off.abs() < 1e-9));
            ran += 1;
        }
        assert!(
            exact * 10 >= ran * 9,
            "{}: {exact} of {ran} exact",
            file.name
        );
        report("omnidocbench", "cdm (boxes)", ran);
    }
}

/// Boxes of another renderer are a guide only: the scores must be near.
#[test]
fn our_own_drawings_score_like_the_official_ones() {
    for file in cases("omnidocbench", "cdm", committed()) {
        let (mut ran, mut off) = (0, 0.0);
        for case in pairs(&file) {
            let text = |name: &str| case[name].as_str().expect("a formula");
            let found = score(text("pred"), text("gt")).map_or(0.0, |score| score.f1);
            off += (found - case["out"]["F1_score"].as_f64().expect("a score")).abs();
            ran += 1;
        }
        let mean = off / f64::from(ran.max(1));
        println!(
            "omnidocbench/cdm: mean distance of F1 from the official rendering {mean:.4} over {ran} pairs"
        );
        assert!(mean <= 0.1, "{}: {mean}", file.name);
    }
}

/// The official rendering, where it is installed: F1 must be near the recorded one, and most boxes too. Fonts and versions
/// of TeX may move ink by some pixels.
#[test]
fn xelatex_draws_what_was_recorded() {
    let tools = match Xelatex::find() {
        Ok(tools) => tools,
        Err(missing) => {
            println!("omnidocbench/cdm (xelatex): skipped: {missing}");
            return;
        }
    };
    let renderer = Renderer::Xelatex(tools);
    for file in cases("omnidocbench", "cdm", committed()) {
        let (mut ran, mut off, mut boxes, mut near) = (0, 0.0, 0, 0);
        // Chinese needs a font that may not be there.
        let plain = |case: &&Value| {
            ["gt", "pred"]
                .iter()
                .all(|side| case[*side].as_str().is_some_and(str::is_ascii))
        };
        for case in pairs(&file).iter().filter(plain).step_by(2) {
            let text = |name: &str| case[name].as_str().expect("a formula");
            let found = renderer
                .score(text("pred"), text("gt"))
                .map_or(0.0, |score| score.f1);
            off += (found - case["out"]["F1_score"].as_f64().expect("a score")).abs();
            ran += 1;
            if let (Some(recorded), Ok(drawn)) = (drawing(case, "gt"), renderer.render(text("gt")))
            {
                for (a, b) in recorded.boxes.iter().zip(&drawn.boxes) {
                    boxes += 1;
                    // Recorded boxes hold the pixels of full colour; ours all that it touches, as the official tool sees them.
                    let [x0, y0, x1, y1] = a.bounds;
                    let [u0, v0, u1, v1] = b.bounds;
                    let within = u0 <= x0 + 2 && v0 <= y0 + 2 && u1 >= x1 - 2 && v1 >= y1 - 2;
                    near += usize::from(within);
                }
            }
        }
        let mean = off / f64::from(ran.max(1));
        println!(
            "omnidocbench/cdm (xelatex): mean distance of F1 {mean:.4} over {ran} pairs; {near} of {boxes} boxes hold the recorded ones within 2 pixels"
        );
        assert!(mean <= 0.05, "{}: {mean}", file.name);
        assert!(
            near * 10 >= boxes * 8,
            "{}: {near} of {boxes} boxes",
            file.name
        );
    }
}

#[test]
fn a_formula_is_found_again_in_itself() {
    for latex in [
        "\\frac{-b\\pm\\sqrt{b^2-4ac}}{2a}",
        "\\begin{pmatrix} a & b \\\\ c & d \\end{pmatrix}",
        "\\sum_{i=1}^{n} x_i",
        "\\left\\{\\begin{array}{l}x\\\\y\\end{array}\\right.",
    ] {
        let found = score(latex, latex).expect("a plain formula");
        assert!(found.exact(), "{latex}: {found:?}");
    }
}

/// F1 of XeLaTeX for pairs of which one side lacks a symbol: what has no glyph of its own is there all the same.
#[test]
fn nothing_that_the_official_rendering_shows_is_missing() {
    for (gt, pred, official) in [
        ("A\\hookrightarrow B", "A B", 0.8),
        ("a\\longmapsto b", "a b", 0.8),
        ("x\\hdots y", "x y", 0.8),
        ("3×4", "34", 0.8),
        ("a\\bmod n", "an", 0.8),
        ("\\varlimsup a", "a", 0.667),
        ("½x", "x", 0.667),
        ("a→b", "ab", 0.8),
        ("x—y", "xy", 0.8),
        ("\\overrightarrow{AB}", "AB", 0.8),
        ("x \\tag{1}", "x", 0.5),
        ("\\mathrm{é}x", "x", 0.667),
        ("×", "×", 1.0),
    ] {
        let found = score(pred, gt).map(|score| score.f1);
        assert_eq!(found, Ok(official), "{gt}");
    }
}

/// What LaTeX shows and this renderer cannot is a reason, not a better score; what LaTeX does not know shows nothing.
#[test]
fn commands_that_cannot_be_drawn_are_named() {
    for latex in [
        "\\genfrac{}{}{0pt}{}{a}{b} x",
        "x \\sideset{_a}{^b} y",
        "\\vcenter{x}",
    ] {
        let failure = score("x", latex).expect_err("not drawn here").to_string();
        assert!(failure.contains("cannot draw `\\"), "{failure}");
        assert!(failure.contains("--cdm-renderer xelatex"), "{failure}");
    }
    assert_eq!(score("x", "\\notacommand x").map(|score| score.f1), Ok(1.0));
}

/// XeLaTeX makes no page of such a formula.
#[test]
fn a_broken_name_of_an_environment_is_not_scored() {
    let whole = r"\begin{aligned}a&=b\\c&=d\end{aligned}";
    for latex in [
        r"\begin { a l i g n e d } a & = b \\ c & = d \end { a i g n e d }",
        r"\begin { m a t r i x } 2 & 1 \end { m a t r i x } 1",
    ] {
        let failure = score(latex, whole).expect_err("no page").to_string();
        assert!(failure.contains("not one word"), "{failure}");
    }
    assert_eq!(score(whole, whole).map(|score| score.f1), Ok(1.0));
}

/// A thin accent inks no pixel wholly, and is seen all the same.
#[test]
fn what_touches_pixels_is_there() {
    let found = score("{x}", r"\widehat{x}").map(|score| score.f1 < 0.7);
    assert_eq!(found, Ok(true));
    let middle = r"\left( \frac{x}{y} \middle| z \right)";
    assert_eq!(score(middle, middle).map(|score| score.f1), Ok(1.0));
}

#[test]
fn what_stands_above_is_drawn_above() {
    let drawing = render("\\frac{a}{b}").expect("a fraction");
    let top = |token: &str| {
        drawing
            .boxes
            .iter()
            .find(|found| found.token == token)
            .expect("drawn")
            .bounds[1]
    };
    assert!(top("a") < top("b"));
    let limits = render("\\sum_{i}^{n}").expect("a sum");
    let top = |token: &str| {
        limits
            .boxes
            .iter()
            .find(|found| found.token == token)
            .expect("drawn")
            .bounds[1]
    };
    assert!(top("n") < top("\\sum") && top("\\sum") < top("i"));
}

#[test]
fn hostile_formulas_fail_in_words() {
    let deep = "{".repeat(10_000);
    let failing = [
        String::new(),
        " ".into(),
        "\\frac".into(),
        "x".repeat(10_000_000),
        deep.clone(),
        format!("{deep}x{}", "}".repeat(10_000)),
        "\\sqrt{".repeat(2_000),
        "\\left(".repeat(2_000),
        "\\begin{array}{l}".repeat(1_000),
        "\\hat ".repeat(3_000),
        "\\mathrm{".repeat(2_000),
        "\\quad".into(),
        "\u{0}\u{1}".into(),
    ];
    for latex in failing {
        if let Err(failure) = score("x", &latex) {
            let line = failure.to_string();
            assert!(
                line.starts_with("the true formula cannot be scored: ")
                    && line.len() < 300
                    && !line.contains('\n'),
                "{line}"
            );
        }
        let _ = score(&latex, "x+y");
    }
}

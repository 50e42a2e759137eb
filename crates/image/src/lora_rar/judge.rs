//! The protocol of the paper's evaluation: a model that sees is asked about every reference picture, and the majority decides.
//! Questions are in our own words.

use base::endpoint::{ChatModel, Message, Prompt, Request};
use base::media::{Image, data_address};
use engine::models::emoji_judge::{Judge, Verdict};
use serde::{Deserialize, Serialize};

use super::SystemError;

/// Pictures are shown with their longer side at most this.
pub const LONGER_SIDE: u32 = 512;

/// What was answered about one generated picture, one answer a reference.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Votes {
    /// Whether the same subject is seen.
    pub subject: Vec<String>,
    /// Whether it is in the style.
    pub style: Vec<String>,
}

/// Whether an answer says yes: its lower-cased text contains "yes" anywhere.
pub fn says_yes(answer: &str) -> bool {
    answer.to_lowercase().contains("yes")
}

/// Whether more than half of the answers say yes.
pub fn majority(answers: &[String]) -> bool {
    2 * answers.iter().filter(|answer| says_yes(answer)).count() > answers.len()
}

impl Votes {
    /// Verdicts on subject, style and both.
    pub fn verdicts(&self) -> [bool; 3] {
        let [subject, style] = [majority(&self.subject), majority(&self.style)];
        [subject, style, subject && style]
    }
}

/// The name of a style as it is asked about: `watercolor_painting3` → `watercolor painting`.
pub fn style_words(folder: &str) -> String {
    let name = folder.trim_end_matches(|c: char| c.is_ascii_digit());
    name.trim_end_matches('_').replace('_', " ")
}

fn subject_question() -> String {
    "The first picture is a reference of one particular subject, the second one is a test picture. \
     Does the test picture show that very subject? Details such as its colours and markings must match; \
     the style in which the picture is made may differ. Answer with Yes or No only."
        .into()
}

fn style_question(style: &str) -> String {
    format!(
        "The first picture is an example of the style \"{style}\", the second one is a test picture. \
         Is the test picture made in that style? What it shows does not matter. Answer with Yes or No only."
    )
}

/// A picture as large as a model is shown it.
pub fn scaled(picture: &Image) -> Image {
    let longer = picture.width.max(picture.height);
    if longer <= LONGER_SIDE {
        return picture.clone();
    }
    let scaled = |side: u32| {
        let scaled = f64::from(side) * f64::from(LONGER_SIDE) / f64::from(longer);
        (scaled.round() as u32).max(1)
    };
    picture.resize(scaled(picture.width), scaled(picture.height))
}

/// A picture as a model is shown it.
///
/// # Errors
/// When it cannot be encoded.
pub fn shown(picture: &Image) -> Result<String, SystemError> {
    Ok(data_address(&scaled(picture))?)
}

/// What the judge inside the program, which knows emoji, says of one generated picture: whether it sees the subject, and the
/// style, that it sees in each reference.
pub fn embedded_votes(judge: &Judge, test: &Image, subjects: &[Image], styles: &[Image]) -> Votes {
    let seen = |pictures: &[Image]| {
        let values: Vec<Vec<f32>> = pictures.iter().map(Judge::values).collect();
        judge.judge(&values)
    };
    let said = |same: bool| if same { "Yes" } else { "No" }.to_owned();
    let found = seen(std::slice::from_ref(test));
    let found = found.first();
    let answers =
        |references: &[Image], same: &dyn Fn(&Verdict, &Verdict) -> bool| -> Vec<String> {
            let each = seen(references).into_iter();
            each.map(|it| said(found.is_some_and(|found| same(found, &it))))
                .collect()
        };
    Votes {
        subject: answers(subjects, &|a, b| a.subject == b.subject),
        style: answers(styles, &|a, b| a.style == b.style),
    }
}

/// Asks about one generated picture, all given as [`shown`] makes them: first whether each of `subjects` is the same subject, then
/// whether it is in the style of which `styles` are examples. Greedy decoding.
///
/// # Errors
/// When the model does not answer.
pub fn endpoint_votes(
    model: &dyn ChatModel,
    test: &str,
    subjects: &[String],
    (style, styles): (&str, &[String]),
) -> Result<Votes, SystemError> {
    let answers = |references: &[String], question: String| -> Result<Vec<String>, SystemError> {
        let one = |reference: &String| {
            let message =
                Message::user(question.clone()).seeing(vec![reference.clone(), test.to_owned()]);
            let request = Request {
                prompt: Prompt::Chat(vec![message]),
                temperature: 0.0,
                max_tokens: 16,
                seed: None,
            };
            Ok(model.reply(&request)?.text)
        };
        references.iter().map(one).collect()
    };
    Ok(Votes {
        subject: answers(subjects, subject_question())?,
        style: answers(styles, style_question(style))?,
    })
}

/// Shares over pictures, then over scenarios (pairs of subject and style): subject, style, both.
pub fn scores(scenarios: &[Vec<[bool; 3]>]) -> [f64; 3] {
    let share = |pictures: &[[bool; 3]], at: usize| {
        let hits = pictures.iter().filter(|verdict| verdict[at]).count();
        hits as f64 / pictures.len().max(1) as f64
    };
    [0, 1, 2].map(|at| {
        let sum: f64 = scenarios.iter().map(|pictures| share(pictures, at)).sum();
        sum / scenarios.len().max(1) as f64
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use burn::tensor::Device;
    use engine::data::pack::{EmojiPack, Style};

    #[test]
    fn the_judge_inside_compares_what_it_sees() {
        let pack = EmojiPack::embedded().unwrap();
        let picture = |code: &str, style: Style| {
            let subject = pack.subjects.iter().find(|it| it.code == code).unwrap();
            pack.image(subject.cell, style).unwrap()
        };
        let judge = Judge::embedded(&Device::flex()).unwrap();
        let (elephant, pizza) = ("1f418", "1f355");
        let votes = embedded_votes(
            &judge,
            &picture(elephant, Style::Noto),
            &[
                picture(elephant, Style::Twemoji),
                picture(pizza, Style::Noto),
            ],
            &[picture(pizza, Style::Noto)],
        );
        assert_eq!(votes.subject, ["Yes", "No"]);
        assert_eq!(votes.verdicts(), [false, true, false]);
    }

    #[test]
    fn names_of_styles_and_scores_over_scenarios() {
        assert_eq!(style_words("watercolor_painting3"), "watercolor painting");
        assert_eq!(style_words("3d_rendering4"), "3d rendering");
        let right = [true, true, true];
        let wrong = [true, false, false];
        // One scenario of three pictures, one of one: each counts the same.
        let found = scores(&[vec![right, wrong, wrong], vec![right]]);
        assert_eq!(found[0], 1.0);
        assert!((found[2] - 2.0 / 3.0).abs() < 1e-12);
    }
}

//! Part 3: more candidates move texts further towards a concept.

use base::command::{Context, Failure};
use base::proof::{
    Arm, Better, Bound, Claim, Experiment, Measure, Outcome, ProofOptions, Report, Unit,
};

use super::{COLUMNS, World, over_items};
use crate::frames::concepts::{combine, concept_frame, tokenise};
use crate::frames::frame::Frame;
use crate::frames::guide::{GuideOptions, guided_decode};
use crate::frames::linalg::Degenerate;
use engine::SystemError;

/// Beginnings that say nothing of women or men.
const PROMPTS: [&str; 12] = [
    "The doctor said that",
    "The teacher explained why",
    "My neighbour always told us that",
    "The engineer looked at the plan and",
    "Somebody knocked at the door, and",
    "The lawyer answered that",
    "The soldier wrote in a letter that",
    "The nurse came back because",
    "The scientist was proud that",
    "When the artist was young,",
    "The boss of the company said that",
    "The child grew up and",
];
/// Chosen tokens; a text gets one more.
const STEPS: usize = 16;
/// Candidates of the arms; one is greedy decoding.
const CANDIDATES: [usize; 3] = [1, 2, 3];
/// Columns of the baseline's concepts.
const SINGLE: usize = 1;
const FEMALE: &str = "she her hers herself woman women girl girls lady ladies mother mothers daughter daughters sister sisters wife wives aunt grandmother mrs ms queen actress female";
const MALE: &str = "he him his himself man men boy boys gentleman gentlemen father fathers son sons brother brothers husband husbands uncle grandfather mr king actor male";
const CONCEPTS: [&str; 2] = ["woman.n.01", "man.n.01"];

/// Texts of one arm in one direction.
struct Texts {
    /// The cumulative probe at the end of each.
    totals: Vec<f64>,
    /// Words of women less words of men.
    balance: i64,
}

pub fn prove(options: &ProofOptions, report: &mut Report) -> Result<(), Failure> {
    let world = World::get()?;
    let directions = [(0, 1), (1, 0)].map(|(a, b)| (CONCEPTS[a], CONCEPTS[b]));
    let mut guides = Vec::new();
    for columns in [COLUMNS, SINGLE] {
        let frames = frames(world, columns)?;
        for (a, b) in [(0, 1), (1, 0)] {
            guides.push(combine(&frames[a], &frames[b], Degenerate::Drop));
        }
    }
    let mut arms: Vec<Arm> = CANDIDATES
        .iter()
        .map(|k| {
            let about = if *k == 1 {
                "greedy decoding: the baseline"
            } else {
                "guided by frames"
            };
            Arm::new(&format!("k = {k}"), about)
        })
        .collect();
    arms.push(Arm::new(
        "k = 3, first tokens",
        "guided by concepts of one column; the probe is that of frames",
    ));
    // All arms of a direction are measured with the same probe.
    let mut results: Vec<[Texts; 2]> = Vec::new();
    for arm in 0..arms.len() {
        let k = CANDIDATES.get(arm).copied().unwrap_or(3);
        let first = if arm < CANDIDATES.len() { 0 } else { 2 };
        let texts = |direction: usize| {
            texts(
                world,
                &guides[first + direction],
                &guides[direction],
                k,
                options.context,
            )
        };
        results.push([texts(0)?, texts(1)?]);
    }

    let mut measures = Vec::new();
    for (at, (towards, away)) in directions.iter().enumerate() {
        let mut measure = Measure::higher(
            &format!("{towards} − {away}"),
            "Cumulative probe at the end of a text, mean over prompts.",
        );
        for (arm, texts) in arms.iter().zip(&results) {
            measure
                .outcomes
                .push(over_items(&arm.name, &texts[at].totals));
        }
        claim_increase(report, &measure, [towards, away], &results, at);
        if at == 0
            && let Some(outcome) = measure.of(&arms[0].name)
        {
            report.claims.push(Claim::tested(
                "unguided texts drift towards man",
                "the paper, of Llama 3.1 70B",
                Bound::Below(0.0),
                (&measure, outcome),
            ));
        }
        measures.push(measure);
    }
    for (at, (towards, _)) in directions.iter().enumerate() {
        let mut words = Measure::new(
            &format!("female − male words, towards {towards}"),
            "Count over all texts.",
            if at == 0 {
                Better::Higher
            } else {
                Better::Lower
            },
            Unit::Count,
        );
        for (arm, texts) in arms.iter().zip(&results) {
            words
                .outcomes
                .push(Outcome::exact(&arm.name, texts[at].balance as f64));
        }
        measures.push(words);
    }
    let [woman, man] = [0, 1].map(|at| results[CANDIDATES.len() - 1][at].balance);
    report.claims.push(Claim::settled(
        [
            "guidance shows in the words of a text",
            "at k = 3, female less male words differ by 3 or more between the two directions",
        ],
        "ours",
        woman - man >= 3,
        format!(
            "{woman} towards {}, {man} towards {}",
            CONCEPTS[0], CONCEPTS[1]
        ),
    ));
    report.experiments.push(Experiment {
        title: "Guidance".into(),
        about: format!(
            "{} neutral prompts, {} new tokens. Each token is the one of the k likeliest whose hidden state expresses the direction most.",
            PROMPTS.len(),
            STEPS + 1
        ),
        arms,
        measures,
    });
    Ok(())
}

fn claim_increase(
    report: &mut Report,
    measure: &Measure,
    [towards, away]: [&str; 2],
    results: &[[Texts; 2]],
    at: usize,
) {
    let means: Vec<f64> = measure
        .outcomes
        .iter()
        .take(CANDIDATES.len())
        .map(|it| it.mean)
        .collect();
    let shown: Vec<String> = means.iter().map(|mean| format!("{mean:+.2}")).collect();
    report.claims.push(Claim::settled(
        [
            &format!("the probe of {towards} − {away} rises with k"),
            "the mean is strictly larger for 2 candidates than for 1, and for 3 than for 2",
        ],
        "the paper: more for larger k",
        means.is_sorted_by(|a, b| a < b),
        shown.join(", "),
    ));
    let (most, none) = (
        &results[CANDIDATES.len() - 1][at].totals,
        &results[0][at].totals,
    );
    let gains: Vec<f64> = most
        .iter()
        .zip(none)
        .map(|(most, none)| most - none)
        .collect();
    report.claims.push(Claim::tested(
        &format!("3 candidates move texts towards {towards} further than greedy decoding"),
        "the paper: more for larger k",
        Bound::Above(0.0),
        (measure, &over_items("k = 3 − k = 1, by prompt", &gains)),
    ));
}

fn frames(world: &World, columns: usize) -> Result<Vec<Frame>, Failure> {
    let (words, writing) = world.concept_words();
    let concepts = tokenise(&words, &world.model.tokenizer, &writing)?;
    CONCEPTS
        .iter()
        .map(|name| {
            let concept = concepts.iter().find(|it| it.name == *name);
            let concept = concept
                .ok_or_else(|| Failure::input(format!("the words of `{name}` are missing")))?;
            Ok(concept_frame(
                &world.vectors,
                &concept.words,
                columns,
                Degenerate::Drop,
            ))
        })
        .collect()
}

/// Guided texts, with the probe of `measure` at their ends.
fn texts(
    world: &World,
    guide: &Frame,
    measure: &Frame,
    k: usize,
    context: Context,
) -> Result<Texts, Failure> {
    let options = GuideOptions {
        k,
        steps: STEPS,
        weight: None,
        end: world.model.end(),
    };
    let prompts: Result<Vec<Vec<u32>>, SystemError> = PROMPTS
        .iter()
        .map(|prompt| world.model.prompt(prompt, false))
        .collect();
    let prompts = prompts?;
    let listen = |_| match context.stopped() {
        true => Err(SystemError::Input("stopped".into())),
        false => Ok(()),
    };
    let texts = guided_decode(&world.model.decoder, &prompts, guide, &options, listen);
    context.proceed()?;
    let mut result = Texts {
        totals: Vec::new(),
        balance: 0,
    };
    for (prompt, text) in prompts.iter().zip(texts?) {
        // Without its last token, which no hidden state was made for.
        let read = [
            &prompt[..],
            text.ids.split_last().map_or(&[][..], |(_, ids)| ids),
        ]
        .concat();
        let hidden = world.model.hidden(&read)?;
        let probe = crate::frames::probe(&hidden, measure, crate::frames::ProbeKind::Cumulative);
        result.totals.extend(probe.last());
        let written = world.model.tokenizer.decode(text.answer(&options.end))?;
        result.balance += balance(&written);
    }
    Ok(result)
}

fn balance(text: &str) -> i64 {
    let words = text.to_lowercase();
    let words = words.split(|c: char| !c.is_alphabetic());
    words.fold(0, |sum, word| {
        let among = |list: &str| i64::from(list.split(' ').any(|it| it == word));
        sum + among(FEMALE) - among(MALE)
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn words_are_counted_whole() {
        assert_eq!(super::balance("She said HER brother's shed was there."), 1);
    }
}

//! Step 1: which pages are about code, and worth it? Classifiers trained on seeds, then once more with their own surest hits,
//! look at each page alone; pages of a repository that is mostly about code are recalled together.
//!
//! The paper names weak classifiers and scorers at the level of files and of repositories, and no more; the rest is ours.

use std::collections::BTreeMap;

use base::rng::Rng;
use rayon::prelude::*;
use serde_json::json;

use super::head::Head;
use super::ngram::{Classifier, Grams};
use super::stage::{Fate, text};
use base::job::jsonl::Record;

/// Passes over the seeds.
const PASSES: usize = 20;
/// A page this sure joins the seeds of the second round, on either side.
const SURE: f32 = 0.9;
/// Fewest pages of a repository that say something about it.
const FEWEST: usize = 3;

/// Seeds of both kinds and the pages to tell apart, as texts or as vectors.
#[derive(Clone, Copy, Debug)]
pub struct Samples<'a, X> {
    /// Examples of what is looked for.
    pub positives: &'a [X],
    /// Examples of what is not.
    pub negatives: &'a [X],
    /// The pages.
    pub pages: &'a [X],
}

/// The probability of each page to be of the positives' kind, by its words.
pub fn by_words(samples: &Samples<'_, String>, rng: &Rng) -> Vec<f32> {
    let labels = labels();
    let train = |samples: &[(&String, usize)], round: &str| {
        let texts: Vec<(&str, usize)> = samples
            .iter()
            .map(|(text, label)| (text.as_str(), *label))
            .collect();
        Classifier::train(Grams::Words, &labels, &texts, PASSES, &rng.child(round))
    };
    two_rounds(samples, train, |model, text| {
        model.probabilities(text).first().copied().unwrap_or(0.0)
    })
}

/// The same by the vectors of an encoder.
pub fn by_vectors(samples: &Samples<'_, Vec<f32>>, encoder: &str, rng: &Rng) -> Vec<f32> {
    let labels = labels();
    let train = |samples: &[(&Vec<f32>, usize)], round: &str| {
        let vectors: Vec<(&[f32], usize)> = samples
            .iter()
            .map(|(vector, label)| (vector.as_slice(), *label))
            .collect();
        Head::train(&labels, encoder, &vectors, &rng.child(round))
    };
    two_rounds(samples, train, |model, vector| {
        let shares = model.probabilities(vector);
        shares
            .and_then(|shares| shares.first().copied())
            .unwrap_or(0.0)
    })
}

fn labels() -> [String; 2] {
    ["wanted", "other"].map(str::to_owned)
}

/// Trains on the seeds, then on the seeds and the surest pages [ours: the two-round trick], and tells all pages apart.
fn two_rounds<X: Sync, M: Sync>(
    samples: &Samples<'_, X>,
    train: impl Fn(&[(&X, usize)], &str) -> M,
    probability: impl Fn(&M, &X) -> f32 + Sync,
) -> Vec<f32> {
    let tell = |model: &M| -> Vec<f32> {
        let pages = samples.pages.par_iter();
        pages.map(|page| probability(model, page)).collect()
    };
    let mut seeds: Vec<(&X, usize)> = samples.positives.iter().map(|one| (one, 0)).collect();
    seeds.extend(samples.negatives.iter().map(|one| (one, 1)));
    let first = tell(&train(&seeds, "first"));
    for (page, p) in samples.pages.iter().zip(first) {
        if p > SURE {
            seeds.push((page, 0));
        } else if p < 1.0 - SURE {
            seeds.push((page, 1));
        }
    }
    tell(&train(&seeds, "second"))
}

/// What was found out about a page.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Seen {
    /// Whether it holds any text.
    pub text: bool,
    /// The probability that it is about code.
    pub code: f32,
    /// The probability that it is worth reading, where that was asked.
    pub quality: Option<f32>,
}

/// What is kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thresholds {
    /// Probability from which a page is about code.
    pub code: f32,
    /// Probability from which a page is worth reading.
    pub quality: f32,
    /// Share of a repository's pages that must be about code for all its pages to be recalled; none for pages alone.
    pub repository: Option<f32>,
}

/// Decides over all pages, and tells the probabilities.
pub fn decide(pages: &[Record], seen: &[Seen], thresholds: &Thresholds) -> Vec<Fate> {
    let repositories: Vec<Option<String>> = pages.iter().map(repository).collect();
    let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for (repository, seen) in repositories.iter().zip(seen) {
        if let Some(name) = repository {
            let (all, hits) = counts.entry(name).or_default();
            *all += 1;
            *hits += usize::from(seen.code >= thresholds.code);
        }
    }
    let share = |name: &str| {
        let (all, hits) = counts.get(name).copied().unwrap_or_default();
        (all >= FEWEST).then(|| hits as f32 / all as f32)
    };
    let round = |p: f32| json!((f64::from(p) * 1e4).round() / 1e4);
    let one = |((page, seen), repository): ((&Record, &Seen), &Option<String>)| {
        if !seen.text {
            return Fate::Drop("no text".into());
        }
        let share = repository.as_deref().and_then(share);
        let together = thresholds.repository.zip(share);
        let by = match together {
            _ if seen.code >= thresholds.code => "page",
            Some((least, share)) if share >= least => "repository",
            _ => return Fate::Drop("not about code".into()),
        };
        let mut page = page.clone();
        page.insert("p_code".into(), round(seen.code));
        if let Some(quality) = seen.quality {
            if quality < thresholds.quality {
                return Fate::Drop("low quality".into());
            }
            page.insert("p_quality".into(), round(quality));
        }
        if thresholds.repository.is_some() {
            page.insert("repository".into(), json!(repository));
            page.insert("recalled_by".into(), json!(by));
        }
        Fate::Keep(page)
    };
    pages.iter().zip(seen).zip(&repositories).map(one).collect()
}

/// The repository of a page: its field `repo`, else owner and name on a forge, else the host of its address.
pub fn repository(page: &Record) -> Option<String> {
    /// Where the first two parts of a path name a repository.
    const FORGES: &[&str] = &[
        "github.com",
        "raw.githubusercontent.com",
        "gitlab.com",
        "bitbucket.org",
        "codeberg.org",
    ];
    let named = text(page, "repo");
    if !named.is_empty() {
        return Some(named.to_owned());
    }
    let address = ["source_url", "url"].map(|field| text(page, field));
    let (_, rest) = address.iter().find_map(|url| url.split_once("://"))?;
    let path = rest.split(['?', '#']).next().unwrap_or_default();
    let mut parts = path.split('/');
    let host = parts.next()?.trim_start_matches("www.").to_lowercase();
    let owned = FORGES.contains(&host.as_str());
    match (parts.next(), parts.next()) {
        _ if host.is_empty() => None,
        (Some(owner), Some(name)) if owned && !owner.is_empty() && !name.is_empty() => {
            Some(format!("{owner}/{}", name.trim_end_matches(".git")))
        }
        _ => Some(host),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn page(url: &str) -> Record {
        json!({"url": url, "text": "x"})
            .as_object()
            .unwrap()
            .clone()
    }

    #[test]
    fn repositories_by_address() {
        for (url, wanted) in [
            ("https://github.com/a/b/blob/main/x.py", Some("a/b")),
            (
                "https://raw.githubusercontent.com/a/b/main/x.py",
                Some("a/b"),
            ),
            ("http://www.Example.org/a/b?c#d", Some("example.org")),
            ("https://github.com/a", Some("github.com")),
            ("page.html", None),
            ("file:///x", None),
        ] {
            assert_eq!(repository(&page(url)).as_deref(), wanted, "{url}");
        }
        let named = json!({"repo": "mine", "url": "http://x.org"});
        assert_eq!(
            repository(named.as_object().unwrap()).as_deref(),
            Some("mine")
        );
    }

    #[test]
    fn a_repository_about_code_is_recalled_together() {
        let urls = [
            "https://github.com/a/b/1",
            "https://github.com/a/b/2",
            "https://github.com/a/b/README",
            "https://cats.org/1",
            "https://cats.org/2",
            "https://cats.org/3",
            "https://two.org/1",
            "https://two.org/2",
        ];
        let pages: Vec<Record> = urls.iter().map(|url| page(url)).collect();
        let code = [0.9, 0.8, 0.1, 0.1, 0.7, 0.2, 0.9, 0.1];
        let mut seen: Vec<Seen> = code
            .iter()
            .map(|&code| Seen {
                text: true,
                code,
                quality: None,
            })
            .collect();
        let kept = |seen: &[Seen], repository| -> Vec<usize> {
            let thresholds = Thresholds {
                code: 0.5,
                quality: 0.5,
                repository,
            };
            let fates = decide(&pages, seen, &thresholds);
            let kept = fates.iter().enumerate();
            kept.filter(|(_, fate)| matches!(fate, Fate::Keep(_)))
                .map(|(at, _)| at)
                .collect()
        };
        assert_eq!(kept(&seen, None), [0, 1, 4, 6]);
        // Two of three are enough for the third; one of two says nothing, for two pages are too few.
        assert_eq!(kept(&seen, Some(0.5)), [0, 1, 2, 4, 6]);
        seen[2].quality = Some(0.4);
        seen[0].quality = Some(0.6);
        assert_eq!(kept(&seen, Some(0.5)), [0, 1, 4, 6]);
    }

    #[test]
    fn the_second_round_learns_words_that_no_seed_has() {
        let own = |texts: &[&str], times: usize| -> Vec<String> {
            texts.repeat(times).into_iter().map(str::to_owned).collect()
        };
        let code = [
            "def f return import",
            "import os def return",
            "class A def return",
        ];
        let cats = [
            "the cat on a mat",
            "the flour in a bowl",
            "the rain in a town",
        ];
        let (positives, negatives) = (own(&code, 20), own(&cats, 20));
        let mut pages = code
            .map(|page| format!("{page} yield await yield await"))
            .to_vec();
        pages.extend(cats.map(|page| format!("{page} softly gently softly gently")));
        pages.extend(own(
            &["yield await yield await", "softly gently softly gently"],
            1,
        ));
        let samples = Samples {
            positives: &positives,
            negatives: &negatives,
            pages: &pages,
        };
        let p = by_words(&samples, &Rng::new(3));
        assert!(p[0] > 0.9 && p[3] < 0.1, "{p:?}");
        // The last two share no word with any seed.
        assert!(p[6] > 0.6 && p[7] < 0.4, "{p:?}");
    }
}

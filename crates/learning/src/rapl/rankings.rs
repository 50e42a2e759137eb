//! Rankings and the videos that they name, in files.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use base::job::jsonl;
use serde_json::{Map, Value, json};

use super::encoder::EncoderConfig;
use super::learn::Triplet;
use super::video::{read_video, spread};
use super::{LearningError, Result};

/// The name of a folder's list of videos with what is known of each.
pub const INDEX: &str = "videos.jsonl";
/// Most triplets of a file.
const MOST: usize = 100_000;

/// A recorded video with what is truly known of it.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Recorded {
    /// Its file, beside the list.
    pub video: String,
    /// The true return.
    pub truth: f64,
    /// Share of the blocks in the goal at the end.
    #[serde(default)]
    pub score: f64,
    /// Whether all is as wanted.
    #[serde(default)]
    pub success: bool,
    /// What was done, frame by frame, each in −1..1.
    #[serde(default)]
    pub actions: Vec<Vec<f32>>,
    /// What was seen before it, frame by frame.
    #[serde(default)]
    pub states: Vec<Vec<f32>>,
}

/// Reads a folder's list of recorded videos.
///
/// # Errors
/// No list, or a line that is none of its records.
pub fn read_index(folder: &Path) -> Result<Vec<Recorded>> {
    let path = folder.join(INDEX);
    if !path.exists() {
        return Err(LearningError::invalid(format!(
            "`{}` has no `{INDEX}`: make the folder with `orrery rapl collect --out {}`",
            folder.display(),
            folder.display()
        )));
    }
    let lines = jsonl::read(&path)?;
    if let Some(trouble) = lines.troubles.into_iter().next() {
        return Err(LearningError::invalid(trouble));
    }
    let parse = |(number, record): (usize, Map<String, Value>)| {
        serde_json::from_value(Value::Object(record)).map_err(|error| {
            LearningError::invalid(format!("`{}` line {number}: {error}", path.display()))
        })
    };
    lines.records.into_iter().map(parse).collect()
}

/// Rankings with the files of their videos.
#[derive(Clone, Debug, Default)]
pub struct Rankings {
    /// The videos' files, each once.
    pub videos: Vec<PathBuf>,
    /// Triplets of their numbers.
    pub triplets: Vec<Triplet>,
}

/// A line for a ranking of videos, best first.
pub fn ranking_line(videos: &[&str; 3]) -> Value {
    json!({"ranking": videos})
}

impl Rankings {
    /// Reads JSON lines `{"ranking": [best, second, third]}` or `{"anchor", "preferred", "other"}`; files count from the list's folder.
    ///
    /// # Errors
    /// No such file, a line of another form (the first one is named).
    pub fn read(path: &Path) -> Result<Self> {
        let lines = jsonl::read(path)?;
        if let Some(trouble) = lines.troubles.into_iter().next() {
            return Err(LearningError::invalid(trouble));
        }
        if lines.records.len() > MOST {
            return Err(LearningError::invalid(format!(
                "more than {MOST} triplets: split the file"
            )));
        }
        let folder = path.parent().unwrap_or(Path::new(""));
        let mut out = Self::default();
        for (number, record) in &lines.records {
            if record.contains_key("skipped") {
                continue;
            }
            let names = names(record).ok_or_else(|| {
                LearningError::invalid(format!(
                    "`{}` line {number}: write `{{\"ranking\": [best, second, third]}}` or `{{\"anchor\": …, \"preferred\": …, \"other\": …}}`",
                    path.display()
                ))
            })?;
            if names[0] == names[1] || names[1] == names[2] || names[0] == names[2] {
                return Err(LearningError::invalid(format!(
                    "`{}` line {number}: it names one video twice: rank three different ones",
                    path.display()
                )));
            }
            let numbers = names.map(|name| out.number(folder.join(name)));
            out.triplets.push(Triplet::ranked(numbers));
        }
        Ok(out)
    }

    fn number(&mut self, video: PathBuf) -> usize {
        let known = self.videos.iter().position(|known| *known == video);
        known.unwrap_or_else(|| {
            self.videos.push(video);
            self.videos.len() - 1
        })
    }

    /// What to say of pairs of videos that are ranked both ways; none where no two rankings contradict one another. They are
    /// learned from all the same: people err.
    pub fn contradictions(&self) -> Option<String> {
        let pairs = self.triplets.iter().flat_map(Triplet::pairs);
        let better: HashSet<[usize; 2]> = pairs.collect();
        let both = |&&[a, b]: &&[usize; 2]| a < b && better.contains(&[b, a]);
        let mut against: Vec<&[usize; 2]> = better.iter().filter(both).collect();
        against.sort();
        let &&[a, b] = against.first()?;
        Some(format!(
            "{} of {} ranked pairs contradict one another, first `{}` and `{}`: look at these again, or rank more triplets",
            against.len(),
            better.len(),
            self.videos[a].display(),
            self.videos[b].display()
        ))
    }

    /// All videos, prepared.
    ///
    /// # Errors
    /// As [`read_video`].
    pub fn prepared(&self, config: &EncoderConfig) -> Result<Vec<Vec<f32>>> {
        self.videos
            .iter()
            .map(|path| Ok(config.prepare(&read_video(path)?)))
            .collect()
    }

    /// The actions at `frames` frames spread evenly over each video, where the list in its folder has them.
    pub fn actions(&self, frames: usize) -> Vec<Option<Vec<Vec<f32>>>> {
        let mut lists: HashMap<PathBuf, Vec<Recorded>> = HashMap::new();
        self.videos
            .iter()
            .map(|path| {
                let folder = path.parent().unwrap_or(Path::new("")).to_owned();
                let list = lists
                    .entry(folder.clone())
                    .or_insert_with(|| read_index(&folder).unwrap_or_default());
                let one = list.iter().find(|one| folder.join(&one.video) == *path)?;
                let numbers = spread(one.actions.len(), frames);
                let actions: Vec<Vec<f32>> =
                    numbers.iter().map(|at| one.actions[*at].clone()).collect();
                (actions.len() == frames).then_some(actions)
            })
            .collect()
    }

    /// The videos that are liked best in most of their triplets and disliked in none, at most `most`; by wins, then by order.
    pub fn favourites(&self, most: usize) -> Vec<usize> {
        let mut wins = vec![0i64; self.videos.len()];
        for triplet in &self.triplets {
            wins[triplet.anchor] += 1;
            wins[triplet.other] -= 1;
        }
        let mut order: Vec<usize> = (0..wins.len()).filter(|at| wins[*at] > 0).collect();
        order.sort_by_key(|at| (-wins[*at], *at));
        order.truncate(most);
        order
    }
}

/// The three names of a line, best first.
fn names(record: &Map<String, Value>) -> Option<[&str; 3]> {
    if let Some(ranking) = record.get("ranking") {
        let [a, b, c] = &ranking.as_array()?[..] else {
            return None;
        };
        return Some([a.as_str()?, b.as_str()?, c.as_str()?]);
    }
    Some([
        record.get("anchor")?.as_str()?,
        record.get("preferred")?.as_str()?,
        record.get("other")?.as_str()?,
    ])
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Rankings> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rankings.jsonl");
        std::fs::write(&path, text).unwrap();
        Rankings::read(&path)
    }

    #[test]
    fn contradictions_are_told_and_twice_named_videos_refused() {
        let one = "{\"ranking\": [\"a\", \"b\", \"c\"]}\n";
        let other = "{\"anchor\": \"a\", \"preferred\": \"c\", \"other\": \"b\"}\n";
        assert_eq!(read(one).unwrap().contradictions(), None);
        let told = read(&format!("{one}{other}")).unwrap();
        let line = told.contradictions().unwrap();
        assert!(line.starts_with("1 of 4 ranked pairs"), "{line}");
        let error = read("{\"ranking\": [\"a\", \"a\", \"c\"]}").unwrap_err();
        assert!(
            error
                .to_string()
                .contains("line 1: it names one video twice")
        );
    }
}

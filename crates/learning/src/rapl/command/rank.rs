//! `orrery rapl rank`.

use std::io::{BufRead, IsTerminal};
use std::path::{Path, PathBuf};

use base::command::{Context, Failure, Output, eprint_line, number_in};
use base::job::jsonl;
use base::job::log::Log;
use base::rng::Rng;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::rapl::page;
use crate::rapl::rankings::{Recorded, ranking_line, read_index};

/// Who ranks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum User {
    /// By the true return of each video
    Synthetic,
    /// You, on a page in the browser
    Page,
    /// You, in this terminal
    Terminal,
}

/// Options of `rank`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orrery rapl rank --videos rollouts                     # a page on http://127.0.0.1, keys 1 2 3, u, s
  orrery rapl rank --videos rollouts --user synthetic --count 50 --noise 0.1
  orrery rapl rank --videos rollouts --user terminal

Rankings go to `rankings.jsonl` in the folder, one a line; the same command goes on where it stopped.")]
pub struct Rank {
    /// Folder of `collect`
    #[arg(long, value_name = "FOLDER")]
    videos: PathBuf,
    /// Who ranks
    #[arg(long, value_enum, default_value = "page")]
    user: User,
    /// Triplets in all
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    count: u16,
    /// Share of the synthetic user's rankings whose last two are swapped
    #[arg(long, value_name = "SHARE", default_value = "0", value_parser = |text: &str| number_in(text, 0.0, 1.0))]
    noise: f32,
    /// Port of the page on 127.0.0.1; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 8420)]
    port: u16,
    /// File to write instead
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Seed of which videos meet
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    output: Output,
}

/// Rankings in the making: which three videos come next, and where answers go.
#[derive(Debug)]
pub struct Desk {
    folder: PathBuf,
    recorded: Vec<Recorded>,
    out: PathBuf,
    log: Log,
    done: usize,
    /// Triplets in all.
    pub total: usize,
    seed: u64,
}

impl Desk {
    fn open(verb: &Rank) -> Result<Self, Failure> {
        let recorded = read_index(&verb.videos)?;
        if recorded.len() < 3 {
            return Err(Failure::input(format!(
                "`{}` has {} videos: ranking needs three or more",
                verb.videos.display(),
                recorded.len()
            )));
        }
        let out = verb
            .out
            .clone()
            .unwrap_or_else(|| verb.videos.join("rankings.jsonl"));
        let done = match out.exists() {
            true => jsonl::read_any(&out)?.records.len(),
            false => 0,
        };
        Ok(Self {
            log: Log::open(&out)?,
            folder: verb.videos.clone(),
            recorded,
            out,
            done,
            total: verb.count.into(),
            seed: verb.seed,
        })
    }

    /// How many triplets are ranked.
    pub fn done(&self) -> usize {
        self.done
    }

    /// The numbers of the next three videos; none when all are ranked.
    pub fn next(&self) -> Option<[usize; 3]> {
        if self.done >= self.total {
            return None;
        }
        let mut rng = Rng::new(self.seed).child("triplet").item(self.done as u64);
        let mut three = [0; 3];
        for at in 0..3 {
            loop {
                three[at] = rng.below(self.recorded.len());
                if !three[..at].contains(&three[at]) {
                    break;
                }
            }
        }
        Some(three)
    }

    /// The file of a video.
    pub fn file(&self, number: usize) -> Option<PathBuf> {
        Some(self.folder.join(&self.recorded.get(number)?.video))
    }

    /// Stores a ranking of the next three videos: their numbers, best first; or that they are skipped.
    ///
    /// # Errors
    /// Numbers of other videos; when the file cannot be written.
    pub fn store(&mut self, order: Option<[usize; 3]>) -> Result<(), Failure> {
        let Some(mut asked) = self.next() else {
            return Err(Failure::input("everything is ranked already"));
        };
        let line = match order {
            None => json!({"skipped": asked.map(|at| &self.recorded[at].video)}),
            Some(mut order) => {
                let names = order.map(|at| self.name(at));
                order.sort_unstable();
                asked.sort_unstable();
                if order != asked {
                    return Err(Failure::input(
                        "these are not the videos that were asked about",
                    ));
                }
                ranking_line(&[&names[0], &names[1], &names[2]])
            }
        };
        self.log.append(&line)?;
        self.done += 1;
        Ok(())
    }

    /// The name of a video as the file of rankings finds it.
    fn name(&self, number: usize) -> String {
        let Some(one) = self.recorded.get(number) else {
            return String::new();
        };
        let same = self.out.parent() == Some(&self.folder);
        match (same, std::path::absolute(&self.folder)) {
            (false, Ok(folder)) => folder.join(&one.video).display().to_string(),
            _ => one.video.clone(),
        }
    }
}

impl Rank {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        let mut desk = Desk::open(self)?;
        let desk = match self.user {
            User::Synthetic => {
                self.synthetic(&mut desk)?;
                desk
            }
            User::Terminal => {
                terminal(&mut desk, context)?;
                desk
            }
            User::Page => page::serve(desk, self.port, context)?,
        };
        let (done, out) = (desk.done(), desk.out.display());
        self.output.print(
            &json!({"rankings": done, "file": out.to_string()}),
            &format!("{done} of {} triplets are ranked, in `{out}`", desk.total),
        )
    }

    fn synthetic(&self, desk: &mut Desk) -> Result<(), Failure> {
        let rng = Rng::new(self.seed).child("noise");
        while let Some(mut order) = desk.next() {
            order.sort_by(|a, b| desk.recorded[*b].truth.total_cmp(&desk.recorded[*a].truth));
            if rng.item(desk.done as u64).chance(self.noise) {
                order.swap(1, 2);
            }
            desk.store(Some(order))?;
        }
        Ok(())
    }
}

/// Asks in the terminal.
fn terminal(desk: &mut Desk, context: Context) -> Result<(), Failure> {
    let input = std::io::stdin();
    if input.is_terminal() {
        eprint_line(
            "Look at the three videos and type their numbers, best first, such as 213; s skips, q ends.",
        );
    }
    let mut lines = input.lock().lines();
    while let Some(three) = desk.next() {
        context.proceed()?;
        eprint_line(&format!("{} of {}", desk.done() + 1, desk.total));
        for (at, number) in three.iter().enumerate() {
            let file = desk.file(*number).unwrap_or_default();
            eprint_line(&format!("  {}  {}", at + 1, shown(&file)));
        }
        let Some(Ok(line)) = lines.next() else {
            break;
        };
        match line.trim() {
            "q" => break,
            "s" => desk.store(None)?,
            text => match order(text) {
                Some(order) => desk.store(Some(order.map(|at| three[at])))?,
                None => {
                    eprint_line("type the three numbers, best first, such as 213; s skips, q ends")
                }
            },
        }
    }
    Ok(())
}

fn shown(path: &Path) -> String {
    base::command::one_line(&path.display().to_string())
}

/// `213` as places 1, 0, 2.
fn order(text: &str) -> Option<[usize; 3]> {
    let places: Vec<usize> = text
        .chars()
        .filter(|c| !c.is_whitespace() && *c != ',')
        .map(|c| {
            c.to_digit(10)
                .map_or(9, |digit| digit as usize)
                .wrapping_sub(1)
        })
        .collect();
    let mut sorted = places.clone();
    sorted.sort_unstable();
    match (&places[..], &sorted[..]) {
        (&[a, b, c], [0, 1, 2]) => Some([a, b, c]),
        _ => None,
    }
}

/// What the page hears of where things stand.
pub fn standing(desk: &Desk) -> Value {
    json!({"done": desk.done(), "total": desk.total, "videos": desk.next()})
}

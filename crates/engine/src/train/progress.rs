//! What a person sees while a run goes on.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// How often a run without a terminal says that it lives.
const PLAIN_EVERY: Duration = Duration::from_secs(30);

/// The weight of the newest loss in the one shown.
const SMOOTHING: f64 = 0.05;

/// Progress of one run on stderr: a bar on a terminal, else a plain line twice a minute; nothing with `--quiet`.
#[derive(Debug)]
pub struct Progress {
    title: String,
    view: View,
    begun: Instant,
    from: u64,
    total: u64,
    samples: usize,
    loss: Option<f64>,
}

#[derive(Debug)]
enum View {
    Silent,
    Plain { last: Instant },
    Bar(ProgressBar),
}

impl Progress {
    /// Progress of a run called `title`, in the form that suits stderr.
    pub fn new(title: &str) -> Self {
        let view = if base::command::is_quiet() {
            View::Silent
        } else if std::io::stderr().is_terminal() {
            View::Bar(ProgressBar::no_length())
        } else {
            View::Plain {
                last: Instant::now(),
            }
        };
        Self::with(title, view)
    }

    /// No progress at all, for tests and machines.
    pub fn silent() -> Self {
        Self::with("", View::Silent)
    }

    /// One called `title` where it is to be `shown`, else [`Self::silent`].
    pub fn shown(title: &str, shown: bool) -> Self {
        match shown {
            true => Self::new(title),
            false => Self::silent(),
        }
    }

    fn with(title: &str, view: View) -> Self {
        Self {
            title: title.to_owned(),
            view,
            begun: Instant::now(),
            from: 0,
            total: 0,
            samples: 0,
            loss: None,
        }
    }

    /// The run starts (or resumes) at step `from` of `total`, with `samples` samples a step.
    pub fn begin(&mut self, from: u64, total: u64, samples: usize) {
        (self.begun, self.from, self.total) = (Instant::now(), from, total);
        (self.samples, self.loss) = (samples, None);
        if let View::Bar(bar) = &self.view {
            let template = "{prefix} {bar:32} {pos}/{len} {msg}";
            bar.set_style(
                ProgressStyle::with_template(template)
                    .unwrap_or_else(|_| ProgressStyle::default_bar()),
            );
            bar.set_prefix(self.title.clone());
            bar.set_length(total);
            bar.set_position(from);
        }
    }

    /// `step` steps are done and the last one had loss `loss`; a smoothed one is shown.
    pub fn advance(&mut self, step: u64, loss: f64) {
        let smooth = self
            .loss
            .map_or(loss, |before| before + SMOOTHING * (loss - before));
        self.loss = Some(smooth);
        let seconds = self.begun.elapsed().as_secs_f64();
        let done = step.saturating_sub(self.from);
        let rate = done as f64 * self.samples as f64 / seconds;
        let left = duration(seconds / done.max(1) as f64 * self.total.saturating_sub(step) as f64);
        let message = format!("loss {smooth:.4} · {rate:.1} samples/s · {left} left");
        match &mut self.view {
            View::Silent => {}
            View::Bar(bar) => {
                bar.set_position(step);
                bar.set_message(message);
            }
            View::Plain { last } => {
                if last.elapsed() >= PLAIN_EVERY {
                    *last = Instant::now();
                    eprintln!("{}: step {step}/{}, {message}", self.title, self.total);
                }
            }
        }
    }

    /// A line for the person, above the bar.
    pub fn println(&self, text: &str) {
        match &self.view {
            View::Silent => {}
            View::Plain { .. } => eprintln!("{}: {text}", self.title),
            View::Bar(bar) => bar.println(text),
        }
    }

    /// The run is over; the bar goes.
    pub fn finish(&mut self) {
        if let View::Bar(bar) = &self.view {
            bar.finish_and_clear();
        }
    }
}

/// `42 s`, `7 min` or `3 h 05 min`.
fn duration(seconds: f64) -> String {
    let seconds = seconds.round() as u64;
    match (seconds / 3600, seconds / 60 % 60) {
        (0, 0) => format!("{seconds} s"),
        (0, minutes) => format!("{minutes} min"),
        (hours, minutes) => format!("{hours} h {minutes:02} min"),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn durations_are_readable() {
        let shown: Vec<String> = [42.4, 61.0, 11_130.0]
            .into_iter()
            .map(super::duration)
            .collect();
        assert_eq!(shown, ["42 s", "1 min", "3 h 05 min"]);
    }
}

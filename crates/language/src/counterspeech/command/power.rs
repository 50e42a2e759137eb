//! `orrery counterspeech study power`.

use base::command::{Context, Failure, Output, print_json, print_line};
use clap::Args;
use serde_json::json;

use crate::counterspeech::study::{PowerOptions, power};

/// Options of `power`.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  orrery counterspeech study power --participants 24 --messages 10 --each 4 --effects 0,0.2,0.5

At effect 0 the share is that of false positives, else the power, for single comparisons without correction.")]
pub struct Power {
    /// Participants of one condition
    #[arg(long, value_name = "N", default_value_t = 24)]
    participants: usize,
    /// Hostile comments of the study
    #[arg(long, value_name = "N", default_value_t = 10)]
    messages: usize,
    /// Hostile comments that a participant sees
    #[arg(long, value_name = "N", default_value_t = 4)]
    each: usize,
    /// Configurations, the baseline among them
    #[arg(long, value_name = "N", default_value_t = 7)]
    configs: usize,
    /// Points of the scale
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u8).range(2..=9))]
    points: u8,
    /// Effects (Cohen's d)
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "0,0.2,0.5", value_parser = |text: &str| base::command::number_in(text, -5.0, 5.0))]
    effects: Vec<f32>,
    /// Studies for each effect
    #[arg(long, value_name = "N", default_value_t = 200)]
    simulations: usize,
    /// Level
    #[arg(long, value_name = "P", default_value_t = 0.05, value_parser = |text: &str| base::command::number_in(text, 0.0001, 0.5))]
    alpha: f32,
    /// Deviation between participants, in those of the noise
    #[arg(long, value_name = "D", default_value_t = 0.6, value_parser = |text: &str| base::command::number_in(text, 0.0, 10.0))]
    between_participants: f32,
    /// Deviation between messages, in those of the noise
    #[arg(long, value_name = "D", default_value_t = 0.4, value_parser = |text: &str| base::command::number_in(text, 0.0, 10.0))]
    between_messages: f32,
    /// Seed
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    output: Output,
}

impl Power {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        // Decimal as it was typed: 0.2 and not the nearest f32.
        let decimal = |value: f32| (f64::from(value) * 1e6).round() / 1e6;
        let options = PowerOptions {
            participants: self.participants,
            messages: self.messages,
            each: self.each,
            configs: self.configs,
            points: self.points,
            effects: self.effects.iter().copied().map(decimal).collect(),
            simulations: self.simulations,
            seed: self.seed,
            alpha: decimal(self.alpha),
            participant_deviation: decimal(self.between_participants),
            message_deviation: decimal(self.between_messages),
        };
        let rows = power(&options, context, self.output.json)?;
        if self.output.json {
            return print_json(&json!({"options": options, "rows": rows}));
        }
        print_line("effect  test           p < level  95 % interval    estimated d")?;
        for row in &rows {
            let interval = row.interval.map_or(String::new(), |it| {
                format!("{:5.1} – {:5.1} %", 100.0 * it.low, 100.0 * it.high)
            });
            let test = serde_json::to_value(row.test).map_err(Failure::failed)?;
            print_line(&format!(
                "{:>6}  {:<13} {:>8.1} %  {interval:<16} {:>11.3}",
                row.effect,
                test.as_str().unwrap_or_default(),
                100.0 * row.share,
                row.estimated
            ))?;
        }
        Ok(())
    }
}

//! `check`, `rag` and `tools`: one content at a time.

use std::path::PathBuf;

use base::command::{
    Context, Failure, Output, print_json, print_line, use_calling_thread_as_worker,
};
use clap::Args;
use serde_json::{Value, json};

use super::options::{ModelOptions, read_definitions, read_json};
use crate::guardian::pipeline::Assessment;
use crate::guardian::prompt::Message;
use crate::guardian::risk::{RISK_ATLAS, RiskConfig};
use crate::guardian::tools::check_calls;

/// Options of `check`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orrery guardian check --prompt \"How do I kill a Python process?\"
  orrery guardian check --prompt \"Tell me about them\" --response \"They are all thieves.\" --risk harm,social_bias
  orrery guardian check --prompt \"Who did it?\" --response \"The butler.\" --risk spoiler --definition \"The message gives the end away.\" --head my.safetensors
  orrery guardian check --prompt \"Wake me at 7\" --tools tools.json --call call.json --risk function_call")]
pub struct Check {
    /// What the user said
    #[arg(long, allow_hyphen_values = true)]
    prompt: Option<String>,
    /// What the assistant answered
    #[arg(long, allow_hyphen_values = true)]
    response: Option<String>,
    /// What was retrieved
    #[arg(long, allow_hyphen_values = true)]
    context: Option<String>,
    /// Definitions of tools, a JSON file
    #[arg(long, value_name = "FILE", requires = "call")]
    tools: Option<PathBuf>,
    /// The tool call, a JSON file
    #[arg(
        long,
        value_name = "FILE",
        requires = "tools",
        conflicts_with = "response"
    )]
    call: Option<PathBuf>,
    /// Risks, with commas between [default: harm]
    #[arg(long, value_delimiter = ',')]
    risk: Vec<String>,
    /// Definition of the one custom risk in --risk
    #[arg(long, conflicts_with = "definition_file")]
    definition: Option<String>,
    /// Definitions of custom risks: lines `name = "definition"`, or a JSON object
    #[arg(long, value_name = "FILE")]
    definition_file: Option<PathBuf>,
    #[command(flatten)]
    model: ModelOptions,
    #[command(flatten)]
    output: Output,
}

impl Check {
    pub(super) fn run(&self, _: Context) -> Result<(), Failure> {
        use_calling_thread_as_worker();
        let risks = self.risks()?;
        let texts = [
            ("--context", &self.context),
            ("--prompt", &self.prompt),
            ("--response", &self.response),
        ];
        for (option, text) in texts {
            if text.as_ref().is_some_and(|text| text.trim().is_empty()) {
                return Err(Failure::input(format!(
                    "{option} is empty: give the text that is to be assessed, or leave the option out"
                )));
            }
        }
        let mut messages = Vec::new();
        if let (Some(tools), Some(_)) = (&self.tools, &self.call) {
            messages.push(Message::json("tools", read_json(tools)?));
        }
        for (role, text) in [
            ("context", &self.context),
            ("user", &self.prompt),
            ("assistant", &self.response),
        ] {
            messages.extend(text.as_ref().map(|text| Message::new(role, text.as_str())));
        }
        let mut faults = None;
        if let (Some(tools), Some(call)) = (&self.tools, &self.call) {
            let (tools, call) = (read_json(tools)?, read_json(call)?);
            faults = Some(check_calls(&tools, &call).map_err(Failure::input)?);
            messages.push(Message::json("assistant", call));
        }
        if messages.is_empty() {
            return Err(Failure::input(
                "nothing to assess: give --prompt, --response or --tools with --call",
            ));
        }
        let names: Vec<&str> = risks.iter().map(RiskConfig::name).collect();
        let guardian = self.model.load(&names)?;
        let found = guardian.assess_many(&messages, &risks)?;
        if self.output.json {
            return print_json(
                &json!({"model": guardian.name(), "assessments": found, "rules": faults}),
            );
        }
        print(&found)?;
        for fault in faults.iter().flatten() {
            print_line(&format!("  by rule: {fault}"))?;
        }
        Ok(())
    }

    fn risks(&self) -> Result<Vec<RiskConfig>, Failure> {
        let definitions = match &self.definition_file {
            Some(path) => read_definitions(path)?,
            None => Default::default(),
        };
        if self.definition.is_some() && self.risk.len() > 1 {
            return Err(Failure::input(
                "--definition is that of one risk: give several in --definition-file",
            ));
        }
        if self.risk.is_empty() {
            return match definitions.is_empty() {
                true => Ok(vec![RiskConfig::new(None, self.definition.as_deref())?]),
                false => definitions
                    .iter()
                    .map(|(name, text)| Ok(RiskConfig::new(Some(name), Some(text))?))
                    .collect(),
            };
        }
        if self.risk.iter().any(|name| name.trim().is_empty()) {
            return Err(Failure::input(
                "--risk has an empty name: give names with commas between, such as `harm,jailbreak`",
            ));
        }
        let mut names: Vec<&String> = Vec::new();
        for name in &self.risk {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let config = |name: &String| {
            let definition = definitions.get(name).or(self.definition.as_ref());
            Ok(RiskConfig::new(Some(name), definition.map(String::as_str))?)
        };
        names.into_iter().map(config).collect()
    }
}

fn print(found: &[Assessment]) -> Result<(), Failure> {
    for one in found {
        let flag = if one.flagged { "RISK" } else { "ok  " };
        let atlas = RISK_ATLAS
            .iter()
            .find(|(_, ours)| ours.contains(&one.risk.as_str()));
        let atlas = atlas
            .map(|(name, _)| format!("  risk atlas: {name}"))
            .unwrap_or_default();
        let parts = if one.parts > 1 {
            format!(", {} parts", one.parts)
        } else {
            String::new()
        };
        print_line(&format!(
            "{flag}  {:<20} {:.3}  of the {} ({} tokens{parts}){atlas}",
            one.risk, one.probability, one.judged, one.prompt_tokens
        ))?;
    }
    let Some(first) = found.first() else {
        return Ok(());
    };
    print_line(&format!(
        "P(risk), flagged above {}; {}",
        first.threshold, first.model
    ))
}

/// Options of `rag`.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  orrery guardian rag --question \"When was Eat first shown?\" --context \"Eat (1964) is a film. It was first shown in July 1964.\" --answer \"In July 1964.\"")]
pub struct Rag {
    /// The question
    #[arg(long, allow_hyphen_values = true)]
    question: String,
    /// What was retrieved for it
    #[arg(long, allow_hyphen_values = true)]
    context: String,
    /// The answer
    #[arg(long, allow_hyphen_values = true)]
    answer: String,
    #[command(flatten)]
    model: ModelOptions,
    #[command(flatten)]
    output: Output,
}

impl Rag {
    pub(super) fn run(&self, _: Context) -> Result<(), Failure> {
        use_calling_thread_as_worker();
        let [context, question, answer] = [
            ("context", &self.context),
            ("user", &self.question),
            ("assistant", &self.answer),
        ]
        .map(|(role, text)| Message::new(role, text.as_str()));
        let triad = [
            ("context_relevance", vec![context.clone(), question.clone()]),
            ("groundedness", vec![context, answer.clone()]),
            ("answer_relevance", vec![question, answer]),
        ];
        let guardian = self.model.load(&triad.each_ref().map(|(name, _)| *name))?;
        let mut found = Vec::new();
        for (name, messages) in &triad {
            found.push(guardian.assess(messages, &RiskConfig::new(Some(name), None)?)?);
        }
        if self.output.json {
            return print_json(&json!({"model": guardian.name(), "assessments": found}));
        }
        print(&found)
    }
}

/// Options of `tools`.
#[derive(Args, Debug)]
#[command(after_help = "Ends with 1 where a call has a fault.

Example:
  orrery guardian tools --tools tools.json --call call.json --json")]
pub struct Tools {
    /// Definitions of tools, a JSON file
    #[arg(long, value_name = "FILE")]
    tools: PathBuf,
    /// The tool call or calls, a JSON file
    #[arg(long, value_name = "FILE")]
    call: PathBuf,
    #[command(flatten)]
    output: Output,
}

impl Tools {
    pub(super) fn run(&self, _: Context) -> Result<(), Failure> {
        let calls: Value = read_json(&self.call)?;
        let faults = check_calls(&read_json(&self.tools)?, &calls).map_err(Failure::input)?;
        if self.output.json {
            print_json(&json!({"faults": faults, "flagged": !faults.is_empty()}))?;
        } else {
            for fault in &faults {
                print_line(&fault.to_string())?;
            }
        }
        match faults.len() {
            0 if self.output.json => Ok(()),
            0 => print_line("every call fits its definition"),
            n => Err(Failure::failed(format!(
                "{n} fault{} in the calls",
                if n == 1 { "" } else { "s" }
            ))),
        }
    }
}

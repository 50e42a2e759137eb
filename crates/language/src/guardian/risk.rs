//! The risk taxonomy (section 2 of the paper, and the model cards of 3.1 and 3.2), and which risk is asked for.

use base::command::nearest;

use engine::SystemError;

/// What a risk is a property of, and so which prompt it gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RiskGroup {
    /// Harm and its kinds.
    Harm,
    /// Risks of a conversation (3.2).
    Conversation,
    /// The context does not help the question.
    ContextRelevance,
    /// The answer is not supported by the context.
    Groundedness,
    /// The answer misses the question.
    AnswerRelevance,
    /// The tool call is wrong.
    FunctionCall,
}

/// A risk of the taxonomy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Risk {
    /// Its official name.
    pub name: &'static str,
    /// Whether prompts have it.
    pub prompt: bool,
    /// Whether answers have it.
    pub answer: bool,
    /// What it is a property of.
    pub group: RiskGroup,
    /// In a few words of ours.
    pub meaning: &'static str,
}

const fn risk(
    name: &'static str,
    [prompt, answer]: [bool; 2],
    group: RiskGroup,
    meaning: &'static str,
) -> Risk {
    Risk {
        name,
        prompt,
        answer,
        group,
        meaning,
    }
}

const BOTH: [bool; 2] = [true, true];
const PROMPT: [bool; 2] = [true, false];
const ANSWER: [bool; 2] = [false, true];

/// All built-in risks; the first is the default.
pub const RISKS: &[Risk] = &[
    risk("harm", BOTH, RiskGroup::Harm, "harmful in general"),
    risk(
        "social_bias",
        BOTH,
        RiskGroup::Harm,
        "prejudice against a group",
    ),
    risk(
        "profanity",
        BOTH,
        RiskGroup::Harm,
        "swearing and crude language",
    ),
    risk(
        "sexual_content",
        BOTH,
        RiskGroup::Harm,
        "explicit sexual material",
    ),
    risk(
        "unethical_behavior",
        BOTH,
        RiskGroup::Harm,
        "fraud, theft, abuse of power",
    ),
    risk(
        "violence",
        BOTH,
        RiskGroup::Harm,
        "bodily harm, self-harm, threats",
    ),
    risk(
        "jailbreak",
        PROMPT,
        RiskGroup::Harm,
        "gets around a model's safeguards",
    ),
    risk(
        "evasiveness",
        BOTH,
        RiskGroup::Conversation,
        "avoids the matter without a reason",
    ),
    risk(
        "harm_engagement",
        BOTH,
        RiskGroup::Conversation,
        "goes along with a harmful request",
    ),
    risk(
        "context_relevance",
        PROMPT,
        RiskGroup::ContextRelevance,
        "the context does not help the question",
    ),
    risk(
        "groundedness",
        ANSWER,
        RiskGroup::Groundedness,
        "the context does not support the answer",
    ),
    risk(
        "answer_relevance",
        ANSWER,
        RiskGroup::AnswerRelevance,
        "the answer misses the question",
    ),
    risk(
        "function_call",
        ANSWER,
        RiskGroup::FunctionCall,
        "wrong function, argument, type or value",
    ),
];

/// Risks of the IBM AI Risk Atlas that have detectors here: the atlas's name, and ours.
pub const RISK_ATLAS: [(&str, &[&str]); 5] = [
    ("toxic-output", &["profanity"]),
    (
        "harmful-output",
        &["violence", "harm", "sexual_content", "unethical_behavior"],
    ),
    (
        "hallucination",
        &["groundedness", "context_relevance", "answer_relevance"],
    ),
    ("jailbreaking", &["jailbreak"]),
    ("output-bias", &["social_bias"]),
];

/// The built-in risk called `name`: case, spaces and hyphens do not matter, and `relevance` is `context_relevance`, as in
/// official tables.
pub fn find_risk(name: &str) -> Option<&'static Risk> {
    let name = name.trim().to_lowercase().replace([' ', '-'], "_");
    let name = match name.as_str() {
        "relevance" => "context_relevance",
        "bias" => "social_bias",
        other => other,
    };
    RISKS.iter().find(|risk| risk.name == name)
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RiskConfig {
    /// A risk of the taxonomy.
    Builtin(&'static Risk),
    /// A risk of the user.
    Custom {
        /// Its name.
        name: String,
        /// Its definition, one or a few sentences that are true of a risky message.
        definition: String,
    },
}

impl Default for RiskConfig {
    fn default() -> Self {
        Self::Builtin(&RISKS[0])
    }
}

impl RiskConfig {
    /// The risk of a name and a definition; `harm` where neither is given.
    ///
    /// # Errors
    /// A built-in risk with a definition, an unknown name without one: the rules of the 3.2 template.
    pub fn new(name: Option<&str>, definition: Option<&str>) -> Result<Self, SystemError> {
        let name = name.map(str::trim).filter(|name| !name.is_empty());
        let definition = definition.map(str::trim).filter(|text| !text.is_empty());
        match (name, definition) {
            (None, None) => Ok(Self::default()),
            (None, Some(definition)) => Ok(Self::Custom {
                name: "custom".into(),
                definition: definition.into(),
            }),
            (Some(name), None) => find_risk(name).map(Self::Builtin).ok_or_else(|| {
                let known = || RISKS.iter().map(|risk| risk.name);
                let hint = match nearest(name, known()) {
                    Some(near) => format!("; did you mean `{near}`?"),
                    None => format!("; built in: {}", known().collect::<Vec<_>>().join(", ")),
                };
                let name: String = name.chars().take(80).collect();
                SystemError::Input(format!(
                    "invalid config: user-provided risk_name requires a risk_definition: `{name}` is not built in{hint}"
                ))
            }),
            (Some(name), Some(definition)) => match find_risk(name) {
                Some(risk) => Err(SystemError::Input(format!(
                    "invalid config: built-in risk_name's definition cannot be overridden: give `{}` another name, or leave its definition out",
                    risk.name
                ))),
                None => Ok(Self::Custom {
                    name: name.into(),
                    definition: definition.into(),
                }),
            },
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Self::Builtin(risk) => risk.name,
            Self::Custom { name, .. } => name,
        }
    }

    /// What it is a property of; custom risks are treated like harm.
    pub fn group(&self) -> RiskGroup {
        match self {
            Self::Builtin(risk) => risk.group,
            Self::Custom { .. } => RiskGroup::Harm,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_as_people_write_them() {
        assert_eq!(find_risk("Social Bias").unwrap().name, "social_bias");
        assert_eq!(find_risk("relevance").unwrap().name, "context_relevance");
        assert!(find_risk("weather").is_none());
    }

    #[test]
    fn a_built_in_risk_keeps_its_definition_and_a_new_one_needs_one() {
        assert_eq!(RiskConfig::new(None, None).unwrap().name(), "harm");
        assert!(RiskConfig::new(Some("harm"), Some("x")).is_err());
        let error = RiskConfig::new(Some("violense"), None).unwrap_err();
        assert!(
            error.to_string().contains("did you mean `violence`"),
            "{error}"
        );
        let custom = RiskConfig::new(Some("spoiler"), Some("It tells the end.")).unwrap();
        assert_eq!(
            (custom.name(), custom.group()),
            ("spoiler", RiskGroup::Harm)
        );
    }

    #[test]
    fn the_atlas_names_risks_that_exist() {
        let named = RISK_ATLAS.iter().flat_map(|(_, ours)| ours.iter());
        assert!(
            named.clone().count() == 10 && named.into_iter().all(|name| find_risk(name).is_some())
        );
    }
}

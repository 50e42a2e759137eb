//! Options that several verbs share.

use std::time::Duration;

use base::command::Failure;
use clap::{Args, ValueEnum};

use crate::omnidocbench::Protocol;
use crate::omnidocbench::cdm::{Renderer, Xelatex};
use crate::omnidocbench::extract::LatexTables;
use crate::omnidocbench::matching::{Matching, Method};
use crate::omnidocbench::metrics::html::HtmlParser;
use crate::omnidocbench::score::Metric;

/// Protocols of the evaluation.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(super) enum ProtocolName {
    /// The paper's protocol
    #[value(name = "v1.0")]
    V1_0,
    /// The leaderboard's protocol since 2025
    #[default]
    #[value(name = "v1.5")]
    V1_5,
    /// The leaderboard's protocol since 2026; pages end to end only
    #[value(name = "v1.6")]
    V1_6,
}

impl From<ProtocolName> for Protocol {
    fn from(name: ProtocolName) -> Self {
        match name {
            ProtocolName::V1_0 => Self::V1_0,
            ProtocolName::V1_5 => Self::V1_5,
            ProtocolName::V1_6 => Self::V1_6,
        }
    }
}

/// How elements are matched.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum MethodName {
    /// Adjacency search: split and joined paragraphs are found
    #[value(alias = "quick_match")]
    Quick,
    /// One annotated element with one predicted one
    #[value(alias = "simple_match")]
    Simple,
    /// The page as one text
    #[value(alias = "no_split")]
    NoSplit,
}

impl From<MethodName> for Method {
    fn from(name: MethodName) -> Self {
        match name {
            MethodName::Quick => Self::Quick,
            MethodName::Simple => Self::Simple,
            MethodName::NoSplit => Self::NoSplit,
        }
    }
}

/// Renderer of formulas for CDM.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(super) enum RendererName {
    /// The built-in typesetter
    #[default]
    BuiltIn,
    /// XeLaTeX, with Ghostscript or Poppler, where they are installed; about a second a formula
    Xelatex,
}

impl RendererName {
    /// The renderer, its programs found.
    pub fn find(self) -> Result<Renderer, Failure> {
        match self {
            Self::BuiltIn => Ok(Renderer::BuiltIn),
            Self::Xelatex => Xelatex::find()
                .map(Renderer::Xelatex)
                .map_err(Failure::input),
        }
    }
}

/// HTML parser of tables for TEDS.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(super) enum HtmlParserName {
    /// As lxml 6 does
    #[default]
    #[value(name = "libxml2-2.14")]
    Libxml2_2_14,
    /// As lxml 4.9.1 does, which the official requirements pin
    #[value(name = "libxml2-2.9")]
    Libxml2_2_9,
}

impl From<HtmlParserName> for HtmlParser {
    fn from(name: HtmlParserName) -> Self {
        match name {
            HtmlParserName::Libxml2_2_14 => Self::Libxml2_2_14,
            HtmlParserName::Libxml2_2_9 => Self::Libxml2_2_9,
        }
    }
}

/// Treatment of predicted tables in LaTeX.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(super) enum LatexTablesName {
    /// They are not read, and TEDS is 0
    #[default]
    Official,
    /// They are turned into HTML, and scored like it
    Convert,
}

impl From<LatexTablesName> for LatexTables {
    fn from(name: LatexTablesName) -> Self {
        match name {
            LatexTablesName::Official => Self::Unread,
            LatexTablesName::Convert => Self::Convert,
        }
    }
}

/// How to match.
#[derive(Args, Debug)]
pub(super) struct MatchOptions {
    /// Protocol of the evaluation
    #[arg(long, value_enum, default_value = "v1.5")]
    pub protocol: ProtocolName,
    /// How elements are matched [default: quick, or what --config says]
    #[arg(long = "match", value_enum, value_name = "METHOD")]
    pub method: Option<MethodName>,
    /// Fall back to simple match when a page takes longer than this many seconds; the official tool takes 30 [default: no limit]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub limit: Option<u64>,
    /// Treatment of predicted tables in LaTeX
    #[arg(long, value_enum, default_value = "official", value_name = "RULE")]
    pub latex_tables: LatexTablesName,
}

impl MatchOptions {
    /// The settings, with `method` unless another was asked for.
    pub fn matching(&self, method: Method) -> Matching {
        Matching {
            protocol: self.protocol.into(),
            method: self.method.map_or(method, Method::from),
            limit: self.limit.map(Duration::from_secs),
        }
    }
}

/// `NAME=VALUE`.
pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => {
            Ok((name.trim().to_owned(), value.trim().to_owned()))
        }
        _ => Err("write it as `attribute=value`, such as `language=english`".into()),
    }
}

/// Prefixes that the names of result files may have.
pub(super) fn file_name(text: &str) -> Result<String, String> {
    match text.is_empty() || text.contains(['/', '\\', '\0']) {
        true => {
            Err("it begins the names of files: give it without `/`, the folder is `--out`".into())
        }
        false => Ok(text.to_owned()),
    }
}

/// A metric by its official name.
pub(super) fn metric(text: &str) -> Result<Metric, String> {
    Metric::named(text).ok_or_else(|| {
        let names: Vec<&str> = Metric::ALL.iter().map(|metric| metric.name()).collect();
        format!("there are {}", names.join(", "))
    })
}

//! Scores: of each match, and over samples, pages, attributes.

mod aggregate;
mod labels;
mod sample;

pub use aggregate::{Known, Pages, aggregate};
pub use labels::{label, page_labels};
pub use sample::{
    Sample, Tools, order_sample, plain_pair, sample, write_order_sample, write_sample,
};

use serde_json::Value;

/// A section of the official result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Section {
    /// `text_block`.
    Text,
    /// `display_formula`.
    Formula,
    /// `table`.
    Table,
    /// `reading_order`.
    Order,
}

impl Section {
    /// All sections, in the official order.
    pub const ALL: [Self; 4] = [Self::Text, Self::Formula, Self::Table, Self::Order];

    /// The official name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text_block",
            Self::Formula => "display_formula",
            Self::Table => "table",
            Self::Order => "reading_order",
        }
    }

    /// The section of an official name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|section| section.name() == name)
    }
}

/// Something to score by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Metric {
    /// `Edit_dist`: edits by the longer text; lower is better.
    EditDist,
    /// `TEDS` and `TEDS_structure_only`: similarity of tables; higher is better.
    Teds,
    /// `BLEU`, of all samples together.
    Bleu,
    /// `METEOR`, mean over samples.
    Meteor,
    /// `CDM`: F1 of a formula's symbols by what they look like; higher is better.
    Cdm,
    /// `CDM_plain`: no score, but a file of formula pairs, `NAME_formula.json`, to be scored elsewhere.
    CdmPlain,
}

impl Metric {
    /// All metrics.
    pub const ALL: [Self; 6] = [
        Self::EditDist,
        Self::Teds,
        Self::Bleu,
        Self::Meteor,
        Self::Cdm,
        Self::CdmPlain,
    ];

    /// The official name.
    pub fn name(self) -> &'static str {
        match self {
            Self::EditDist => "Edit_dist",
            Self::Teds => "TEDS",
            Self::Bleu => "BLEU",
            Self::Meteor => "METEOR",
            Self::Cdm => "CDM",
            Self::CdmPlain => "CDM_plain",
        }
    }

    /// The metric of an official name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|metric| metric.name().eq_ignore_ascii_case(name))
    }
}

/// What each section is scored by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metrics(pub Vec<(Section, Vec<Metric>)>);

impl Default for Metrics {
    /// Edit distances everywhere, TEDS of tables: the official end-to-end configuration, where CDM is switched on apart.
    fn default() -> Self {
        let edit = || vec![Metric::EditDist];
        Self(vec![
            (Section::Text, edit()),
            (Section::Formula, edit()),
            (Section::Table, vec![Metric::Teds, Metric::EditDist]),
            (Section::Order, edit()),
        ])
    }
}

impl Metrics {
    /// These, and CDM of formulas.
    #[must_use]
    pub fn with_cdm(mut self) -> Self {
        for (section, metrics) in &mut self.0 {
            if *section == Section::Formula && !metrics.contains(&Metric::Cdm) {
                metrics.push(Metric::Cdm);
            }
        }
        self
    }

    /// As JSON: names of metrics by section.
    pub fn to_json(&self) -> Value {
        let named =
            |metrics: &[Metric]| -> Value { metrics.iter().map(|metric| metric.name()).collect() };
        let sections = self.0.iter();
        sections
            .map(|(section, metrics)| (section.name().to_owned(), named(metrics)))
            .collect()
    }

    /// From JSON; names that are not known are left out.
    pub fn read(json: &Value) -> Self {
        let listed = |section: Section| {
            let names = json.get(section.name())?.as_array()?.iter();
            let metrics = names.filter_map(|name| Metric::named(name.as_str()?));
            Some((section, metrics.collect()))
        };
        Self(Section::ALL.into_iter().filter_map(listed).collect())
    }

    /// The metrics of a section; `None` where it is not wanted.
    pub fn of(&self, section: Section) -> Option<&[Metric]> {
        let found = self.0.iter().find(|(named, _)| *named == section);
        found.map(|(_, metrics)| metrics.as_slice())
    }
}

//! `/v1/judge/omnidocbench`: how well markdown gives a page.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use judge::omnidocbench::Protocol;
use judge::omnidocbench::evaluate::{Evaluator, PageResult, failures, records};
use judge::omnidocbench::matching::Matching;
use judge::omnidocbench::page::Page;
use judge::omnidocbench::score::{Metrics, Section};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Shared;
use super::body::Parsed;
use super::error::ApiError;

/// Most pages of a request.
const MOST: usize = 64;
/// After this time a list of a page is matched simply.
const TIME: Duration = Duration::from_secs(20);
/// Longest text, in bytes.
const LONGEST: usize = 1 << 20;

/// A page and what a parser made of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Judged {
    /// An annotated page as in OmniDocBench's JSON, or a list with one.
    page: Option<Value>,
    /// The page's text, in place of an annotated page.
    markdown: Option<String>,
    /// What the parser wrote.
    prediction: String,
}

/// A request.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JudgeRequest {
    pages: Vec<Judged>,
    #[serde(default)]
    cdm: bool,
    #[serde(default)]
    protocol: Option<String>,
    #[serde(default)]
    records: bool,
}

/// Scores pages.
///
/// # Errors
/// [`ApiError`].
pub async fn omnidocbench(
    State(server): State<Shared>,
    Parsed(request): Parsed<JudgeRequest>,
) -> Result<Json<Value>, ApiError> {
    if request.pages.is_empty() || request.pages.len() > MOST {
        return Err(ApiError::param("pages", format!("give 1 to {MOST} pages")));
    }
    let protocol = match request.protocol.as_deref() {
        None => Protocol::default(),
        Some(name) => Protocol::named(name)
            .ok_or_else(|| ApiError::param("protocol", "give `v1.0`, `v1.5` or `v1.6`"))?,
    };
    let texts = request.pages.iter().any(|page| page.markdown.is_some());
    if protocol == Protocol::V1_6 && texts {
        let reason =
            "v1.6 has no evaluation of markdown against markdown: send `page`, or take `v1.5`";
        return Err(ApiError::param("protocol", reason));
    }
    let work = server.tasks.run(move |left| {
        let metrics = Metrics::default();
        let evaluator = Evaluator {
            matching: Matching {
                protocol,
                limit: Some(TIME),
                ..Matching::default()
            },
            metrics: if request.cdm {
                metrics.with_cdm()
            } else {
                metrics
            },
            ..Evaluator::default()
        };
        let mut results = Vec::new();
        for (index, judged) in request.pages.into_iter().enumerate() {
            if left.is_true() {
                return Err(ApiError::away("the client disconnected"));
            }
            results.push(one(&evaluator, index, judged)?);
        }
        let mut answer =
            json!({"scores": evaluator.summary(&results), "failures": failures(&results)});
        if request.records {
            answer["records"] = all_records(&results, protocol);
        }
        Ok(answer)
    });
    work.await.map(Json)
}

fn one(evaluator: &Evaluator, index: usize, judged: Judged) -> Result<PageResult, ApiError> {
    let Judged {
        page,
        markdown,
        prediction,
    } = judged;
    if prediction.len() > LONGEST || markdown.as_ref().is_some_and(|text| text.len() > LONGEST) {
        return Err(ApiError::param(
            "pages",
            format!("a text has more than {LONGEST} bytes"),
        ));
    }
    let head = |page: Option<Value>| -> Result<Map<String, Value>, ApiError> {
        match page {
            None => Ok(Map::new()),
            Some(Value::Object(page)) => Ok(page),
            Some(Value::Array(mut pages)) if pages.len() == 1 => match pages.remove(0) {
                Value::Object(page) => Ok(page),
                _ => Err(ApiError::param("pages", "a page is an object")),
            },
            Some(_) => Err(ApiError::param(
                "pages",
                "`page` is one page of OmniDocBench's JSON list",
            )),
        }
    };
    match (page, markdown) {
        (None, None) => Err(ApiError::param(
            "pages",
            "give the annotated `page`, or its text as `markdown`",
        )),
        (page, Some(truth)) => {
            let mut page = Page::read_head(&head(page)?);
            if page.image.is_empty() {
                page.image = format!("page-{}", index + 1);
            }
            Ok(evaluator.markdown(index, &page, &truth, &prediction))
        }
        (page, None) => {
            let page = head(page)?;
            if !page.contains_key("layout_dets") {
                return Err(ApiError::param(
                    "pages",
                    "the page has no `layout_dets`: give one of OmniDocBench's JSON list",
                ));
            }
            Ok(evaluator.page(index, &Page::read(&page), &prediction))
        }
    }
}

/// Records of each section.
fn all_records(results: &[PageResult], protocol: Protocol) -> Value {
    let sections = [
        Section::Text,
        Section::Formula,
        Section::Table,
        Section::Order,
    ];
    let lists = sections.map(|section| {
        let texts = records(results, section, protocol);
        let values: Vec<Value> = texts
            .filter_map(|text| serde_json::from_slice(text).ok())
            .collect();
        (section.name().to_owned(), Value::Array(values))
    });
    Value::Object(Map::from_iter(lists))
}

//! Several sources in given shares.

use base::rng::Rng;
use serde_json::{Map, Value, json};

use super::job::Job;
use super::lines;
use super::tally::Tally;
use crate::moxin::SystemError;

/// A source of a mixture.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its name; documents carry it as `source`.
    pub name: String,
    /// Its share of the mixture, next to the others'; none takes all of it, once.
    pub share: Option<f64>,
}

/// Mixes the pieces of `job`, which name their sources by number. `total` is how many bytes of text the mixture shall have; as
/// many as the sources with shares allow without repeating any for none. A source that is smaller than its share is repeated.
/// Which documents are taken depends on the seed, the source and their place alone.
///
/// # Errors
/// [`SystemError`].
pub fn mix(
    job: &Job<'_>,
    sources: &[Source],
    total: Option<u64>,
    seed: u64,
    gz: bool,
) -> Result<Option<Tally>, SystemError> {
    job.begin()?;
    let counted = job.phase("count", "txt", &|piece, tally, _| {
        lines::each(piece, job.stop, tally, &mut |_, _| Ok(()))
    })?;
    let Some(counted) = counted else {
        return Ok(None);
    };
    let mut bytes = vec![0u64; sources.len()];
    for (piece, tally) in job.pieces.iter().zip(&counted) {
        bytes[piece.source] += tally.text_bytes;
    }
    let times = times(sources, &bytes, total)?;
    let draws = Rng::new(seed).child("mix");
    let tallies = job.last(gz, &|piece, tally, out| {
        let (source, times) = (&sources[piece.source], times[piece.source]);
        let draws = draws.child(&source.name).child(&piece.name);
        let failed = |error| SystemError::path(&piece.input, error);
        let mut number = 0;
        lines::each(piece, job.stop, tally, &mut |tally, document| {
            let draw = f64::from(draws.item(number).uniform());
            number += 1;
            let count = times.floor() as u64 + u64::from(draw < times.fract());
            if count == 0 {
                tally.remove("share");
                return Ok(());
            }
            let mut record: Map<String, Value> =
                serde_json::from_str(document.line).unwrap_or_default();
            record.insert("source".into(), json!(source.name));
            let line = format!("{}\n", Value::Object(record));
            for _ in 0..count {
                tally.keep(&document.text);
                out.write_all(line.as_bytes()).map_err(failed)?;
            }
            Ok(())
        })
    })?;
    let about: Vec<Value> = sources
        .iter()
        .zip(&bytes)
        .zip(&times)
        .map(|((source, bytes), times)| {
            json!({"name": source.name, "share": source.share, "text_bytes": bytes, "times": times})
        })
        .collect();
    tallies
        .map(|all| job.manifest(&all, &json!(about)))
        .transpose()
}

/// How often each source is taken.
fn times(sources: &[Source], bytes: &[u64], total: Option<u64>) -> Result<Vec<f64>, SystemError> {
    let shares: f64 = sources.iter().filter_map(|source| source.share).sum();
    let whole: u64 = sources
        .iter()
        .zip(bytes)
        .filter(|(source, _)| source.share.is_none())
        .map(|it| it.1)
        .sum();
    if let Some((source, _)) = sources.iter().zip(bytes).find(|(_, bytes)| **bytes == 0) {
        return Err(SystemError::Input(format!(
            "the source `{}` holds no text: leave it out",
            source.name
        )));
    }
    let rest = match total {
        Some(total) => total.saturating_sub(whole) as f64,
        // The source that is used up first decides.
        None => sources
            .iter()
            .zip(bytes)
            .filter_map(|(source, bytes)| Some(*bytes as f64 * shares / source.share?))
            .fold(f64::INFINITY, f64::min),
    };
    Ok(sources
        .iter()
        .zip(bytes)
        .map(|(source, bytes)| match source.share {
            Some(share) if rest.is_finite() => rest * share / shares / *bytes as f64,
            _ => 1.0,
        })
        .collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_scarcest_source_decides_where_no_total_is_given() {
        let source = |name: &str, share| Source {
            name: name.into(),
            share,
        };
        let two = [source("a", Some(3.0)), source("b", Some(1.0))];
        assert_eq!(times(&two, &[300, 200], None).unwrap(), [1.0, 0.5]);
        assert_eq!(times(&two, &[300, 50], Some(400)).unwrap(), [1.0, 2.0]);
        let all = [source("a", None), source("b", Some(1.0))];
        assert_eq!(times(&all, &[100, 100], Some(150)).unwrap(), [1.0, 0.5]);
        assert!(times(&two, &[0, 5], None).is_err());
    }
}

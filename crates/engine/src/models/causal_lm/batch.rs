use burn::tensor::{Bool, Device, Int, Tensor, TensorData};

/// A label that has no part in the loss.
pub const IGNORED: i32 = -100;

/// Token sequences of one length, row by row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sequences {
    /// Sequences.
    pub batch: usize,
    /// Tokens of each.
    pub length: usize,
    /// `[batch · length]`.
    pub ids: Vec<i32>,
    /// As many: what token stands there, [`IGNORED`] where it does not count. They are shifted by the loss.
    pub labels: Vec<i32>,
    /// The document that each token belongs to, where tokens shall only see those of their own.
    pub documents: Option<Vec<u32>>,
}

impl Sequences {
    /// Rows of equal length, every token of which counts.
    ///
    /// # Panics
    /// Never; rows of other lengths than the first are cut or filled up.
    pub fn whole(rows: &[Vec<u32>]) -> Self {
        let rows: Vec<(Vec<u32>, Vec<i32>)> = rows
            .iter()
            .map(|row| (row.clone(), row.iter().map(|&id| id as i32).collect()))
            .collect();
        Self::padded(&rows, 0)
    }

    /// Rows of tokens and labels, filled up at their ends with `pad`, which does not count.
    pub fn padded(rows: &[(Vec<u32>, Vec<i32>)], pad: u32) -> Self {
        let length = rows.iter().map(|(ids, _)| ids.len()).max().unwrap_or(0);
        let mut all = Self {
            batch: rows.len(),
            length,
            ..Self::default()
        };
        for (ids, labels) in rows {
            let missing = length - ids.len();
            all.ids.extend(ids.iter().map(|&id| id as i32));
            all.ids.extend(std::iter::repeat_n(pad as i32, missing));
            let labels = labels.iter().copied().chain(std::iter::repeat(IGNORED));
            all.labels.extend(labels.take(length));
        }
        all
    }

    /// Labels that count: those of the first tokens never do, nothing stands before them.
    pub fn counted(&self) -> usize {
        let rows = self.labels.chunks(self.length.max(1));
        rows.flat_map(|row| row.iter().skip(1))
            .filter(|&&label| label != IGNORED)
            .count()
    }

    /// What each token has to predict: the next label, [`IGNORED`] at the last.
    pub fn shifted(&self) -> Vec<i32> {
        let rows = self.labels.chunks(self.length.max(1));
        rows.flat_map(|row| row.iter().skip(1).copied().chain([IGNORED]))
            .collect()
    }

    pub(super) fn ids(&self, device: &Device) -> Tensor<2, Int> {
        Tensor::from_data(
            TensorData::new(self.ids.clone(), [self.batch, self.length]),
            device,
        )
    }

    pub(super) fn targets(&self, device: &Device) -> Tensor<2, Int> {
        Tensor::from_data(
            TensorData::new(self.shifted(), [self.batch, self.length]),
            device,
        )
    }

    /// True where query and key are of one document, `[batch, 1, length, length]`.
    pub(super) fn pairs(&self, device: &Device) -> Option<Tensor<4, Bool>> {
        let documents = self.documents.as_ref()?;
        let mut seen = Vec::with_capacity(documents.len() * self.length);
        for row in documents.chunks(self.length.max(1)) {
            for query in row {
                seen.extend(row.iter().map(|key| key == query));
            }
        }
        let shape = [self.batch, 1, self.length, self.length];
        Some(Tensor::from_data(TensorData::new(seen, shape), device))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_filled_up_and_shifted() {
        let rows = [(vec![1, 2, 3], vec![-100, 2, 3]), (vec![7], vec![7])];
        let batch = Sequences::padded(&rows, 9);
        assert_eq!(batch.ids, [1, 2, 3, 7, 9, 9]);
        assert_eq!(batch.shifted(), [2, 3, -100, -100, -100, -100]);
        assert_eq!(batch.counted(), 2);
    }
}

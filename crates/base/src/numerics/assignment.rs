//! Which row goes with which column, at the least total cost.
//!
//! The shortest augmenting path algorithm for rectangles (Crouse, "On implementing 2D rectangular assignment algorithms",
//! IEEE Trans. Aerospace and Electronic Systems 52(4), 2016). Rows and columns are scanned in the order that SciPy's
//! `linear_sum_assignment` scans them in, so that of several best assignments the same one comes out.

/// The largest cost: sums of such stay finite.
const DEAREST: f64 = 1e200;

/// The assignment of least total cost: `min(rows, columns)` pairs `(row, column)`, rows rising.
///
/// `cost` is `[rows, columns]`, row by row. Costs that are not numbers count as [`DEAREST`], which bounds all others;
/// missing ones count as zero.
pub fn assign(cost: &[f64], rows: usize, columns: usize) -> Vec<(usize, usize)> {
    if rows == 0 || columns == 0 {
        return Vec::new();
    }
    if columns < rows {
        let mut turned = Vec::with_capacity(rows * columns);
        for column in 0..columns {
            turned.extend((0..rows).map(|row| entry(cost, row * columns + column)));
        }
        let mut pairs: Vec<(usize, usize)> = Search::new(&turned, rows)
            .solve(columns)
            .into_iter()
            .enumerate()
            .map(|(column, row)| (row, column))
            .collect();
        pairs.sort_unstable();
        return pairs;
    }
    let cost: Vec<f64> = (0..rows * columns).map(|at| entry(cost, at)).collect();
    let chosen = Search::new(&cost, columns).solve(rows);
    chosen.into_iter().enumerate().collect()
}

fn entry(cost: &[f64], at: usize) -> f64 {
    match cost.get(at) {
        Some(cost) if cost.is_nan() => DEAREST,
        Some(cost) => cost.clamp(-DEAREST, DEAREST),
        None => 0.0,
    }
}

/// The state between augmentations.
struct Search<'a> {
    cost: &'a [f64],
    columns: usize,
    /// Dual variables of rows and columns.
    u: Vec<f64>,
    v: Vec<f64>,
    /// The row of each column, where it has one.
    row_of: Vec<Option<usize>>,
    /// The column of each row, where it has one.
    column_of: Vec<Option<usize>>,
    /// How each column was reached, and at what cost.
    reached_from: Vec<usize>,
    shortest: Vec<f64>,
    /// Rows and columns in the tree of the current path.
    in_rows: Vec<bool>,
    in_columns: Vec<bool>,
    /// Columns still to scan.
    remaining: Vec<usize>,
}

impl<'a> Search<'a> {
    fn new(cost: &'a [f64], columns: usize) -> Self {
        let rows = cost.len() / columns.max(1);
        Self {
            cost,
            columns,
            u: vec![0.0; rows],
            v: vec![0.0; columns],
            row_of: vec![None; columns],
            column_of: vec![None; rows],
            reached_from: vec![0; columns],
            shortest: vec![0.0; columns],
            in_rows: vec![false; rows],
            in_columns: vec![false; columns],
            remaining: Vec::with_capacity(columns),
        }
    }

    /// The column of each of the `rows` rows.
    fn solve(mut self, rows: usize) -> Vec<usize> {
        for row in 0..rows {
            let (sink, least) = self.path(row);
            self.update_duals(row, least);
            self.augment(row, sink);
        }
        self.column_of
            .iter()
            .map(|column| column.unwrap_or(0))
            .collect()
    }

    /// The shortest augmenting path from `row`: the free column where it ends, and its cost.
    fn path(&mut self, row: usize) -> (usize, f64) {
        let mut least = 0.0;
        // Backwards: a constant matrix then gives the identity.
        self.remaining.clear();
        self.remaining.extend((0..self.columns).rev());
        self.in_rows.fill(false);
        self.in_columns.fill(false);
        self.shortest.fill(f64::INFINITY);
        let mut i = row;
        loop {
            self.in_rows[i] = true;
            let mut index = 0;
            let mut lowest = f64::INFINITY;
            for (at, &j) in self.remaining.iter().enumerate() {
                let reduced = least + self.cost[i * self.columns + j] - self.u[i] - self.v[j];
                if reduced < self.shortest[j] {
                    self.reached_from[j] = i;
                    self.shortest[j] = reduced;
                }
                // Among equals a free column is taken, since it ends the path.
                if self.shortest[j] < lowest
                    || (self.shortest[j] == lowest && self.row_of[j].is_none())
                {
                    lowest = self.shortest[j];
                    index = at;
                }
            }
            least = lowest;
            let j = self.remaining.swap_remove(index);
            self.in_columns[j] = true;
            match self.row_of[j] {
                None => return (j, least),
                Some(next) => i = next,
            }
        }
    }

    fn update_duals(&mut self, row: usize, least: f64) {
        self.u[row] += least;
        for i in 0..self.u.len() {
            if let (true, Some(column)) = (self.in_rows[i] && i != row, self.column_of[i]) {
                self.u[i] += least - self.shortest[column];
            }
        }
        for j in 0..self.columns {
            if self.in_columns[j] {
                self.v[j] -= least - self.shortest[j];
            }
        }
    }

    /// Turns the path to `sink` around.
    fn augment(&mut self, row: usize, sink: usize) {
        let mut j = sink;
        loop {
            let i = self.reached_from[j];
            self.row_of[j] = Some(i);
            let before = self.column_of[i].replace(j);
            match before {
                Some(next) if i != row => j = next,
                _ => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    /// The least cost over all ways, by trying each.
    fn least(cost: &[f64], columns: usize, row: usize, rows: usize, used: &mut Vec<bool>) -> f64 {
        if row == rows {
            return 0.0;
        }
        let mut best = f64::INFINITY;
        for column in 0..columns {
            if !used[column] {
                used[column] = true;
                let rest = least(cost, columns, row + 1, rows, used);
                used[column] = false;
                best = best.min(cost[row * columns + column] + rest);
            }
        }
        best
    }

    #[test]
    fn no_other_way_is_cheaper() {
        let mut rng = Rng::new(3);
        for _ in 0..300 {
            let (rows, columns) = (1 + rng.below(5), 1 + rng.below(6));
            let cost: Vec<f64> = (0..rows * columns).map(|_| rng.below(5) as f64).collect();
            let pairs = assign(&cost, rows, columns);
            assert_eq!(pairs.len(), rows.min(columns));
            assert!(pairs.is_sorted());
            let total: f64 = pairs.iter().map(|(r, c)| cost[r * columns + c]).sum();
            let (flat, wide, high) = if rows <= columns {
                (cost, columns, rows)
            } else {
                let turned = (0..columns).flat_map(|c| (0..rows).map(move |r| (r, c)));
                let flat: Vec<f64> = turned.map(|(r, c)| cost[r * columns + c]).collect();
                (flat, rows, columns)
            };
            assert_eq!(total, least(&flat, wide, 0, high, &mut vec![false; wide]));
        }
    }

    #[test]
    fn equal_costs_give_the_identity() {
        assert_eq!(assign(&[1.0; 9], 3, 3), [(0, 0), (1, 1), (2, 2)]);
        assert_eq!(assign(&[1.0; 6], 2, 3), [(0, 0), (1, 1)]);
        assert_eq!(assign(&[1.0; 6], 3, 2), [(0, 0), (1, 1)]);
    }

    #[test]
    fn costs_that_are_no_numbers_are_avoided() {
        let cost = [f64::NAN, 1.0, 1.0, f64::INFINITY];
        assert_eq!(assign(&cost, 2, 2), [(0, 1), (1, 0)]);
        assert!(assign(&[], 0, 4).is_empty());
    }
}

//! The order in which CPython walks through a set of small whole numbers.
//!
//! The official tool takes what is left unmatched from such sets and pairs it up; which of several equally good pairings
//! it finds depends on this order. It is that of the slots of an open-addressing table (CPython's `Objects/setobject.c`):
//! numbers are their own hashes, ten neighbouring slots are tried, then the next is computed.

/// Neighbouring slots tried after the first.
const NEIGHBOURS: usize = 9;

/// `{0, …, n-1} - removed`, in CPython's order; `removed[i]` says whether `i` is taken away.
pub(super) fn difference(n: usize, removed: impl Fn(usize) -> bool) -> Vec<usize> {
    let left: Vec<usize> = (0..n).filter(|&i| !removed(i)).collect();
    // A set that loses little is copied first, and keeps a table with a slot for each of its numbers.
    if n >> 2 > n - left.len() {
        return left;
    }
    let mut table = Table::new(8);
    for number in left {
        table.add(number);
    }
    table.slots.into_iter().flatten().collect()
}

struct Table {
    slots: Vec<Option<usize>>,
    used: usize,
}

impl Table {
    fn new(size: usize) -> Self {
        Self {
            slots: vec![None; size],
            used: 0,
        }
    }

    fn add(&mut self, number: usize) {
        self.place(number);
        let mask = self.slots.len() - 1;
        if self.used * 5 >= mask * 3 {
            let room = match self.used > 50_000 {
                true => self.used * 2,
                false => self.used * 4,
            };
            let mut larger = Self::new((room + 1).next_power_of_two().max(8));
            for number in std::mem::take(&mut self.slots).into_iter().flatten() {
                larger.place(number);
            }
            *self = larger;
        }
    }

    fn place(&mut self, number: usize) {
        let mask = self.slots.len() - 1;
        let (mut slot, mut perturb) = (number & mask, number);
        loop {
            let tried = if slot + NEIGHBOURS <= mask {
                NEIGHBOURS
            } else {
                0
            };
            let free = (slot..=slot + tried).find(|&at| self.slots.get(at) == Some(&None));
            if let Some(place) = free.and_then(|at| self.slots.get_mut(at)) {
                *place = Some(number);
                self.used += 1;
                return;
            }
            perturb >>= 5;
            slot = (slot * 5 + 1 + perturb) & mask;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::difference;

    #[test]
    fn orders_are_those_of_cpython() {
        // list(set(range(n)) - set(range(n)[:k] …)), Python 3.11.
        let keep = |n: usize, kept: &[usize]| difference(n, |i| !kept.contains(&i));
        assert_eq!(keep(41, &[3, 17, 40]), PYTHON_A);
        assert_eq!(keep(60, &[9, 17, 25, 33, 41, 49, 57]), PYTHON_B);
        assert_eq!(keep(10, &[0, 1, 2, 3, 4, 5, 6, 9]), PYTHON_C);
        assert_eq!(keep(200, &[8, 16, 24, 32, 199]), PYTHON_D);
    }

    const PYTHON_A: [usize; 3] = [40, 17, 3];
    const PYTHON_B: [usize; 7] = [33, 9, 41, 17, 49, 25, 57];
    const PYTHON_C: [usize; 8] = [0, 1, 2, 3, 4, 5, 6, 9];
    const PYTHON_D: [usize; 5] = [32, 199, 8, 16, 24];
}

//! Things numbered so that tables need no hashing.

use std::hash::Hash;

use rustc_hash::FxHashMap;

/// Codes that are looked up without hashing.
const SMALL: usize = 128;

/// Something that sequences are made of.
pub trait Symbol: Copy + Eq + Hash {
    /// A number that only equal symbols share.
    fn code(self) -> u64;
}

macro_rules! symbols {
    ($($name:ty),*) => {
        $(impl Symbol for $name {
            #[inline(always)]
            fn code(self) -> u64 {
                self as u64
            }
        })*
    };
}
symbols!(u8, u16, u32, u64, char);

/// Symbols by number: 1, 2, … in the order in which they were first seen. 0 is that of symbols that were not.
#[derive(Clone, Debug)]
pub struct Alphabet<T> {
    small: [u32; SMALL],
    others: FxHashMap<T, u32>,
    last: u32,
}

impl<T> Default for Alphabet<T> {
    fn default() -> Self {
        Self {
            small: [0; SMALL],
            others: FxHashMap::default(),
            last: 0,
        }
    }
}

impl<T: Symbol> Alphabet<T> {
    /// The number of a symbol, a new one if it was not seen before.
    #[inline]
    pub fn number(&mut self, symbol: T) -> u32 {
        match self.small.get(symbol.code() as usize) {
            Some(&number) if number > 0 => number,
            _ => self.number_rare(symbol),
        }
    }

    /// [`Self::number`] of a symbol that is new or must be hashed.
    #[inline(never)]
    fn number_rare(&mut self, symbol: T) -> u32 {
        let place = match self.small.get_mut(symbol.code() as usize) {
            Some(place) => place,
            None => self.others.entry(symbol).or_default(),
        };
        if *place == 0 {
            self.last += 1;
            *place = self.last;
        }
        *place
    }

    /// The number of a symbol, where it was seen before; else 0.
    pub fn known(&self, symbol: T) -> u32 {
        match self.small.get(symbol.code() as usize) {
            Some(number) => *number,
            None => self.others.get(&symbol).copied().unwrap_or(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Alphabet;

    #[test]
    fn equal_symbols_have_equal_numbers() {
        let mut alphabet = Alphabet::default();
        let numbers: Vec<u32> = "abaé中é".chars().map(|c| alphabet.number(c)).collect();
        assert_eq!(numbers, [1, 2, 1, 3, 4, 3]);
        let known: Vec<u32> = "中xß".chars().map(|c| alphabet.known(c)).collect();
        assert_eq!(known, [4, 0, 0]);
    }
}

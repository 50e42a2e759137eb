//! Fields of protocol buffers, as far as SentencePiece's files need them.

/// A field's value. The bits of fixed numbers are given as they are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value<'a> {
    Varint(u64),
    Fixed(u64),
    Bytes(&'a [u8]),
}

impl<'a> Value<'a> {
    /// The bytes of a text or a message.
    pub fn bytes(self) -> Option<&'a [u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// An integer, truth value or number of an enumeration.
    pub fn integer(self) -> Option<u64> {
        match self {
            Self::Varint(value) => Some(value),
            _ => None,
        }
    }

    /// A `float`.
    pub fn float(self) -> Option<f32> {
        match self {
            Self::Fixed(bits) => Some(f32::from_bits(u32::try_from(bits).ok()?)),
            _ => None,
        }
    }
}

/// The fields of a message in the order of the file: number and value, or `None` once where it is not whole.
pub(super) fn fields(mut rest: &[u8]) -> impl Iterator<Item = Option<(u64, Value<'_>)>> {
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let found = field(&mut rest);
        if found.is_none() {
            rest = &[];
        }
        Some(found)
    })
}

fn field<'a>(rest: &mut &'a [u8]) -> Option<(u64, Value<'a>)> {
    let key = varint(rest)?;
    let value = match key & 7 {
        0 => Value::Varint(varint(rest)?),
        1 => Value::Fixed(u64::from_le_bytes(take(rest, 8)?.try_into().ok()?)),
        2 => {
            let length = usize::try_from(varint(rest)?).ok()?;
            Value::Bytes(take(rest, length)?)
        }
        5 => Value::Fixed(u32::from_le_bytes(take(rest, 4)?.try_into().ok()?).into()),
        _ => return None,
    };
    Some((key >> 3, value))
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some(taken)
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = *take(rest, 1)?.first()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_each_kind_and_a_cut_message() {
        let message = [
            0x08, 0x96, 0x01, 0x12, 2, b'h', b'i', 0x1d, 0, 0, 0x80, 0x3f,
        ];
        let all: Vec<_> = fields(&message).map(Option::unwrap).collect();
        assert_eq!(all[0], (1, Value::Varint(150)));
        assert_eq!(all[1].1.bytes(), Some(&b"hi"[..]));
        assert_eq!(all[2].1.float(), Some(1.0));
        for cut in 1..message.len() {
            let whole = matches!(cut, 3 | 7);
            assert_eq!(
                fields(&message[..cut]).any(|it| it.is_none()),
                !whole,
                "{cut}"
            );
        }
        assert!(fields(&[0xff; 12]).any(|it| it.is_none()));
    }
}

//! Unicode's mathematical alphabets.

/// The letter in one of the alphabets; other characters stay. Some letters were in Unicode before the alphabets came.
pub fn letter(c: char, style: &str) -> char {
    let old = match (style, c) {
        ("italic", 'h') => 'ℎ',
        ("script", 'B') => 'ℬ',
        ("script", 'E') => 'ℰ',
        ("script", 'F') => 'ℱ',
        ("script", 'H') => 'ℋ',
        ("script", 'I') => 'ℐ',
        ("script", 'L') => 'ℒ',
        ("script", 'M') => 'ℳ',
        ("script", 'R') => 'ℛ',
        ("script", 'e') => 'ℯ',
        ("script", 'g') => 'ℊ',
        ("script", 'o') => 'ℴ',
        ("fraktur", 'C') => 'ℭ',
        ("fraktur", 'H') => 'ℌ',
        ("fraktur", 'I') => 'ℑ',
        ("fraktur", 'R') => 'ℜ',
        ("fraktur", 'Z') => 'ℨ',
        ("doublestruck", 'C') => 'ℂ',
        ("doublestruck", 'H') => 'ℍ',
        ("doublestruck", 'N') => 'ℕ',
        ("doublestruck", 'P') => 'ℙ',
        ("doublestruck", 'Q') => 'ℚ',
        ("doublestruck", 'R') => 'ℝ',
        ("doublestruck", 'Z') => 'ℤ',
        _ => c,
    };
    if old != c || !c.is_ascii_alphabetic() {
        return old;
    }
    let first = match style {
        "bold" => 0x1d400,
        "italic" => 0x1d434,
        "script" => 0x1d49c,
        "fraktur" => 0x1d504,
        "doublestruck" => 0x1d538,
        "sans" => 0x1d5a0,
        "monospace" => 0x1d670,
        _ => return c,
    };
    let offset = if c.is_ascii_uppercase() {
        u32::from(c) - u32::from('A')
    } else {
        u32::from(c) - u32::from('a') + 26
    };
    char::from_u32(first + offset).unwrap_or(c)
}

//! Which tags close, imply or forbid which: the facts of libxml2's HTML tree.

use html5gum::State;

/// Open element → the start tags that end it.
const CLOSED_BY: &[(&str, &str)] = &[
    ("a", "a fieldset table td th"),
    ("address", "dd dl dt form li ul"),
    ("b", "center p td th"),
    ("big", "p"),
    ("caption", "col colgroup tbody tfoot thead tr"),
    ("col", "col colgroup tbody tfoot thead tr"),
    ("colgroup", "colgroup tbody tfoot thead tr"),
    ("dd", "dt"),
    ("dir", "dd dl dt form ul"),
    ("dl", "form li"),
    ("dt", "dd dl"),
    ("font", "center td th"),
    ("form", "form"),
    ("h1", HEADING),
    ("h2", HEADING),
    ("h3", HEADING),
    ("h4", HEADING),
    ("h5", HEADING),
    ("h6", HEADING),
    (
        "head",
        "a abbr acronym address b bdo big blockquote body br center cite code dd dfn dir div dl dt em fieldset font \
         form frameset h1 h2 h3 h4 h5 h6 hr i iframe img kbd li listing map menu ol p pre q s samp small span strike \
         strong sub sup table tt u ul var xmp",
    ),
    ("hr", "form"),
    ("i", "center p td th"),
    ("legend", "fieldset"),
    ("li", "li"),
    ("link", "body frameset"),
    ("listing", VERBATIM),
    ("menu", "dd dl dt form ul"),
    ("ol", "form"),
    ("option", "optgroup option"),
    (
        "p",
        "address blockquote body caption center col colgroup dd dir div dl dt fieldset form frameset h1 h2 h3 h4 h5 h6 \
         head hr li listing menu ol p pre table tbody td tfoot th title tr ul xmp",
    ),
    ("pre", VERBATIM),
    ("s", "p"),
    ("script", "noscript"),
    ("small", "p"),
    ("span", "td th"),
    ("strike", "p"),
    ("style", "body frameset"),
    ("tbody", "tbody tfoot"),
    ("td", CELL),
    ("tfoot", "tbody"),
    ("th", CELL),
    ("thead", "tbody tfoot"),
    ("title", "body frameset"),
    ("tr", "tbody tfoot tr"),
    ("tt", "p"),
    ("u", "p td th"),
    ("ul", "address form menu pre"),
    ("xmp", VERBATIM),
];
const HEADING: &str = "fieldset form li p table";
const VERBATIM: &str = "dd dl dt fieldset form li table ul";
const CELL: &str = "tbody td tfoot th tr";

/// Elements that end where they begin.
const EMPTY: &str = "area base basefont br col frame hr img input isindex link meta param";

/// Elements that go into an implied `head`.
const IN_HEAD: &str = "base link meta script style title";

/// Whether the start tag `new` ends an open `old`.
pub fn closes(new: &str, old: &str) -> bool {
    CLOSED_BY
        .binary_search_by(|(name, _)| name.cmp(&old))
        .ok()
        .and_then(|at| CLOSED_BY.get(at))
        .is_some_and(|(_, by)| among(new, by))
}

/// How much an end tag can close: only what ranks no higher than itself.
pub fn rank(name: &str) -> u8 {
    match name {
        "div" => 150,
        "td" | "th" => 160,
        "tr" => 170,
        "thead" | "tbody" | "tfoot" => 180,
        "table" => 190,
        "head" | "body" => 200,
        "html" => 220,
        _ => 100,
    }
}

/// Whether an element has no content.
pub fn is_empty(name: &str) -> bool {
    among(name, EMPTY)
}

/// Whether an element, where nothing is open but the root, implies a head.
pub fn goes_into_head(name: &str) -> bool {
    among(name, IN_HEAD)
}

/// How the text within an element is read, where that is not as usual.
pub fn reading(name: &str) -> Option<State> {
    match name {
        "textarea" | "title" => Some(State::RcData),
        "iframe" | "noembed" | "noframes" | "style" | "xmp" => Some(State::RawText),
        "script" => Some(State::ScriptData),
        "plaintext" => Some(State::PlainText),
        _ => None,
    }
}

/// Whether `name` is one of the blank-separated `names`.
fn among(name: &str, names: &str) -> bool {
    let mut each = names.as_bytes().split(|byte| *byte == b' ');
    each.any(|one| one == name.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_for_the_search() {
        assert!(CLOSED_BY.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn cells_end_cells_and_rows_end_rows() {
        assert!(closes("td", "td") && closes("tr", "td") && closes("tr", "tr"));
        assert!(!closes("table", "td") && !closes("td", "tr") && !closes("td", "table"));
    }
}

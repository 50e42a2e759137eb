//! All systems.

use engine::card::Card;

/// The cards of all crates, in the order of the map.
pub fn cards() -> impl Iterator<Item = &'static Card> {
    [
        language::CARDS,
        judge::CARDS,
        vision::CARDS,
        image_systems::CARDS,
        video::CARDS,
        learning::CARDS,
    ]
    .into_iter()
    .flatten()
}

/// The card of `slug`.
pub fn card(slug: &str) -> Option<&'static Card> {
    cards().find(|card| card.slug == slug)
}

#[cfg(test)]
mod tests {
    use super::{Card, cards};
    use std::collections::BTreeSet;

    #[test]
    fn there_are_27_systems_with_names_of_their_own() {
        let cards: Vec<&Card> = cards().collect();
        let slugs: BTreeSet<&str> = cards.iter().map(|card| card.slug).collect();
        assert_eq!((cards.len(), slugs.len()), (27, 27));
        let complete = |text: &str| !text.is_empty() && !text.contains('\n');
        for card in cards {
            assert!(card.paper.starts_with("arXiv 2412."), "{}", card.slug);
            assert!(!card.claims.is_empty(), "{}", card.slug);
            for text in [
                card.title,
                card.domain,
                card.purpose,
                card.weights,
                card.licence,
            ] {
                assert!(complete(text), "{}", card.slug);
            }
        }
    }
}

//! All systems.

use engine::card::Card;

/// The cards of all crates, in the order of the map; within a crate the built ones first.
pub fn cards() -> Vec<Card> {
    let built = [video::stiv::CARD];
    [
        &language::CARDS[..],
        &judge::CARDS,
        &vision::CARDS,
        &image_systems::CARDS,
        &built,
        &video::CARDS,
        &learning::CARDS,
    ]
    .concat()
}

/// The card of `slug`.
pub fn card(slug: &str) -> Option<Card> {
    cards().into_iter().find(|card| card.slug == slug)
}

#[cfg(test)]
mod tests {
    use super::cards;
    use std::collections::BTreeSet;

    #[test]
    fn there_are_27_systems_with_names_of_their_own() {
        let cards = cards();
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

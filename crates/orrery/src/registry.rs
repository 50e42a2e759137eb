//! All systems that this program was built with.

use base::system::System;

/// In the order of the README's table.
pub fn systems() -> impl Iterator<Item = &'static System> {
    [
        language::SYSTEMS,
        judge::SYSTEMS,
        vision::SYSTEMS,
        image_systems::SYSTEMS,
        video::SYSTEMS,
        learning::SYSTEMS,
    ]
    .into_iter()
    .flatten()
}

/// The system called `slug`.
pub fn system(slug: &str) -> Option<&'static System> {
    systems().find(|system| system.card.slug == slug)
}

#[cfg(test)]
mod tests {
    use super::systems;
    use std::collections::BTreeSet;

    #[test]
    #[cfg(feature = "default")]
    fn there_are_27_systems_with_names_of_their_own() {
        let slugs: BTreeSet<&str> = systems().map(|system| system.card.slug).collect();
        assert_eq!((systems().count(), slugs.len()), (27, 27));
    }

    #[test]
    fn every_card_is_complete() {
        let complete = |text: &str| !text.is_empty() && !text.contains('\n');
        for card in systems().map(|system| system.card) {
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

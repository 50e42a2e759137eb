//! Ratings: equal to those of other programs on the same games, and to what can be worked out by hand.
#![allow(clippy::unwrap_used)]
#![allow(clippy::excessive_precision)]

use base::rng::Rng;
use judge::codearena::rating::{Board, Pairing, RatingError, strengths};

/// The games that `choix` was given too: of six players, pair by pair, wins of the first, ties, wins of the second.
const GAMES: &[(usize, usize, [u32; 3])] = &[
    (0, 1, [14, 3, 8]),
    (0, 2, [9, 1, 16]),
    (1, 2, [5, 6, 11]),
    (1, 3, [20, 2, 4]),
    (2, 4, [7, 7, 7]),
    (3, 4, [2, 1, 13]),
    (4, 5, [18, 0, 3]),
    (0, 5, [12, 4, 6]),
];

/// Strengths by `choix.ilsr_pairwise` 0.4.1 on those games, each game as two and a tie as one win for each, mean 0.
/// Scikit-learn 1.9.1 (`LogisticRegression`, no intercept, C = 10¹²) gives the same numbers to 10⁻¹³.
const CHOIX: [f64; 6] = [
    0.242_764_581_046_943_96,
    0.010_069_946_033_729_23,
    0.736_327_951_119_241_9,
    -1.254_577_635_863_241_8,
    0.826_335_729_714_731_7,
    -0.560_920_572_051_329,
];

fn pairings() -> Vec<Pairing> {
    let mut all = Vec::new();
    for &(first, second, counts) in GAMES {
        for (count, outcome) in counts.into_iter().zip([1.0, 0.5, 0.0]) {
            let game = Pairing {
                first,
                second,
                outcome,
                weight: 1.0,
                item: 0,
            };
            all.extend((0..count).map(|_| game));
        }
    }
    all
}

#[test]
fn strengths_are_those_of_choix() {
    for (ours, theirs) in strengths(6, pairings()).iter().zip(CHOIX) {
        assert!((ours - theirs).abs() < 1e-6, "{ours} {theirs}");
    }
}

#[test]
fn two_players_by_hand() {
    // Three wins of four: θ₁ − θ₂ = ln 3.
    let game = |outcome| Pairing {
        first: 0,
        second: 1,
        outcome,
        weight: 1.0,
        item: 0,
    };
    let found = strengths(2, [game(1.0), game(1.0), game(1.0), game(0.0)]);
    assert!((found[0] - found[1] - 3.0_f64.ln()).abs() < 1e-5);
    // Two ties are a win and a loss.
    let found = strengths(2, [game(0.5), game(0.5)]);
    assert!((found[0] - found[1]).abs() < 1e-12);
}

fn labels(a: &str, b: &str) -> Vec<Option<String>> {
    vec![Some(a.into()), Some(b.into())]
}

#[test]
fn the_baseline_is_the_anchor_and_strong_labels_count_three_times() {
    let mut board = Board::default();
    for item in 0..40 {
        board.add(
            "good",
            "base",
            &item.to_string(),
            &labels("B>>A", if item % 4 == 0 { "B>>A" } else { "A>>B" }),
        );
        board.add(
            "weak",
            "base",
            &item.to_string(),
            &labels("A>B", if item % 4 == 0 { "A>B" } else { "B>A" }),
        );
    }
    let ratings = board.ratings("base", 60, &Rng::new(1)).unwrap();
    let names: Vec<&str> = ratings.iter().map(|rating| rating.name.as_str()).collect();
    assert_eq!(names, ["good", "base", "weak"]);
    assert!((ratings[1].rating - 1000.0).abs() < 1e-9);
    // 70 of 80 games won: odds of 7.
    assert!((ratings[0].rating - 1000.0 - 400.0 * 7.0_f64.log10()).abs() < 1e-3);
    assert!((ratings[0].win_rate - 0.875).abs() < 1e-6);
    let [low, high] = ratings[0].interval.unwrap();
    assert!(low < ratings[0].rating && ratings[0].rating < high);
    assert_eq!(ratings, board.ratings("base", 60, &Rng::new(1)).unwrap());
    assert!((ratings[2].rating - 1000.0 + 400.0 * 7.0_f64.log10()).abs() < 1e-3);
}

#[test]
fn what_cannot_be_rated_says_why() {
    let mut board = Board::default();
    assert_eq!(
        board.ratings("base", 0, &Rng::new(0)),
        Err(RatingError::NoGames)
    );
    board.add("a", "base", "1", &labels("A>B", "A>B"));
    board.add("c", "other", "1", &labels("A>B", "A>B"));
    assert!(matches!(
        board.ratings("base", 0, &Rng::new(0)),
        Err(RatingError::Apart(..))
    ));
    assert!(matches!(
        board.ratings("nobody", 0, &Rng::new(0)),
        Err(RatingError::NoBaseline(_))
    ));
    // A model that won everything gets a finite rating.
    let mut board = Board::default();
    board.add("a", "base", "1", &labels("B>A", "A>B"));
    let ratings = board.ratings("base", 10, &Rng::new(0)).unwrap();
    assert!(ratings[0].rating.is_finite() && ratings[0].rating > 2000.0);
}

#[test]
fn no_interval_without_width_goes_without_a_warning() {
    for (a, b, what) in [
        ("A=B", "A=B", "tied all its games"),
        ("B>A", "A>B", "no upper bound"),
        ("A>B", "B>A", "no lower bound"),
    ] {
        let mut board = Board::default();
        for item in 0..20 {
            board.add("alike", "base", &item.to_string(), &labels(a, b));
            let mixed = if item % 2 == 0 { "B>A" } else { "A>B" };
            board.add("mixed", "base", &item.to_string(), &labels(mixed, "A=B"));
        }
        let ratings = board.ratings("base", 60, &Rng::new(1)).unwrap();
        let of = |name: &str| ratings.iter().find(|rating| rating.name == name).unwrap();
        let alike = of("alike");
        let warning = alike.warning.as_deref().unwrap_or_default();
        assert!(
            warning.contains("`alike`") && warning.contains(what),
            "{warning}"
        );
        assert_eq!(alike.interval, None);
        let [low, high] = of("mixed").interval.unwrap();
        assert!(high - low > 1.0, "{low} {high}");
        assert_eq!(of("mixed").warning, None);
        assert_eq!((of("base").interval, &of("base").warning), (None, &None));
    }
}

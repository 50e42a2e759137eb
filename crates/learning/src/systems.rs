//! The systems of this crate, in the order of the README's table.

use base::card::Card;
use base::system::System;

/// See [`System`].
pub const SYSTEMS: &[System] = &[
    System::planned(Card {
        slug: "hyperfl",
        title: "HyperFL: federated learning against gradient inversion",
        paper: "arXiv 2412.07187",
        domain: "learning",
        purpose: "Federated learning that gradient inversion does not break",
        claims: &[
            "CIFAR-10, 20 clients: 73.03 %, FedAvg 70.02 %, DP-FedAvg 29.12 %",
            "attack on EMNIST: PSNR 7.85, FedAvg 32.64",
        ],
        weights: "none: trained from scratch",
        licence: "see the official repository",
    }),
    System::planned(Card {
        slug: "rapl",
        title: "RAPL: representation-aligned preference-based learning",
        paper: "arXiv 2412.04835",
        domain: "learning",
        purpose: "Visual rewards from little feedback",
        claims: &[
            "a fifth of the human preference data of RLHF",
            "Spearman correlation with the true reward (Franka group): RAPL 0.59, RLHF 0.38",
        ],
        weights: "none released",
        licence: "no code released; X-MAGICAL and XIRL are public",
    }),
];

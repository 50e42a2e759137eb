//! Federated learning and reward learning.

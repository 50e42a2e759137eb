//! What the agent has seen: a ring of transitions.

use base::rng::Rng;

/// One step of an episode.
#[derive(Clone, Debug, PartialEq)]
pub struct Transition {
    /// Before the action.
    pub observation: Vec<f32>,
    /// In −1..1.
    pub action: Vec<f32>,
    /// Its reward.
    pub reward: f32,
    /// After the action.
    pub next: Vec<f32>,
    /// 0 where the episode truly ended, 1 where it went on or only ran out of time.
    pub mask: f32,
}

/// A ring of transitions of one shape.
#[derive(Clone, Debug)]
pub struct Buffer {
    transitions: Vec<Transition>,
    capacity: usize,
    next: usize,
}

/// Transitions side by side, each list row after row.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// `[batch, observation]`.
    pub observations: Vec<f32>,
    /// `[batch, actions]`.
    pub actions: Vec<f32>,
    /// `[batch]`.
    pub rewards: Vec<f32>,
    /// `[batch, observation]`.
    pub next: Vec<f32>,
    /// `[batch]`.
    pub masks: Vec<f32>,
}

impl Buffer {
    /// Keeps the latest `capacity` transitions.
    pub fn new(capacity: usize) -> Self {
        Self {
            transitions: Vec::new(),
            capacity: capacity.max(1),
            next: 0,
        }
    }

    /// One more transition; the oldest goes where there is no room.
    pub fn push(&mut self, transition: Transition) {
        match self.transitions.len() < self.capacity {
            true => self.transitions.push(transition),
            false => self.transitions[self.next] = transition,
        }
        self.next = (self.next + 1) % self.capacity;
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.transitions.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.transitions.is_empty()
    }

    /// `count` transitions drawn with repetition; none from an empty buffer.
    pub fn sample(&self, count: usize, rng: &mut Rng) -> Batch {
        let mut batch = Batch::default();
        if self.is_empty() {
            return batch;
        }
        for _ in 0..count {
            let one = &self.transitions[rng.below(self.transitions.len())];
            batch.observations.extend(&one.observation);
            batch.actions.extend(&one.action);
            batch.rewards.push(one.reward);
            batch.next.extend(&one.next);
            batch.masks.push(one.mask);
        }
        batch
    }
}

//! Which configuration is next.

use std::collections::BTreeMap;

/// Which configuration is next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Strategy {
    /// The one reached last: finds a linearization soon if there are many.
    DepthFirst,
    /// The one that waits for the earliest return, fewest optional calls used: meets only configurations that nothing
    /// dominates, which is what counts if all have to be seen.
    BreadthFirst,
    /// Depth first, and optional calls may be used again and again (see the module's "more than there is").
    Relaxed,
}

/// The configurations that wait.
pub(super) enum Agenda {
    Stack(Vec<u32>),
    /// By return, then by optional calls used.
    Levels(BTreeMap<(u32, u32), Vec<u32>>),
}

impl Agenda {
    pub(super) fn new(strategy: Strategy) -> Self {
        match strategy {
            Strategy::DepthFirst | Strategy::Relaxed => Self::Stack(Vec::new()),
            Strategy::BreadthFirst => Self::Levels(BTreeMap::new()),
        }
    }

    pub(super) fn push(&mut self, id: u32, at: u32, used: u32) {
        match self {
            Self::Stack(stack) => stack.push(id),
            Self::Levels(levels) => levels.entry((at, used)).or_default().push(id),
        }
    }

    pub(super) fn pop(&mut self) -> Option<u32> {
        match self {
            Self::Stack(stack) => stack.pop(),
            Self::Levels(levels) => {
                let mut level = levels.first_entry()?;
                let id = level.get_mut().pop();
                if level.get().is_empty() {
                    level.remove();
                }
                id
            }
        }
    }
}

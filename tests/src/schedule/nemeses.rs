//! Which faults a run may use, by name: `--nemesis kill,pause,halves`.

use std::fmt;

use super::Kind;
use crate::faults::{Recipe, Usability};

/// The faults a run may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nemeses {
    names: Vec<&'static str>,
    recipes: Vec<(Kind, usize)>,
}

impl Nemeses {
    /// Every family that this machine can inject, but those that must be named.
    #[must_use]
    pub fn all() -> Nemeses {
        let mut all = Nemeses::none();
        let meant = Kind::ALL.iter().filter(|kind| !kind.is_by_name_only());
        for kind in meant.filter(|kind| !matches!(kind.usable(), Usability::Missing(_))) {
            all.add(kind.name());
        }
        all
    }

    /// No faults.
    #[must_use]
    pub fn none() -> Nemeses {
        Nemeses { names: Vec::new(), recipes: Vec::new() }
    }

    /// Reads a comma-separated list of names: of families, or of single ways in which one of them is done; `all` and `none`
    /// are names too.
    ///
    /// # Errors
    /// A sentence that lists the known names.
    pub fn parse(text: &str) -> Result<Nemeses, String> {
        let mut chosen = Nemeses::none();
        for name in text.split(',').map(str::trim) {
            match name {
                "none" => {}
                "all" => Nemeses::all().names.iter().for_each(|name| {
                    chosen.add(name);
                }),
                _ if chosen.add(name) => {}
                _ => {
                    let known: Vec<&str> = Kind::ALL.iter().map(|kind| kind.name()).collect();
                    return Err(format!(
                        "unknown fault {name:?}: expected {}, all or none, or a part of one ({})",
                        known.join(", "),
                        Nemeses::parts().join(", ")
                    ));
                }
            }
        }
        Ok(chosen)
    }

    /// The names chosen, for titles and results.
    #[must_use]
    pub fn names(&self) -> &[&'static str] {
        &self.names
    }

    /// What may be drawn in a cluster of `nodes`, by family.
    pub(super) fn recipes(&self, nodes: u64) -> impl Iterator<Item = (Kind, &'static Recipe)> {
        let all = self.recipes.iter().filter_map(|(kind, index)| Some((*kind, kind.recipes().get(*index)?)));
        all.filter(move |(_, recipe)| nodes >= recipe.least_nodes)
    }

    /// The names of single ways, besides those of the families.
    fn parts() -> Vec<&'static str> {
        let mut parts: Vec<&str> = Kind::ALL.iter().flat_map(|kind| kind.recipes()).map(|r| r.name).collect();
        parts.retain(|part| Kind::ALL.iter().all(|kind| kind.name() != *part));
        parts.dedup();
        parts
    }

    fn add(&mut self, wanted: &str) -> bool {
        let mut known = None;
        for kind in Kind::ALL.iter().copied() {
            for (index, recipe) in kind.recipes().iter().enumerate() {
                let name = if wanted == kind.name() { kind.name() } else { recipe.name };
                if name == wanted {
                    known = Some(name);
                    if !self.recipes.contains(&(kind, index)) {
                        self.recipes.push((kind, index));
                    }
                }
            }
        }
        self.names.extend(known.filter(|name| !self.names.contains(name)));
        known.is_some()
    }
}

impl fmt::Display for Nemeses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.names.is_empty() { f.write_str("none") } else { f.write_str(&self.names.join(",")) }
    }
}

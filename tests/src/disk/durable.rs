//! What makes a change of the tree durable, and what a crash leaves.
//!
//! The rules are POSIX's, strictly: a file's sync makes its bytes and its length durable and says nothing about its name; a
//! name (created, renamed, removed) is durable when its folder was synced. Of what no folder's sync has covered, each name
//! survives or not by itself, in any order. ext4 keeps more than that (it commits everything in order, and a new file's name
//! with the file), other filesystems do not, and a program that is right under these rules is right on all of them. One thing
//! is taken from the filesystems with a journal: a rename is one change. It is durable with the sync of either of its two folders,
//! and never half of it.

use std::ffi::OsStr;
use std::fs;
use std::io;

use super::content::{Lost, Spared};
use super::faults::{DiskCounts, Draw, Loss};
use super::tree::{Ino, Kind, Outcome, Place, ROOT, Tree, errno};

impl Tree {
    /// Makes every name in this folder durable.
    pub(crate) fn sync_folder(&mut self, ino: Ino) -> Outcome<()> {
        for name in self.unsynced_names(ino)? {
            self.commit(ino, &name)?;
        }
        Ok(())
    }

    /// Makes everything durable, as unmounting does.
    pub(crate) fn sync_all(&mut self) -> Outcome<()> {
        for node in self.nodes.values_mut() {
            if let Kind::File(content) = &mut node.kind {
                content.sync().map_err(errno)?;
            }
        }
        // A folder may itself be new in its own folder: its names then come to be durable with it.
        for ino in self.folders() {
            // One that was removed may be gone by now.
            if self.node(ino).is_ok() {
                self.sync_folder(ino)?;
            }
        }
        Ok(())
    }

    /// Power is cut: what is left of this tree is what is durable, and what the draw spares besides.
    pub(crate) fn crash(mut self, loss: Loss, draw: &mut Draw, counts: &mut DiskCounts) -> io::Result<Tree> {
        let spared = match loss {
            Loss::Everything => Spared::Nothing,
            Loss::Torn => Spared::OfLastWrite,
            Loss::Some => Spared::Some,
        };
        counts.crashes += 1;
        for node in self.nodes.values_mut() {
            if let Kind::File(content) = &mut node.kind {
                let Lost { bytes, torn } = content.crash(spared, draw)?;
                counts.lost_bytes += bytes;
                counts.torn_writes += u64::from(torn);
            }
        }
        let folders = self.folders();
        if loss == Loss::Some {
            for ino in &folders {
                for name in self.unsynced_names(*ino).unwrap_or_default() {
                    if draw.coin() {
                        self.commit(*ino, &name).map_err(io::Error::from)?;
                    }
                }
            }
        }
        for ino in folders {
            counts.lost_entries += self.unsynced_names(ino).map_or(0, |names| names.len() as u64);
        }
        Tree::load(&self.backing, self.next())
    }

    fn folders(&self) -> Vec<Ino> {
        let folders = self.nodes.iter().filter(|(_, node)| node.is_folder());
        folders.map(|(ino, _)| *ino).collect()
    }

    /// The names in this folder that a crash would give another meaning.
    fn unsynced_names(&self, ino: Ino) -> Outcome<Vec<std::ffi::OsString>> {
        let folder = self.folder(ino)?;
        let names = folder.entries.keys().chain(folder.durable.keys());
        let mut changed: Vec<_> =
            names.filter(|name| folder.entries.get(*name) != folder.durable.get(*name)).cloned().collect();
        changed.sort();
        changed.dedup();
        Ok(changed)
    }

    /// Makes one name durable: that it is there, with what it names, or that it is gone.
    fn commit(&mut self, folder: Ino, name: &OsStr) -> Outcome<()> {
        let durable = self.folder(folder)?.durable.get(name).copied();
        let shows = self.folder(folder)?.entries.get(name).copied();
        if durable == shows {
            return Ok(());
        }
        if let Some(old) = durable {
            match self.node(old)?.shows_at.clone() {
                Some(to) => self.settle(old, to)?,
                None => {
                    self.park(old)?;
                    self.reap(old)?;
                }
            }
        }
        match shows {
            Some(new) => self.settle(new, Place { folder, name: name.to_owned() }),
            None => Ok(()),
        }
    }

    /// Moves a node to the place where it shows, durably.
    fn settle(&mut self, ino: Ino, to: Place) -> Outcome<()> {
        if self.node(ino)?.durable_at.as_ref() == Some(&to) {
            return Ok(());
        }
        if self.node(ino)?.durable_at.is_some() {
            // What was durable must not become less so: first comes the folder that it moves to.
            self.settle_folder(to.folder)?;
        }
        let evicted = self.folder(to.folder)?.durable.get(&to.name).copied();
        if let Some(evicted) = evicted {
            self.park(evicted)?;
        }
        let target = self.path(to.folder)?.join(&to.name);
        self.detach(ino, &target)?;
        self.folder_mut(to.folder)?.durable.insert(to.name.clone(), ino);
        self.node_mut(ino)?.durable_at = Some(to);
        let Some(evicted) = evicted else { return Ok(()) };
        match self.node(evicted)?.shows_at.clone() {
            Some(place) => self.settle(evicted, place),
            None => self.reap(evicted),
        }
    }

    fn settle_folder(&mut self, ino: Ino) -> Outcome<()> {
        match self.node(ino)?.shows_at.clone() {
            Some(place) if ino != ROOT => {
                self.settle_folder(place.folder)?;
                self.settle(ino, place)
            }
            _ => Ok(()),
        }
    }

    /// Takes a node away from where it durably is. What is durable in a folder that goes, goes where it shows.
    fn park(&mut self, ino: Ino) -> Outcome<()> {
        if self.node(ino)?.shows_at.is_none()
            && let Ok(folder) = self.folder(ino)
        {
            for inside in folder.durable.values().copied().collect::<Vec<_>>() {
                match self.node(inside)?.shows_at.clone() {
                    Some(place) => self.settle(inside, place)?,
                    None => {
                        self.park(inside)?;
                        self.reap(inside)?;
                    }
                }
            }
        }
        let target = self.held(ino);
        self.detach(ino, &target)
    }

    /// Moves the object; the node is durable nowhere for a moment.
    fn detach(&mut self, ino: Ino, target: &std::path::Path) -> Outcome<()> {
        fs::rename(self.path(ino)?, target).map_err(errno)?;
        if let Some(old) = self.node_mut(ino)?.durable_at.take() {
            self.folder_mut(old.folder)?.durable.remove(&old.name);
        }
        Ok(())
    }

    /// Removes a node that shows nowhere, is durable nowhere and is not in use.
    pub(super) fn reap(&mut self, ino: Ino) -> Outcome<()> {
        let Some(node) = self.nodes.get(&ino) else { return Ok(()) };
        let is_gone = node.shows_at.is_none() && node.durable_at.is_none();
        if ino == ROOT || !is_gone || node.lookups > 0 {
            return Ok(());
        }
        let path = self.held(ino);
        let removed = if node.is_folder() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
        self.nodes.remove(&ino);
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(errno(error)),
            _ => Ok(()),
        }
    }

    /// Makes a file's bytes and its length durable.
    pub(crate) fn sync_file(&mut self, ino: Ino) -> Outcome<std::sync::Arc<fs::File>> {
        self.content_mut(ino)?.sync().map_err(errno)
    }

    /// The folder's own object, for a sync of the backing disk.
    pub(crate) fn open_folder(&self, ino: Ino) -> Outcome<fs::File> {
        fs::File::open(self.path(ino)?).map_err(errno)
    }
}

#[cfg(test)]
mod tests;

//! Files and folders as they show, and for each the place where it durably is.
//!
//! Every node has an object in the backing folder from the moment it exists: where it durably is, or, if it is durable
//! nowhere, in the folder [`HELD`], which no crash survives. So the backing folder is at any time what a crash with the
//! loss of everything would leave.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use nix::errno::Errno;

use super::content::Content;

/// A node's number.
pub(crate) type Ino = u64;
/// The mounted folder itself.
pub(crate) const ROOT: Ino = 1;
/// In the backing folder: what is durable nowhere.
pub(crate) const HELD: &str = ".fault-fs";
/// More files and folders than this are refused.
pub(crate) const MAX_NODES: usize = 100_000;
/// The longest name of a file or folder.
pub(crate) const MAX_NAME: usize = 255;

/// Where a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) folder: Ino,
    pub(super) name: OsString,
}

/// What a node is besides its contents. None of it is lost in a crash: it is no more than the backing file's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attributes {
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) accessed: SystemTime,
    pub(crate) modified: SystemTime,
    pub(crate) changed: SystemTime,
}

#[derive(Debug, Default)]
pub(super) struct Folder {
    /// What shows.
    pub(super) entries: BTreeMap<OsString, Ino>,
    /// What is durable.
    pub(super) durable: BTreeMap<OsString, Ino>,
}

#[derive(Debug)]
pub(super) enum Kind {
    File(Content),
    Folder(Folder),
}

#[derive(Debug)]
pub(crate) struct Node {
    pub(super) kind: Kind,
    pub(super) shows_at: Option<Place>,
    pub(super) durable_at: Option<Place>,
    /// How often the kernel was told of it and has not forgotten it again.
    pub(super) lookups: u64,
    pub(crate) attributes: Attributes,
}

impl Node {
    pub(crate) fn is_folder(&self) -> bool {
        matches!(self.kind, Kind::Folder(_))
    }

    pub(crate) fn len(&self) -> u64 {
        match &self.kind {
            Kind::File(content) => content.len(),
            Kind::Folder(_) => 4096,
        }
    }
}

/// Everything on the disk.
#[derive(Debug)]
pub(crate) struct Tree {
    pub(super) backing: PathBuf,
    pub(super) nodes: BTreeMap<Ino, Node>,
    next: Ino,
}

pub(crate) type Outcome<T> = Result<T, Errno>;

pub(crate) fn errno(error: io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

impl Tree {
    /// What is in the backing folder, all of it durable. Numbers of nodes begin at `next`, so that none is given twice.
    ///
    /// # Errors
    /// Where the folder cannot be read, or holds what is neither file nor folder.
    pub(crate) fn load(backing: &Path, next: Ino) -> io::Result<Tree> {
        let mut tree = Tree { backing: backing.to_owned(), nodes: BTreeMap::new(), next: next.max(ROOT + 1) };
        let held = backing.join(HELD);
        match fs::remove_dir_all(&held) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => fs::create_dir(&held)?,
        }
        let folder = tree.load_folder(backing, ROOT)?;
        let attributes = Attributes::of(&fs::metadata(backing)?);
        let root = Node { kind: folder, shows_at: None, durable_at: None, lookups: 1, attributes };
        tree.nodes.insert(ROOT, root);
        Ok(tree)
    }

    /// A tree with nothing in it, in the place of one that is being taken apart.
    pub(crate) fn empty(like: &Tree) -> Tree {
        Tree { backing: like.backing.clone(), nodes: BTreeMap::new(), next: like.next }
    }

    /// Whether a sync of this file or folder would change anything.
    pub(crate) fn is_unsynced(&self, ino: Ino) -> bool {
        match self.nodes.get(&ino).map(|node| &node.kind) {
            Some(Kind::File(content)) => content.is_dirty(),
            Some(Kind::Folder(folder)) => folder.entries != folder.durable,
            None => false,
        }
    }

    /// The backing folder.
    pub(crate) fn backing(&self) -> &Path {
        &self.backing
    }

    fn load_folder(&mut self, path: &Path, ino: Ino) -> io::Result<Kind> {
        let mut folder = Folder::default();
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            let (name, path) = (entry.file_name(), entry.path());
            if ino == ROOT && name == HELD {
                continue;
            }
            let metadata = entry.metadata()?;
            let number = self.number().map_err(io::Error::from)?;
            let kind = if metadata.is_dir() {
                self.load_folder(&path, number)?
            } else if metadata.is_file() {
                let file = File::options().read(true).write(true).open(&path)?;
                Kind::File(Content::of(file)?)
            } else {
                let what = format!("{} is neither a file nor a folder", path.display());
                return Err(io::Error::new(io::ErrorKind::Unsupported, what));
            };
            let place = Some(Place { folder: ino, name: name.clone() });
            let attributes = Attributes::of(&metadata);
            let node = Node { kind, shows_at: place.clone(), durable_at: place, lookups: 0, attributes };
            self.nodes.insert(number, node);
            folder.entries.insert(name, number);
        }
        folder.durable = folder.entries.clone();
        Ok(Kind::Folder(folder))
    }

    fn number(&mut self) -> Outcome<Ino> {
        if self.nodes.len() >= MAX_NODES {
            return Err(Errno::ENOSPC);
        }
        self.next += 1;
        Ok(self.next - 1)
    }

    /// The number the next node will get.
    pub(crate) fn next(&self) -> Ino {
        self.next
    }

    /// A node; one from before a crash is no longer known.
    pub(crate) fn node(&self, ino: Ino) -> Outcome<&Node> {
        self.nodes.get(&ino).ok_or(Errno::ESTALE)
    }

    pub(crate) fn node_mut(&mut self, ino: Ino) -> Outcome<&mut Node> {
        self.nodes.get_mut(&ino).ok_or(Errno::ESTALE)
    }

    pub(super) fn folder(&self, ino: Ino) -> Outcome<&Folder> {
        match &self.node(ino)?.kind {
            Kind::Folder(folder) => Ok(folder),
            Kind::File(_) => Err(Errno::ENOTDIR),
        }
    }

    pub(super) fn folder_mut(&mut self, ino: Ino) -> Outcome<&mut Folder> {
        match &mut self.node_mut(ino)?.kind {
            Kind::Folder(folder) => Ok(folder),
            Kind::File(_) => Err(Errno::ENOTDIR),
        }
    }

    pub(crate) fn content(&self, ino: Ino) -> Outcome<&Content> {
        match &self.node(ino)?.kind {
            Kind::File(content) => Ok(content),
            Kind::Folder(_) => Err(Errno::EISDIR),
        }
    }

    /// To change what a file holds.
    pub(crate) fn content_mut(&mut self, ino: Ino) -> Outcome<&mut Content> {
        match &mut self.node_mut(ino)?.kind {
            Kind::File(content) => Ok(content),
            Kind::Folder(_) => Err(Errno::EISDIR),
        }
    }

    pub(crate) fn find(&self, folder: Ino, name: &OsStr) -> Outcome<Ino> {
        self.folder(folder)?.entries.get(name).copied().ok_or(Errno::ENOENT)
    }

    /// Names, numbers, and which are folders.
    pub(crate) fn list(&self, folder: Ino) -> Outcome<Vec<(OsString, Ino, bool)>> {
        let entries = self.folder(folder)?.entries.iter();
        entries.map(|(name, ino)| Ok((name.clone(), *ino, self.node(*ino)?.is_folder()))).collect()
    }

    /// The folder above, itself for the root.
    pub(crate) fn above(&self, ino: Ino) -> Ino {
        self.nodes.get(&ino).and_then(|node| node.shows_at.as_ref()).map_or(ROOT, |place| place.folder)
    }

    /// A new, empty file or folder.
    pub(crate) fn create(
        &mut self,
        folder: Ino,
        name: &OsStr,
        attributes: Attributes,
        is_folder: bool,
    ) -> Outcome<Ino> {
        self.may_hold(folder, name)?;
        if self.find(folder, name).is_ok() {
            return Err(Errno::EEXIST);
        }
        let ino = self.number()?;
        let path = self.held(ino);
        let kind = if is_folder {
            fs::create_dir(&path).map_err(errno)?;
            Kind::Folder(Folder::default())
        } else {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create_new(true).mode(attributes.mode & 0o7777 | 0o600);
            Kind::File(Content::of(options.open(&path).map_err(errno)?).map_err(errno)?)
        };
        let shows_at = Some(Place { folder, name: name.to_owned() });
        self.nodes.insert(ino, Node { kind, shows_at, durable_at: None, lookups: 0, attributes });
        self.folder_mut(folder)?.entries.insert(name.to_owned(), ino);
        self.touch(folder);
        Ok(ino)
    }

    fn may_hold(&self, folder: Ino, name: &OsStr) -> Outcome<()> {
        if name.len() > MAX_NAME {
            return Err(Errno::ENAMETOOLONG);
        }
        if folder == ROOT && name == HELD {
            return Err(Errno::EPERM);
        }
        // A folder that was removed while someone was in it takes nothing.
        let is_there = folder == ROOT || self.node(folder)?.shows_at.is_some();
        if is_there { Ok(()) } else { Err(Errno::ENOENT) }
    }

    /// Removes a name; what it named is gone when a crash can no longer bring it back and nobody has it open.
    pub(crate) fn remove(&mut self, folder: Ino, name: &OsStr, is_folder: bool) -> Outcome<()> {
        let ino = self.find(folder, name)?;
        match &self.node(ino)?.kind {
            Kind::File(_) if is_folder => return Err(Errno::ENOTDIR),
            Kind::Folder(_) if !is_folder => return Err(Errno::EISDIR),
            Kind::Folder(inside) if !inside.entries.is_empty() => return Err(Errno::ENOTEMPTY),
            _ => {}
        }
        self.folder_mut(folder)?.entries.remove(name);
        self.node_mut(ino)?.shows_at = None;
        self.touch(folder);
        self.reap(ino)
    }

    /// Gives a node another place. What was there is replaced.
    pub(crate) fn rename(
        &mut self,
        from: (Ino, &OsStr),
        to: (Ino, &OsStr),
        may_replace: bool,
    ) -> Outcome<()> {
        let ino = self.find(from.0, from.1)?;
        self.may_hold(to.0, to.1)?;
        if let Ok(replaced) = self.find(to.0, to.1) {
            if !may_replace {
                return Err(Errno::EEXIST);
            }
            if replaced == ino {
                return Ok(());
            }
            match (self.node(ino)?.is_folder(), self.node(replaced)?.is_folder()) {
                (true, false) => return Err(Errno::ENOTDIR),
                (false, true) => return Err(Errno::EISDIR),
                (_, is_folder) => self.remove(to.0, to.1, is_folder)?,
            }
        }
        self.folder_mut(from.0)?.entries.remove(from.1);
        self.folder_mut(to.0)?.entries.insert(to.1.to_owned(), ino);
        self.node_mut(ino)?.shows_at = Some(Place { folder: to.0, name: to.1.to_owned() });
        self.touch(from.0);
        self.touch(to.0);
        Ok(())
    }

    /// The kernel was told of this node once more.
    pub(crate) fn remember(&mut self, ino: Ino) {
        if let Some(node) = self.nodes.get_mut(&ino) {
            node.lookups = node.lookups.saturating_add(1);
        }
    }

    /// The kernel has forgotten it so often.
    pub(crate) fn forget(&mut self, ino: Ino, count: u64) -> Outcome<()> {
        let Some(node) = self.nodes.get_mut(&ino) else { return Ok(()) };
        node.lookups = node.lookups.saturating_sub(count);
        self.reap(ino)
    }

    /// Sets the permission bits, in the backing folder too.
    pub(crate) fn set_mode(&mut self, ino: Ino, mode: u32) -> Outcome<()> {
        let path = self.path(ino)?;
        let node = self.node_mut(ino)?;
        node.attributes.mode = mode & 0o7777;
        // We must be able to open it again after a crash.
        let needed = if node.is_folder() { 0o700 } else { 0o600 };
        let permissions = fs::Permissions::from_mode(mode & 0o7777 | needed);
        fs::set_permissions(path, permissions).map_err(errno)
    }

    fn touch(&mut self, ino: Ino) {
        if let Some(node) = self.nodes.get_mut(&ino) {
            node.attributes.modified = SystemTime::now();
            node.attributes.changed = node.attributes.modified;
        }
    }

    /// Where an object is that is durable nowhere.
    pub(super) fn held(&self, ino: Ino) -> PathBuf {
        self.backing.join(HELD).join(ino.to_string())
    }

    /// Where a node's object is in the backing folder.
    pub(super) fn path(&self, ino: Ino) -> Outcome<PathBuf> {
        let mut names = Vec::new();
        let (mut at, mut steps) = (ino, 0);
        let mut path = loop {
            if at == ROOT {
                break self.backing.clone();
            }
            match &self.node(at)?.durable_at {
                None => break self.held(at),
                Some(place) => {
                    names.push(place.name.as_os_str());
                    at = place.folder;
                }
            }
            steps += 1;
            if steps > MAX_NODES {
                return Err(Errno::ELOOP);
            }
        };
        path.extend(names.iter().rev());
        Ok(path)
    }
}

impl Attributes {
    /// Of something made now.
    pub(crate) fn new(mode: u32, uid: u32, gid: u32) -> Attributes {
        let now = SystemTime::now();
        Attributes { mode: mode & 0o7777, uid, gid, accessed: now, modified: now, changed: now }
    }

    fn of(metadata: &Metadata) -> Attributes {
        let time = |time: io::Result<SystemTime>| time.unwrap_or(SystemTime::UNIX_EPOCH);
        Attributes {
            mode: metadata.permissions().mode() & 0o7777,
            uid: metadata.uid(),
            gid: metadata.gid(),
            accessed: time(metadata.accessed()),
            modified: time(metadata.modified()),
            changed: time(metadata.modified()),
        }
    }
}

//! The kernel's requests, answered.
//!
//! Nothing is cached by the kernel beyond the pages of files that are open, and numbers of nodes are never given twice: after
//! a crash every name is looked up anew, so that no page from before shows.

use std::ffi::OsStr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fuser::{
    BsdFileFlags, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo,
    LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty,
    ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, Request, TimeOrNow, WriteFlags,
};
use nix::sys::statvfs::statvfs;

use super::state::{Disk, State};
use super::tree::{Attributes, Ino, MAX_NAME, Outcome};

/// How long the kernel may believe what it was told: not at all.
const TTL: Duration = Duration::ZERO;
const GENERATION: Generation = Generation(0);
/// `FALLOC_FL_KEEP_SIZE`.
const KEEP_SIZE: i32 = 1;

/// The mounted face of a [`Disk`].
#[derive(Debug)]
pub(super) struct FaultFs(pub(super) Arc<Disk>);

fn code(error: nix::errno::Errno) -> Errno {
    Errno::from_i32(error as i32)
}

impl State {
    fn attr(&self, ino: Ino) -> Outcome<FileAttr> {
        let node = self.tree.node(ino)?;
        let (kind, nlink) =
            if node.is_folder() { (FileType::Directory, 2) } else { (FileType::RegularFile, 1) };
        let Attributes { mode, uid, gid, accessed, modified, changed } = node.attributes;
        Ok(FileAttr {
            ino: INodeNo(ino),
            size: node.len(),
            blocks: node.len().div_ceil(512),
            atime: accessed,
            mtime: modified,
            ctime: changed,
            crtime: changed,
            kind,
            perm: mode as u16,
            nlink,
            uid,
            gid,
            rdev: 0,
            blksize: 4096,
            flags: 0,
        })
    }

    /// A node that the kernel will remember.
    fn entry(&mut self, ino: Ino) -> Outcome<FileAttr> {
        let attr = self.attr(ino)?;
        self.tree.remember(ino);
        Ok(attr)
    }

    fn set_attributes(&mut self, ino: Ino, wanted: Wanted) -> Outcome<FileAttr> {
        if let Some(size) = wanted.size {
            if size > self.tree.node(ino)?.len() {
                self.may_write()?;
            }
            self.tree.content_mut(ino)?.set_len(size);
        }
        if let Some(mode) = wanted.mode {
            self.tree.set_mode(ino, mode)?;
        }
        let attributes = &mut self.tree.node_mut(ino)?.attributes;
        let time = |wanted: TimeOrNow| match wanted {
            TimeOrNow::SpecificTime(time) => time,
            TimeOrNow::Now => SystemTime::now(),
        };
        attributes.uid = wanted.uid.unwrap_or(attributes.uid);
        attributes.gid = wanted.gid.unwrap_or(attributes.gid);
        attributes.accessed = wanted.accessed.map_or(attributes.accessed, time);
        attributes.modified = wanted.modified.map_or(attributes.modified, time);
        attributes.changed = SystemTime::now();
        self.attr(ino)
    }
}

/// What of a node is to change.
struct Wanted {
    mode: Option<u32>,
    uid: Option<u32>,
    gid: Option<u32>,
    size: Option<u64>,
    accessed: Option<TimeOrNow>,
    modified: Option<TimeOrNow>,
}

impl FaultFs {
    fn create_node(
        &self,
        req: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        is_folder: bool,
    ) -> Outcome<FileAttr> {
        let mut state = self.0.lock_to_change()?;
        state.may_write()?;
        let attributes = Attributes::new(mode, req.uid(), req.gid());
        let ino = state.tree.create(parent.0, name, attributes, is_folder)?;
        state.entry(ino)
    }

    fn remove_node(&self, parent: INodeNo, name: &OsStr, is_folder: bool, reply: ReplyEmpty) {
        let removed = self.0.lock_to_change();
        finish(removed.and_then(|mut state| state.tree.remove(parent.0, name, is_folder)), reply);
    }

    fn allocate(&self, ino: INodeNo, end: u64, mode: i32) -> Outcome<()> {
        let mut state = self.0.lock_to_change()?;
        match mode {
            0 => {
                state.may_write()?;
                let content = state.tree.content_mut(ino.0)?;
                content.set_len(content.len().max(end));
                Ok(())
            }
            KEEP_SIZE => state.may_write(),
            _ => Err(nix::errno::Errno::EOPNOTSUPP),
        }
    }

    fn sync_file(&self, ino: INodeNo, is_data_only: bool) -> Outcome<()> {
        let Some(mut state) = self.0.lock_to_sync(ino.0)? else { return Ok(()) };
        let file = state.tree.sync_file(ino.0)?;
        drop(state);
        // The real disk's time is part of what a server is measured by.
        let synced = if is_data_only { file.sync_data() } else { file.sync_all() };
        synced.map_err(super::tree::errno)
    }

    fn sync_folder(&self, ino: INodeNo) -> Outcome<()> {
        let Some(mut state) = self.0.lock_to_sync(ino.0)? else { return Ok(()) };
        state.tree.sync_folder(ino.0)?;
        let folder = state.tree.open_folder(ino.0)?;
        drop(state);
        folder.sync_all().map_err(super::tree::errno)
    }
}

fn finish(done: Outcome<()>, reply: ReplyEmpty) {
    match done {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(code(error)),
    }
}

fn finish_entry(found: Outcome<FileAttr>, reply: ReplyEntry) {
    match found {
        Ok(attr) => reply.entry(&TTL, &attr, GENERATION),
        Err(error) => reply.error(code(error)),
    }
}

fn finish_attr(found: Outcome<FileAttr>, reply: ReplyAttr) {
    match found {
        Ok(attr) => reply.attr(&TTL, &attr),
        Err(error) => reply.error(code(error)),
    }
}

impl Filesystem for FaultFs {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let mut state = self.0.lock();
        finish_entry(state.tree.find(parent.0, name).and_then(|ino| state.entry(ino)), reply);
    }

    fn forget(&self, _: &Request, ino: INodeNo, nlookup: u64) {
        // What cannot be removed now goes with the next crash or mount.
        let _ = self.0.lock().tree.forget(ino.0, nlookup);
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        finish_attr(self.0.lock().attr(ino.0), reply);
    }

    fn setattr(
        &self,
        _: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        accessed: Option<TimeOrNow>,
        modified: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let wanted = Wanted { mode, uid, gid, size, accessed, modified };
        let set = self.0.lock_to_change().and_then(|mut state| state.set_attributes(ino.0, wanted));
        finish_attr(set, reply);
    }

    fn mkdir(&self, req: &Request, parent: INodeNo, name: &OsStr, mode: u32, umask: u32, reply: ReplyEntry) {
        finish_entry(self.create_node(req, parent, name, mode & !umask, true), reply);
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        self.remove_node(parent, name, false, reply);
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        self.remove_node(parent, name, true, reply);
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        newparent: INodeNo,
        newname: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        if !RenameFlags::RENAME_NOREPLACE.contains(flags) {
            return reply.error(Errno::EINVAL);
        }
        let (from, to) = ((parent.0, name), (newparent.0, newname));
        let state = self.0.lock_to_change();
        finish(state.and_then(|mut state| state.tree.rename(from, to, flags.is_empty())), reply);
    }

    fn create(
        &self,
        req: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        _: i32,
        reply: ReplyCreate,
    ) {
        match self.create_node(req, parent, name, mode & !umask, false) {
            Ok(attr) => reply.created(&TTL, &attr, GENERATION, FileHandle(0), FopenFlags::empty()),
            Err(error) => reply.error(code(error)),
        }
    }

    fn read(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        match self.0.lock().read(ino.0, offset, size as usize) {
            Ok(bytes) => reply.data(&bytes),
            Err(error) => reply.error(code(error)),
        }
    }

    fn write(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        match self.0.lock_to_change().and_then(|mut state| state.write(ino.0, offset, data)) {
            Ok(()) => reply.written(data.len() as u32),
            Err(error) => reply.error(code(error)),
        }
    }

    fn fsync(&self, _: &Request, ino: INodeNo, _: FileHandle, is_data_only: bool, reply: ReplyEmpty) {
        finish(self.sync_file(ino, is_data_only), reply);
    }

    fn fsyncdir(&self, _: &Request, ino: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        finish(self.sync_folder(ino), reply);
    }

    fn fallocate(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        finish(self.allocate(ino, offset.saturating_add(length), mode), reply);
    }

    fn opendir(&self, _: &Request, ino: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        match self.0.lock().open_listing(ino.0) {
            Ok(handle) => reply.opened(FileHandle(handle), FopenFlags::empty()),
            Err(error) => reply.error(code(error)),
        }
    }

    fn readdir(&self, _: &Request, _: INodeNo, handle: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let state = self.0.lock();
        let listing = match state.listing(handle.0) {
            Ok(listing) => listing,
            Err(error) => return reply.error(code(error)),
        };
        let rest = listing.iter().zip(1..).skip(usize::try_from(offset).unwrap_or(usize::MAX));
        for ((name, ino, is_folder), next) in rest {
            let kind = if *is_folder { FileType::Directory } else { FileType::RegularFile };
            if reply.add(INodeNo(*ino), next, kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn releasedir(&self, _: &Request, _: INodeNo, handle: FileHandle, _: OpenFlags, reply: ReplyEmpty) {
        self.0.lock().close_listing(handle.0);
        reply.ok();
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        match statvfs(self.0.lock().tree.backing()) {
            Ok(real) => reply.statfs(
                real.blocks(),
                real.blocks_free(),
                real.blocks_available(),
                real.files(),
                real.files_free(),
                real.block_size() as u32,
                MAX_NAME as u32,
                real.fragment_size() as u32,
            ),
            Err(error) => reply.error(code(error)),
        }
    }
}

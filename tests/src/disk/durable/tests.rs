use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use super::super::tree::{Attributes, HELD};
use super::*;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn new(tree: &mut Tree, folder: Ino, name: &str, is_folder: bool) -> Ino {
    tree.create(folder, OsStr::new(name), Attributes::new(0o755, 0, 0), is_folder).unwrap()
}

fn rename(tree: &mut Tree, from: (Ino, &str), to: (Ino, &str)) {
    tree.rename((from.0, OsStr::new(from.1)), (to.0, OsStr::new(to.1)), true).unwrap();
}

fn remove(tree: &mut Tree, folder: Ino, name: &str, is_folder: bool) {
    tree.remove(folder, OsStr::new(name), is_folder).unwrap();
}

fn crash(tree: Tree, loss: Loss, seed: u64) -> (Tree, DiskCounts) {
    let mut counts = DiskCounts::default();
    (tree.crash(loss, &mut Draw::new(seed), &mut counts).unwrap(), counts)
}

/// Everything that shows, by path, with the contents of files.
fn shown(tree: &Tree) -> BTreeMap<String, Option<Vec<u8>>> {
    fn walk(tree: &Tree, ino: Ino, path: &str, all: &mut BTreeMap<String, Option<Vec<u8>>>) {
        for (name, inside, is_folder) in tree.list(ino).unwrap() {
            let path = format!("{path}/{}", name.to_str().unwrap());
            all.insert(
                path.clone(),
                (!is_folder).then(|| tree.content(inside).unwrap().read(0, 1 << 16).unwrap()),
            );
            if is_folder {
                walk(tree, inside, &path, all);
            }
        }
    }
    let mut all = BTreeMap::new();
    walk(tree, ROOT, "", &mut all);
    all
}

fn names(tree: &Tree) -> Vec<String> {
    shown(tree).into_keys().collect()
}

#[test]
fn a_new_file_s_name_is_lost_without_a_sync_of_its_folder_and_its_bytes_without_one_of_its_own() {
    for (sync_file, sync_folder, expected) in [
        (false, false, None),
        (true, false, None),
        (false, true, Some(Vec::new())),
        (true, true, Some(b"x".to_vec())),
    ] {
        let backing = tempfile::tempdir().unwrap();
        let mut tree = Tree::load(backing.path(), 0).unwrap();
        let file = new(&mut tree, ROOT, "f", false);
        tree.content_mut(file).unwrap().write(0, b"x").unwrap();
        if sync_file {
            tree.sync_file(file).unwrap();
        }
        if sync_folder {
            tree.sync_folder(ROOT).unwrap();
        }
        let (tree, counts) = crash(tree, Loss::Everything, 1);
        assert_eq!(shown(&tree).remove("/f"), expected.map(Some), "{sync_file} {sync_folder}");
        assert_eq!(counts.lost_entries, u64::from(!sync_folder));
    }
}

#[test]
fn what_was_removed_or_replaced_is_back_with_its_synced_bytes_until_the_folder_is_synced() {
    for is_synced in [false, true] {
        let backing = tempfile::tempdir().unwrap();
        for (name, bytes) in [("gone", "1"), ("old", "2"), ("new", "3")] {
            std::fs::write(backing.path().join(name), bytes).unwrap();
        }
        let mut tree = Tree::load(backing.path(), 0).unwrap();
        remove(&mut tree, ROOT, "gone", false);
        rename(&mut tree, (ROOT, "new"), (ROOT, "old"));
        let now = shown(&tree);
        if is_synced {
            tree.sync_folder(ROOT).unwrap();
        }
        let (tree, _) = crash(tree, Loss::Everything, 1);
        let before = ["/gone", "/new", "/old"].map(str::to_owned).to_vec();
        if is_synced {
            assert_eq!(shown(&tree), now);
        } else {
            assert_eq!(names(&tree), before);
            assert_eq!(shown(&tree)["/old"], Some(b"2".to_vec()));
        }
    }
}

#[test]
fn a_rename_between_folders_is_durable_with_either_and_never_by_halves() {
    for synced in ["/a", "/b", ""] {
        let backing = tempfile::tempdir().unwrap();
        std::fs::create_dir(backing.path().join("a")).unwrap();
        std::fs::create_dir(backing.path().join("b")).unwrap();
        std::fs::write(backing.path().join("a/f"), "x").unwrap();
        let mut tree = Tree::load(backing.path(), 0).unwrap();
        let [a, b] = ["a", "b"].map(|name| tree.find(ROOT, OsStr::new(name)).unwrap());
        rename(&mut tree, (a, "f"), (b, "f"));
        if let Some(folder) = [("/a", a), ("/b", b)].iter().find(|(name, _)| *name == synced) {
            tree.sync_folder(folder.1).unwrap();
        }
        let (tree, _) = crash(tree, Loss::Everything, 1);
        let file = if synced.is_empty() { "/a/f" } else { "/b/f" };
        let mut expected = ["/a", "/b", file].map(str::to_owned).to_vec();
        expected.sort();
        assert_eq!(names(&tree), expected, "synced {synced:?}");
    }
    for seed in 0..50 {
        let backing = tempfile::tempdir().unwrap();
        std::fs::write(backing.path().join("f"), "x").unwrap();
        let mut tree = Tree::load(backing.path(), 0).unwrap();
        rename(&mut tree, (ROOT, "f"), (ROOT, "g"));
        let (tree, _) = crash(tree, Loss::Some, seed);
        assert_eq!(names(&tree).len(), 1, "seed {seed}: {:?}", names(&tree));
    }
}

#[test]
fn two_files_that_changed_places_and_a_folder_moved_into_its_former_inside_become_durable() {
    let backing = tempfile::tempdir().unwrap();
    std::fs::write(backing.path().join("a"), "1").unwrap();
    std::fs::write(backing.path().join("b"), "2").unwrap();
    std::fs::create_dir_all(backing.path().join("x/y")).unwrap();
    let mut tree = Tree::load(backing.path(), 0).unwrap();
    for (from, to) in [("a", "t"), ("b", "a"), ("t", "b")] {
        rename(&mut tree, (ROOT, from), (ROOT, to));
    }
    let x = tree.find(ROOT, OsStr::new("x")).unwrap();
    let y = tree.find(x, OsStr::new("y")).unwrap();
    rename(&mut tree, (x, "y"), (ROOT, "y"));
    rename(&mut tree, (ROOT, "x"), (y, "x"));
    let now = shown(&tree);
    tree.sync_folder(y).unwrap();
    tree.sync_folder(ROOT).unwrap();
    let (tree, counts) = crash(tree, Loss::Everything, 1);
    assert_eq!(shown(&tree), now);
    assert_eq!(counts.lost_entries, 0);
}

#[test]
fn a_file_that_is_open_outlives_its_name_and_leaves_nothing_behind() {
    let backing = tempfile::tempdir().unwrap();
    let mut tree = Tree::load(backing.path(), 0).unwrap();
    let file = new(&mut tree, ROOT, "f", false);
    tree.remember(file);
    tree.content_mut(file).unwrap().write(0, b"x").unwrap();
    tree.sync_folder(ROOT).unwrap();
    remove(&mut tree, ROOT, "f", false);
    tree.sync_folder(ROOT).unwrap();
    assert_eq!(tree.content(file).unwrap().read(0, 9).unwrap(), b"x");
    tree.forget(file, 1).unwrap();
    assert!(tree.node(file).is_err());
    assert_eq!(std::fs::read_dir(backing.path().join(HELD)).unwrap().count(), 0);
}

/// One random change; what makes no sense is refused and changes nothing.
fn disturb(tree: &mut Tree, random: &mut ChaCha8Rng) {
    let folders = tree.folders();
    let alive: Vec<Ino> = folders
        .into_iter()
        .filter(|ino| *ino == ROOT || tree.node(*ino).unwrap().shows_at.is_some())
        .collect();
    let [folder, other] = [0; 2].map(|_| *alive.choose(random).unwrap());
    let [name, new_name] = [0; 2].map(|_| OsString::from(["a", "b", "c"].choose(random).unwrap()));
    let is_folder = random.random();
    // The kernel keeps a folder out of itself; there is no kernel here.
    let mut above = other;
    let found = tree.find(folder, &name);
    while above != ROOT && found != Ok(above) {
        above = tree.above(above);
    }
    let into_itself = found == Ok(above);
    let _ = match random.random_range(0..6) {
        0 | 1 => tree.create(folder, &name, Attributes::new(0o755, 0, 0), is_folder).map(|_| ()),
        2 => tree.remove(folder, &name, is_folder),
        3 | 4 if !into_itself => tree.rename((folder, &name), (other, &new_name), true),
        _ => found.and_then(|ino| {
            tree.content_mut(ino)?.write(random.random_range(0..900), b"some bytes").map_err(errno)
        }),
    };
}

#[test]
fn whatever_was_done_all_that_is_synced_in_any_order_survives_and_what_shows_is_never_disturbed() {
    for seed in 0..150 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let backing = tempfile::tempdir().unwrap();
        let mut tree = Tree::load(backing.path(), 0).unwrap();
        for step in 0..60 {
            disturb(&mut tree, &mut random);
            let now = shown(&tree);
            if random.random_range(0..4) == 0 {
                let folder = *tree.folders().choose(&mut random).unwrap();
                tree.sync_folder(folder).unwrap_or_else(|error| panic!("seed {seed}, step {step}: {error}"));
            }
            assert_eq!(shown(&tree), now, "seed {seed}, step {step}");
            if random.random_range(0..20) == 0 {
                let loss = *[Loss::Everything, Loss::Torn, Loss::Some].choose(&mut random).unwrap();
                tree = crash(tree, loss, seed).0;
                assert_eq!(on_disk(backing.path()), shown(&tree), "seed {seed}, step {step}");
            }
        }
        let now = shown(&tree);
        tree.sync_all().unwrap();
        let (tree, counts) = crash(tree, Loss::Everything, seed);
        assert_eq!(shown(&tree), now, "seed {seed}");
        assert_eq!((counts.lost_bytes, counts.lost_entries), (0, 0), "seed {seed}");
    }
}

fn on_disk(backing: &Path) -> BTreeMap<String, Option<Vec<u8>>> {
    fn walk(path: &Path, shown: &str, all: &mut BTreeMap<String, Option<Vec<u8>>>) {
        for entry in std::fs::read_dir(path).unwrap().map(Result::unwrap) {
            let name = entry.file_name().into_string().unwrap();
            if name == HELD {
                continue;
            }
            let shown = format!("{shown}/{name}");
            let bytes = entry.path().is_file().then(|| std::fs::read(entry.path()).unwrap());
            if bytes.is_none() {
                walk(&entry.path(), &shown, all);
            }
            all.insert(shown, bytes);
        }
    }
    let mut all = BTreeMap::new();
    walk(backing, "", &mut all);
    all
}

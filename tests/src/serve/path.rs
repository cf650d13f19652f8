//! From a request's path to a file of the store, and never out of it.

use std::path::{Component, Path, PathBuf};

use super::Site;

/// Longer paths are not ours.
const LONGEST: usize = 4096;

impl Site {
    /// The file or folder that a path below `/files/` means, if it lies in the store.
    pub(super) fn resolve(&self, path: &str) -> Option<PathBuf> {
        let path = decode(path)?;
        let relative = Path::new(path.trim_end_matches('/'));
        let plain = |part: Component<'_>| match part {
            // What is hidden is nobody's business.
            Component::Normal(name) => !name.to_str().is_none_or(|name| name.starts_with('.')),
            _ => false,
        };
        if !relative.components().all(plain) {
            return None;
        }
        // A link may lead anywhere: what counts is where it ends.
        let real = self.root.join(relative).canonicalize().ok()?;
        real.starts_with(&self.root).then_some(real)
    }
}

/// Percent signs undone. Nothing, if that is no text, or holds what no path of ours does.
fn decode(path: &str) -> Option<String> {
    if path.len() > LONGEST {
        return None;
    }
    let mut bytes = path.bytes();
    let mut out = Vec::with_capacity(path.len());
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                let (high, low) = (digit(bytes.next()?)?, digit(bytes.next()?)?);
                u8::try_from(high * 16 + low).ok()?
            }
            byte => byte,
        });
    }
    let text = String::from_utf8(out).ok()?;
    let odd = |letter: char| letter.is_control() || letter == '\\';
    (!text.contains(odd)).then_some(text)
}

/// A name as a part of a link.
pub(super) fn encode(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A store beside a secret.
    fn store() -> (tempfile::TempDir, Site) {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("store");
        std::fs::create_dir_all(store.join("kv/one/nodes")).unwrap();
        std::fs::create_dir_all(folder.path().join("store-of-another")).unwrap();
        for file in [
            "secret",
            "store/kv/one/report.html",
            "store/kv/one/a b%.txt",
            "store/.hidden",
            "store-of-another/x",
        ] {
            std::fs::write(folder.path().join(file), file).unwrap();
        }
        let link = |to: &str, at: &str| std::os::unix::fs::symlink(to, store.join(at)).unwrap();
        link("one", "kv/latest");
        link("../secret", "out");
        link("/", "root");
        link("../store-of-another", "beside");
        let site = Site::new(&store).unwrap();
        (folder, site)
    }

    #[test]
    fn what_lies_in_the_store_is_found() {
        let (_folder, site) = store();
        for path in
            ["", "kv/one/report.html", "kv/latest/report.html", "kv/one/", "kv/%6fne", "kv/one/a%20b%25.txt"]
        {
            assert!(site.resolve(path).is_some(), "{path}");
        }
        let name = "a b%.txt";
        assert!(site.resolve(&format!("kv/one/{}", encode(name))).is_some());
    }

    #[test]
    fn no_path_leads_out_of_the_store() {
        let (_folder, site) = store();
        for path in [
            "..",
            "../secret",
            "kv/../../secret",
            "%2e%2e/secret",
            "%2e%2e%2fsecret",
            "..%2fsecret",
            "kv/..%2f..%2fsecret",
            "%252e%252e/secret",
            "/etc/passwd",
            "%2fetc%2fpasswd",
            "//etc/passwd",
            "kv//../../secret",
            "..\\secret",
            "..%5csecret",
            "out",
            "root/etc/passwd",
            "beside/x",
            ".hidden",
            "kv/./one/%00",
            "kv/one/%",
            "kv/one/%f",
            "kv/one/%zz",
            "%ff%fe",
            "kv/none",
        ] {
            assert_eq!(site.resolve(path), None, "{path}");
        }
        assert_eq!(site.resolve(&"a/".repeat(4096)), None);
    }
}

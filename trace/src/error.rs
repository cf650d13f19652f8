//! What is wrong with a trace.

use crate::frame::{MAX_FRAME_BYTES, VERSION};

/// Why a trace cannot be read, and where.
#[derive(Debug, thiserror::Error)]
#[error("record {record} (byte {offset}): {wrong}")]
pub struct ReadError {
    /// The record's number, counted from 1 over the whole file: the first one that cannot be read.
    pub record: u64,
    /// Where in the file its frame, or its life, begins.
    pub offset: u64,
    /// What is wrong.
    pub wrong: Wrong,
}

/// What is wrong with a record.
#[derive(Debug, thiserror::Error)]
pub enum Wrong {
    /// The file cannot be read.
    #[error("cannot read: {0}")]
    Io(#[from] std::io::Error),
    /// The file does not begin like a trace.
    #[error("this is no trace")]
    NotATrace,
    /// Written by another version of the format.
    #[error("written in version {found} of the format, where this build reads {VERSION}")]
    Version {
        /// That version.
        found: u32,
    },
    /// A frame's head is not as it was written, and no crash explains it.
    #[error(
        "damaged: there is no frame here (no crash leaves this, and none has more than {MAX_FRAME_BYTES} bytes)"
    )]
    Head,
    /// A frame's content is not as it was written, and no crash explains it.
    #[error("damaged: the frame of {bytes} bytes is all there and differs from what was written")]
    Content {
        /// Its length.
        bytes: usize,
    },
    /// The checksums are right and the content is not.
    #[error("not a record: {0}")]
    Malformed(postcard::Error),
    /// A record where there can be none of its kind.
    #[error("{found} where there can be none: {why}")]
    OutOfPlace {
        /// Its kind.
        found: &'static str,
        /// Why not.
        why: &'static str,
    },
}

//! The control file, mapped into memory.
//!
//! | Bytes | What |
//! |---|---|
//! | 0..8 | [`MAGIC`] |
//! | 8..16 | how often it was changed; its lowest bit says which of the two settings holds |
//! | 16..56, 56..96 | the two settings, five numbers each: [`Setting`] |
//! | 96..104 | how many answers differed from the truth, counted by all programs that use the file |
//!
//! All numbers have 64 bits, in the machine's order. The writer fills in the setting that does not hold and then counts on.

use std::ffi::CStr;
use std::ptr;
use std::sync::atomic::{AtomicI64, AtomicPtr, AtomicU64, Ordering, fence};

/// The environment variable that names the file.
const NAME: &CStr = c"PLUMBLINE_CLOCK";
/// What the file begins with.
const MAGIC: u64 = 0x504c_434c_4f43_4b01;
/// How much of the file is mapped: its whole page.
const MAPPED: usize = 4096;
/// How often a setting is read anew because it was changed meanwhile; then the one read last has to do.
const TRIES: usize = 100;
/// How a process ends that was to see other clocks and cannot.
const EXIT_UNUSABLE: i32 = 127;

const MILLION: i128 = 1_000_000;

#[repr(C)]
struct File {
    magic: AtomicU64,
    turn: AtomicU64,
    settings: [[AtomicI64; 5]; 2],
    altered: AtomicU64,
}

static FILE: AtomicPtr<File> = AtomicPtr::new(ptr::null_mut());
/// There is no file: nobody wants other clocks.
static ABSENT: AtomicU64 = AtomicU64::new(0);

/// What is told of the clocks. Times and offsets in nanoseconds, drifts in millionths; the anchor is a time of the real
/// monotonic clock, at which the offsets hold.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Setting {
    anchor: i64,
    monotonic_offset: i64,
    monotonic_drift: i64,
    real_offset: i64,
    real_drift: i64,
}

impl Setting {
    /// What is added to a monotonic clock when the real one shows `now`.
    pub(crate) fn monotonic_ahead(&self, now: i64) -> i64 {
        self.ahead(self.monotonic_offset, self.monotonic_drift, now)
    }

    /// The same for the clock that people read.
    pub(crate) fn real_ahead(&self, now: i64) -> i64 {
        self.ahead(self.real_offset, self.real_drift, now)
    }

    fn ahead(&self, offset: i64, drift: i64, now: i64) -> i64 {
        let drifted = (i128::from(now) - i128::from(self.anchor)) * i128::from(drift) / MILLION;
        narrow(i128::from(offset) + drifted)
    }

    /// When it really is, by the monotonic clock, what is told as `told`.
    pub(crate) fn monotonic_truth(&self, told: i64) -> i64 {
        let since = i128::from(told) - i128::from(self.anchor) - i128::from(self.monotonic_offset);
        let rate = (MILLION + i128::from(self.monotonic_drift)).max(1);
        narrow(i128::from(self.anchor) + since * MILLION / rate)
    }

    /// How long it really is until a program that measures with the monotonic clock sees `told` go by; rounded up.
    pub(crate) fn true_length(&self, told: i64) -> i64 {
        let rate = (MILLION + i128::from(self.monotonic_drift)).max(1);
        narrow((i128::from(told) * MILLION + rate - 1) / rate)
    }

    /// Whether everything is told as it is.
    pub(crate) fn is_true(&self) -> bool {
        let Setting { anchor: _, monotonic_offset, monotonic_drift, real_offset, real_drift } = *self;
        (monotonic_offset, monotonic_drift, real_offset, real_drift) == (0, 0, 0, 0)
    }
}

fn narrow(wide: i128) -> i64 {
    i64::try_from(wide).unwrap_or(if wide < 0 { i64::MIN } else { i64::MAX })
}

/// What holds now.
pub(crate) fn setting() -> Setting {
    let Some(file) = file() else { return Setting::default() };
    let mut read = Setting::default();
    for _ in 0..TRIES {
        let turn = file.turn.load(Ordering::Acquire);
        let [one, two] = &file.settings;
        let [anchor, monotonic_offset, monotonic_drift, real_offset, real_drift] =
            (if turn & 1 == 0 { one } else { two }).each_ref().map(|number| number.load(Ordering::Relaxed));
        read = Setting { anchor, monotonic_offset, monotonic_drift, real_offset, real_drift };
        fence(Ordering::Acquire);
        if file.turn.load(Ordering::Relaxed) == turn {
            break;
        }
    }
    read
}

/// An answer differed from the truth.
pub(crate) fn count_altered() {
    if let Some(file) = file() {
        file.altered.fetch_add(1, Ordering::Relaxed);
    }
}

fn file() -> Option<&'static File> {
    let known = FILE.load(Ordering::Acquire);
    if known.is_null() {
        return if ABSENT.load(Ordering::Relaxed) == 0 { open() } else { None };
    }
    // SAFETY: what is stored in `FILE` was mapped by `open`, is as large as a `File`, aligned to a page, and never unmapped.
    // All its fields are atomic, so that writes by other processes are no data races.
    Some(unsafe { &*known })
}

#[cold]
fn open() -> Option<&'static File> {
    // SAFETY: `NAME` ends with a zero. Programs that change their environment in one thread while another reads the time for
    // the first time would be wrong without us, too; the runtime reads the time long before that.
    let path = unsafe { libc::getenv(NAME.as_ptr()) };
    if path.is_null() {
        ABSENT.store(1, Ordering::Relaxed);
        return None;
    }
    // SAFETY: `path` ends with a zero, as it comes from `getenv`.
    let descriptor = unsafe { libc::open(path, libc::O_RDWR | libc::O_CLOEXEC) };
    if descriptor < 0 {
        unusable();
    }
    let (access, sharing) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED);
    // SAFETY: a new mapping at an address that the kernel chooses; nothing of ours is replaced.
    let mapped = unsafe { libc::mmap(ptr::null_mut(), MAPPED, access, sharing, descriptor, 0) };
    // SAFETY: zeroed bytes are a valid `stat`, which `fstat` fills in; the descriptor is open.
    let length = unsafe {
        let mut about: libc::stat = std::mem::zeroed();
        if libc::fstat(descriptor, &raw mut about) == 0 { about.st_size } else { 0 }
    };
    // SAFETY: the descriptor is ours; the mapping does not need it.
    unsafe { libc::close(descriptor) };
    if mapped == libc::MAP_FAILED || usize::try_from(length).unwrap_or(0) < size_of::<File>() {
        unusable();
    }
    let mapped = mapped.cast::<File>();
    // SAFETY: it was mapped just now, readable, is as long as a `File`, as the file is, and aligned to a page.
    let opened = unsafe { &*mapped };
    if opened.magic.load(Ordering::Relaxed) != MAGIC {
        unusable();
    }
    // Two threads may come here at once: each maps the file, the first one's mapping is used, the other's is just there.
    match FILE.compare_exchange(ptr::null_mut(), mapped, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => Some(opened),
        // SAFETY: as in `file`.
        Err(first) => Some(unsafe { &*first }),
    }
}

/// A fault that was asked for and cannot be had must not look like one that was survived.
fn unusable() -> ! {
    let why = b"clock-shim: the file that PLUMBLINE_CLOCK names is not a clock's control file, or cannot be mapped\n";
    // SAFETY: the bytes are there, as many as is said.
    unsafe { libc::write(libc::STDERR_FILENO, why.as_ptr().cast(), why.len()) };
    // SAFETY: it does not return and runs nothing of the program's.
    unsafe { libc::_exit(EXIT_UNUSABLE) }
}

//! Wait until, and wait for: what a program wants in its own time, in the kernel's.

use std::ffi::{c_int, c_long, c_void};

use libc::{clockid_t, epoll_event, sigset_t, timespec};

use crate::answers::{nanoseconds, timespec_of};
use crate::control::setting;
use crate::next::Next;

static SYSCALL: Next = Next::new(c"syscall");
static EPOLL_WAIT: Next = Next::new(c"epoll_wait");
static EPOLL_PWAIT: Next = Next::new(c"epoll_pwait");
static NANOSLEEP: Next = Next::new(c"nanosleep");
static CLOCK_NANOSLEEP: Next = Next::new(c"clock_nanosleep");

const MILLISECOND: i64 = 1_000_000;

/// A number of milliseconds in the program's time; none and forever stay so, and nothing becomes a busy loop.
fn milliseconds(told: c_int) -> c_int {
    if told <= 0 {
        return told;
    }
    let real = setting().true_length(i64::from(told) * MILLISECOND);
    c_int::try_from(real.saturating_add(MILLISECOND - 1) / MILLISECOND).unwrap_or(c_int::MAX)
}

/// What the kernel is to be told instead of a time limit of a futex, if anything.
///
/// # Safety
/// `limit` must be null or point to a `timespec`.
unsafe fn futex_limit(operation: c_int, limit: *const timespec) -> Option<timespec> {
    let now = setting();
    if limit.is_null() || now.is_true() {
        return None;
    }
    // SAFETY: it is not null, and the caller says that it points to one.
    let told = nanoseconds(unsafe { limit.read() });
    match operation & !(libc::FUTEX_PRIVATE_FLAG | libc::FUTEX_CLOCK_REALTIME) {
        libc::FUTEX_WAIT => Some(timespec_of(now.true_length(told))),
        // Rust's standard library waits in this way.
        libc::FUTEX_WAIT_BITSET if operation & libc::FUTEX_CLOCK_REALTIME == 0 => {
            Some(timespec_of(now.monotonic_truth(told).max(0)))
        }
        _ => None,
    }
}

/// See `syscall(2)`. Only futexes are of interest. Arguments that a call does not have are passed on as they are found, as the
/// C library does, too.
///
/// # Safety
/// As there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn syscall(
    number: c_long,
    a: c_long,
    b: c_long,
    c: c_long,
    mut d: c_long,
    e: c_long,
    f: c_long,
) -> c_long {
    type Function = unsafe extern "C" fn(c_long, c_long, c_long, c_long, c_long, c_long, c_long) -> c_long;
    let mut limit = None;
    if number == libc::SYS_futex {
        let operation = b as c_int;
        if matches!(
            operation & !(libc::FUTEX_PRIVATE_FLAG | libc::FUTEX_CLOCK_REALTIME),
            libc::FUTEX_WAIT | libc::FUTEX_WAIT_BITSET
        ) {
            // SAFETY: for these operations the fourth argument is the time limit, or null.
            limit = unsafe { futex_limit(operation, d as *const timespec) };
        }
    }
    if let Some(limit) = &limit {
        d = std::ptr::from_ref(limit) as c_long;
    }
    // SAFETY: `syscall` takes its arguments in registers, as a function with seven of them does, on the machines that Linux
    // and Rust share. What is passed on is what the caller gave, or a limit that lives until the call returns.
    unsafe { SYSCALL.get::<Function>()(number, a, b, c, d, e, f) }
}

/// See `epoll_wait(2)`.
///
/// # Safety
/// As there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn epoll_wait(
    epoll: c_int,
    events: *mut epoll_event,
    most: c_int,
    limit: c_int,
) -> c_int {
    type Function = unsafe extern "C" fn(c_int, *mut epoll_event, c_int, c_int) -> c_int;
    // SAFETY: this is the type of `epoll_wait`; the caller's arguments are passed on, and a number.
    unsafe { EPOLL_WAIT.get::<Function>()(epoll, events, most, milliseconds(limit)) }
}

/// See `epoll_pwait(2)`.
///
/// # Safety
/// As there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn epoll_pwait(
    epoll: c_int,
    events: *mut epoll_event,
    most: c_int,
    limit: c_int,
    signals: *const sigset_t,
) -> c_int {
    type Function = unsafe extern "C" fn(c_int, *mut epoll_event, c_int, c_int, *const sigset_t) -> c_int;
    // SAFETY: this is the type of `epoll_pwait`; the caller's arguments are passed on, and a number.
    unsafe { EPOLL_PWAIT.get::<Function>()(epoll, events, most, milliseconds(limit), signals) }
}

/// See `nanosleep(2)`. What is left of a sleep that was interrupted is told in real time.
///
/// # Safety
/// As there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nanosleep(length: *const timespec, left: *mut timespec) -> c_int {
    type Function = unsafe extern "C" fn(*const timespec, *mut timespec) -> c_int;
    let now = setting();
    // SAFETY: this is the type of `nanosleep`.
    let next = unsafe { NANOSLEEP.get::<Function>() };
    if length.is_null() || now.is_true() {
        // SAFETY: the caller's arguments are passed on.
        return unsafe { next(length, left) };
    }
    // SAFETY: it is not null, and the caller says that it points to a length.
    let real = timespec_of(now.true_length(nanoseconds(unsafe { length.read() })));
    // SAFETY: `real` lives until the call returns; `left` is the caller's.
    unsafe { next(&raw const real, left) }
}

/// See `clock_nanosleep(2)`. What is left of a sleep that was interrupted is told in real time.
///
/// # Safety
/// As there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clock_nanosleep(
    clock: clockid_t,
    flags: c_int,
    limit: *const timespec,
    left: *mut c_void,
) -> c_int {
    type Function = unsafe extern "C" fn(clockid_t, c_int, *const timespec, *mut c_void) -> c_int;
    let now = setting();
    // SAFETY: this is the type of `clock_nanosleep`.
    let next = unsafe { CLOCK_NANOSLEEP.get::<Function>() };
    let is_absolute = flags & libc::TIMER_ABSTIME != 0;
    if limit.is_null() || now.is_true() || (is_absolute && clock != libc::CLOCK_MONOTONIC) {
        // SAFETY: the caller's arguments are passed on.
        return unsafe { next(clock, flags, limit, left) };
    }
    // SAFETY: it is not null, and the caller says that it points to a time.
    let told = nanoseconds(unsafe { limit.read() });
    let real = if is_absolute { now.monotonic_truth(told).max(0) } else { now.true_length(told) };
    let real = timespec_of(real);
    // SAFETY: `real` lives until the call returns; `left` is the caller's.
    unsafe { next(clock, flags, &raw const real, left) }
}

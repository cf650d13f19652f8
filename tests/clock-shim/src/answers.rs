//! What time is it?

use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicI64, Ordering};

use libc::{clockid_t, time_t, timespec, timeval};

use crate::control::{count_altered, setting};
use crate::next::Next;

const SECOND: i64 = 1_000_000_000;

static CLOCK_GETTIME: Next = Next::new(c"clock_gettime");

/// The latest that was told of each clock, by its number: monotonic ones do not go back.
static LATEST: [AtomicI64; 16] = [const { AtomicI64::new(i64::MIN) }; 16];

/// What a clock really shows.
pub(crate) fn truth(clock: clockid_t) -> Result<i64, c_int> {
    type Function = unsafe extern "C" fn(clockid_t, *mut timespec) -> c_int;
    // SAFETY: this is the type of `clock_gettime`.
    let next = unsafe { CLOCK_GETTIME.get::<Function>() };
    let mut time = timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` may be written.
    match unsafe { next(clock, &raw mut time) } {
        0 => Ok(nanoseconds(time)),
        error => Err(error),
    }
}

pub(crate) fn nanoseconds(time: timespec) -> i64 {
    time.tv_sec.saturating_mul(SECOND).saturating_add(time.tv_nsec)
}

pub(crate) fn timespec_of(nanoseconds: i64) -> timespec {
    timespec { tv_sec: nanoseconds.div_euclid(SECOND), tv_nsec: nanoseconds.rem_euclid(SECOND) }
}

/// What a program is told about a clock.
fn told(clock: clockid_t) -> Result<i64, c_int> {
    let time = truth(clock)?;
    let ahead = match clock {
        libc::CLOCK_MONOTONIC => setting().monotonic_ahead(time),
        libc::CLOCK_MONOTONIC_RAW | libc::CLOCK_MONOTONIC_COARSE | libc::CLOCK_BOOTTIME => {
            setting().monotonic_ahead(truth(libc::CLOCK_MONOTONIC)?)
        }
        libc::CLOCK_REALTIME | libc::CLOCK_REALTIME_COARSE | libc::CLOCK_TAI => {
            setting().real_ahead(truth(libc::CLOCK_MONOTONIC)?)
        }
        // How long a process or thread has computed.
        _ => return Ok(time),
    };
    if ahead != 0 {
        count_altered();
    }
    let time = time.saturating_add(ahead);
    let is_real = matches!(clock, libc::CLOCK_REALTIME | libc::CLOCK_REALTIME_COARSE | libc::CLOCK_TAI);
    match usize::try_from(clock).ok().and_then(|number| LATEST.get(number)).filter(|_| !is_real) {
        Some(latest) => Ok(latest.fetch_max(time, Ordering::Relaxed).max(time)),
        None => Ok(time),
    }
}

/// See `clock_gettime(2)`.
///
/// # Safety
/// As there: `time` must be null or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clock_gettime(clock: clockid_t, time: *mut timespec) -> c_int {
    match told(clock) {
        Ok(now) => {
            if !time.is_null() {
                // SAFETY: it is not null, and the caller lets us write it.
                unsafe { time.write(timespec_of(now)) };
            }
            0
        }
        // The next library has set `errno`.
        Err(error) => error,
    }
}

/// See `gettimeofday(2)`. The time zone, which nobody uses, is left alone.
///
/// # Safety
/// As there: `time` must be null or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gettimeofday(time: *mut timeval, _zone: *mut c_void) -> c_int {
    match told(libc::CLOCK_REALTIME) {
        Ok(now) => {
            let now = timespec_of(now);
            if !time.is_null() {
                // SAFETY: it is not null, and the caller lets us write it.
                unsafe { time.write(timeval { tv_sec: now.tv_sec, tv_usec: now.tv_nsec / 1_000 }) };
            }
            0
        }
        Err(error) => error,
    }
}

/// See `time(2)`.
///
/// # Safety
/// As there: `time` must be null or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn time(time: *mut time_t) -> time_t {
    let now = told(libc::CLOCK_REALTIME).map_or(-1, |now| timespec_of(now).tv_sec);
    if !time.is_null() {
        // SAFETY: it is not null, and the caller lets us write it.
        unsafe { time.write(now) };
    }
    now
}

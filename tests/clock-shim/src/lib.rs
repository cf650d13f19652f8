//! A library to preload (`LD_PRELOAD`), through which a process sees its clocks jump and drift.
//!
//! It stands in for what a program asks the C library about time, and changes the answers by what the file that
//! `PLUMBLINE_CLOCK` names says at that moment (see [`control`]). The harness writes that file while the program runs.
//!
//! ```text
//!   clock_gettime, gettimeofday, time          told time  = real time + offset + drift × (real time since the anchor)
//!   futex waits and clock_nanosleep until …    real time  ← told time, the other way round
//!   epoll_wait, nanosleep, futex waits for …   real length ← told length, by the drift
//! ```
//!
//! The second and third lines are not a luxury: Rust's standard library waits on futexes *until* a monotonic time that it has
//! computed from the clock it was told. Where only the clock is faked and the wait is not, a jump by ten seconds makes the
//! next timed wait ten seconds too long.
//!
//! Monotonic clocks are never told to go backwards, whatever the file says. A wait that is under way when a clock jumps is not
//! woken. Not covered: programs that ask the kernel past the C library (Go), `poll`, `select`, timerfds, and condition
//! variables of the C library with a time limit.
//!
//! Nothing here may allocate, lock or panic: it runs in other programs' signal handlers and before their `main`.

mod answers;
mod control;
mod next;
mod waits;

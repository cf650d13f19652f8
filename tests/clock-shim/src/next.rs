//! The functions that this library stands in for, as the next library has them.

use std::ffi::{CStr, c_void};
use std::mem::transmute_copy;
use std::sync::atomic::{AtomicPtr, Ordering};

/// A function of the next library, looked up once.
pub(crate) struct Next {
    name: &'static CStr,
    found: AtomicPtr<c_void>,
}

impl Next {
    pub(crate) const fn new(name: &'static CStr) -> Next {
        Next { name, found: AtomicPtr::new(std::ptr::null_mut()) }
    }

    /// The function itself.
    ///
    /// # Safety
    /// `F` must be the type of a pointer to a function, and be that of the function of this name.
    pub(crate) unsafe fn get<F: Copy>(&self) -> F {
        const { assert!(size_of::<F>() == size_of::<*mut c_void>()) };
        let mut found = self.found.load(Ordering::Relaxed);
        if found.is_null() {
            // SAFETY: the name ends with a zero.
            found = unsafe { libc::dlsym(libc::RTLD_NEXT, self.name.as_ptr()) };
            if found.is_null() {
                // There is no C library without it, and no answer that would be right.
                // SAFETY: it does not return.
                unsafe { libc::abort() };
            }
            self.found.store(found, Ordering::Relaxed);
        }
        // SAFETY: it is not null, has the size of a pointer to a function, and the caller vouches for the type.
        unsafe { transmute_copy(&found) }
    }
}

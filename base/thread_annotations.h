#pragma once

// Clang's thread-safety attributes under names that say what they promise; nothing on gcc.
// Clang's -Wthread-safety then proves at compile time that a guarded field is only touched with its
// lock held.

#if defined(__clang__)
#define GORT_THREAD_ATTRIBUTE(x) __attribute__((x))
#else
#define GORT_THREAD_ATTRIBUTE(x)
#endif

#define GORT_CAPABILITY(name) GORT_THREAD_ATTRIBUTE(capability(name))
#define GORT_SCOPED_CAPABILITY GORT_THREAD_ATTRIBUTE(scoped_lockable)
#define GORT_GUARDED_BY(lock) GORT_THREAD_ATTRIBUTE(guarded_by(lock))
#define GORT_PT_GUARDED_BY(lock) GORT_THREAD_ATTRIBUTE(pt_guarded_by(lock))
#define GORT_REQUIRES(...) GORT_THREAD_ATTRIBUTE(requires_capability(__VA_ARGS__))
#define GORT_EXCLUDES(...) GORT_THREAD_ATTRIBUTE(locks_excluded(__VA_ARGS__))
#define GORT_ACQUIRE(...) GORT_THREAD_ATTRIBUTE(acquire_capability(__VA_ARGS__))
#define GORT_TRY_ACQUIRE(...) GORT_THREAD_ATTRIBUTE(try_acquire_capability(__VA_ARGS__))
#define GORT_RELEASE(...) GORT_THREAD_ATTRIBUTE(release_capability(__VA_ARGS__))
#define GORT_RETURN_CAPABILITY(x) GORT_THREAD_ATTRIBUTE(lock_returned(x))
#define GORT_ASSERT_CAPABILITY(x) GORT_THREAD_ATTRIBUTE(assert_capability(x))
#define GORT_NO_THREAD_SAFETY_ANALYSIS GORT_THREAD_ATTRIBUTE(no_thread_safety_analysis)

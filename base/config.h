#pragma once

// What the compiler and the build tell every room. No types, no functions.

#if defined(__SANITIZE_ADDRESS__)
#define GORT_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define GORT_ASAN 1
#endif
#endif
#ifndef GORT_ASAN
#define GORT_ASAN 0
#endif

#if defined(__SANITIZE_THREAD__)
#define GORT_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define GORT_TSAN 1
#endif
#endif
#ifndef GORT_TSAN
#define GORT_TSAN 0
#endif

#define GORT_ALWAYS_INLINE inline __attribute__((always_inline))
#define GORT_NOINLINE __attribute__((noinline))
#define GORT_COLD __attribute__((noinline, cold))
#define GORT_LIKELY(x) __builtin_expect(static_cast<bool>(x), 1)
#define GORT_UNLIKELY(x) __builtin_expect(static_cast<bool>(x), 0)

/// Marks what other files refer to, an embedder's included. A shared libgort exports it. In a
/// static one, which may become part of somebody else's shared object, it is hidden like the rest,
/// and variables are reached directly and not by way of a table of addresses.
#ifdef GORT_SHARED
#define GORT_API __attribute__((visibility("default")))
#else
#define GORT_API __attribute__((visibility("hidden")))
#endif

/// For code that reads stacks conservatively: it looks at red zones and at other threads' words on
/// purpose, so neither sanitizer may instrument it.
#define GORT_NO_SANITIZE __attribute__((no_sanitize("address", "thread", "undefined")))

/// Thread-local storage reached by one segment-relative load. Without the attribute a position-
/// independent build calls __tls_get_addr on every allocation.
#define GORT_TLS __attribute__((tls_model("initial-exec"))) thread_local

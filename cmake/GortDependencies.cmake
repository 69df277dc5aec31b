# What the library needs, found once. All of it is in Debian 12; `./dev build` installs it.
#
# libunwind is not here on purpose: its shared library exports _Unwind_RaiseException and the rest of
# that family, so linking it would put another exception unwinder into every embedding program.

find_package(fmt REQUIRED)
set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)

# Header only: the hash of long strings.
find_path(GORT_XXHASH_INCLUDE xxhash.h)
mark_as_advanced(GORT_XXHASH_INCLUDE)
if(NOT GORT_XXHASH_INCLUDE)
  message(FATAL_ERROR "gort: xxhash.h not found (Debian: apt-get install libxxhash-dev)")
endif()

# mimalloc holds the runtime's own memory. base/metadata.cpp opens it by its soname when the runtime
# starts; here we only learn that name, and fail now rather than then when it is not installed.
set(GORT_MIMALLOC_SONAME "" CACHE STRING
    "Soname of mimalloc, opened at run time. Empty: ask the installed package.")
if(NOT GORT_MIMALLOC_SONAME)
  find_package(mimalloc 2 CONFIG QUIET)
  if(NOT TARGET mimalloc)
    message(FATAL_ERROR
      "gort: mimalloc 2 not found (Debian: apt-get install libmimalloc-dev). To build for a machine "
      "that has it, without having it here, name its soname: -DGORT_MIMALLOC_SONAME=libmimalloc.so.2")
  endif()
  get_target_property(configurations mimalloc IMPORTED_CONFIGURATIONS)
  foreach(configuration IN LISTS configurations ITEMS "NOCONFIG")
    get_target_property(soname mimalloc IMPORTED_SONAME_${configuration})
    if(soname)
      set(GORT_MIMALLOC_SONAME "${soname}")
      break()
    endif()
  endforeach()
  if(NOT GORT_MIMALLOC_SONAME)
    message(FATAL_ERROR "gort: the mimalloc package does not name its shared library; "
                        "set -DGORT_MIMALLOC_SONAME=...")
  endif()
endif()

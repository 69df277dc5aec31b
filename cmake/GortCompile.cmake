# gort_compile_options(target): what every target of this project is compiled with. Nothing here
# reaches an embedding program: the options are private to the target.

function(gort_compile_options target)
  target_compile_options(${target} PRIVATE
    -Wall -Wextra -Wconversion -Wshadow
    $<$<CXX_COMPILER_ID:Clang>:-Wthread-safety>
    # gcc 12 sees overlapping copies in `"text" + std::string` (its bug 105651, mended in 13).
    $<$<AND:$<CXX_COMPILER_ID:GNU>,$<VERSION_LESS:$<CXX_COMPILER_VERSION>,13>>:-Wno-restrict>
    -fno-omit-frame-pointer)  # profilers and our own stack capture walk frames
  if(GORT_WERROR)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
  target_compile_definitions(${target} PRIVATE $<$<CONFIG:Debug>:_GLIBCXX_ASSERTIONS>)
  if(GORT_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=${GORT_SANITIZE} -fno-sanitize-recover=all)
    # gcc documents that instrumented code draws false positives here; the release build still looks.
    target_compile_options(${target} PRIVATE
      $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
    target_link_options(${target} PUBLIC -fsanitize=${GORT_SANITIZE})
  endif()
  set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF CXX_STANDARD_REQUIRED ON)
endfunction()

# ccache, where it is installed and nobody chose a launcher.
if(PROJECT_IS_TOP_LEVEL AND NOT DEFINED CMAKE_CXX_COMPILER_LAUNCHER)
  find_program(GORT_CCACHE ccache)
  mark_as_advanced(GORT_CCACHE)
  if(GORT_CCACHE)
    set(CMAKE_CXX_COMPILER_LAUNCHER "${GORT_CCACHE}")
  endif()
endif()

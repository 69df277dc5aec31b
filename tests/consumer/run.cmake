# Builds and runs the consumer in one of the ways an embedder would:
#   install           installs this build under PREFIX, for the next two
#   find_package      CMake, installed gort
#   pkg_config        no CMake at all: one compiler command with pkg-config's flags
#   add_subdirectory  CMake, gort's sources inside the project, as a shared library
cmake_minimum_required(VERSION 3.25)

function(run)
  execute_process(COMMAND ${ARGV} COMMAND_ECHO STDOUT COMMAND_ERROR_IS_FATAL ANY)
endfunction()

set(configure "${CMAKE_COMMAND}" -S "${CMAKE_CURRENT_LIST_DIR}" -B "${BINARY_DIR}" -G "${GENERATOR}"
    "-DCMAKE_CXX_COMPILER=${CXX}" -DCMAKE_BUILD_TYPE=Debug)

if(WAY STREQUAL "install")
  file(REMOVE_RECURSE "${PREFIX}")
  run("${CMAKE_COMMAND}" --install "${GORT_BINARY_DIR}" --prefix "${PREFIX}")
elseif(WAY STREQUAL "find_package")
  run(${configure} --fresh "-DCMAKE_PREFIX_PATH=${PREFIX}")
  run("${CMAKE_COMMAND}" --build "${BINARY_DIR}" --clean-first)
  run("${BINARY_DIR}/consumer")
  file(COPY_FILE "${BINARY_DIR}/libplugin.so" "${BINARY_DIR}/libsecond.so")
  run("${BINARY_DIR}/plugin_host" "${BINARY_DIR}/libplugin.so" "${BINARY_DIR}/libsecond.so")
  # Two plugins may each have a gort of their own: neither may see the other's.
  execute_process(COMMAND nm -DC --defined-only "${BINARY_DIR}/libplugin.so"
    OUTPUT_VARIABLE exported COMMAND_ERROR_IS_FATAL ANY)
  if(exported MATCHES "gort::" OR NOT exported MATCHES " consume")
    message(FATAL_ERROR "the plugin exports:\n${exported}")
  endif()
elseif(WAY STREQUAL "pkg_config")
  find_program(PKG_CONFIG NAMES pkg-config pkgconf REQUIRED)
  set(ENV{PKG_CONFIG_PATH} "${PREFIX}/${LIBDIR}/pkgconfig")
  execute_process(COMMAND "${PKG_CONFIG}" --cflags --libs gort
    OUTPUT_VARIABLE flags OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
  separate_arguments(flags UNIX_COMMAND "${flags}")
  file(MAKE_DIRECTORY "${BINARY_DIR}")
  run("${CXX}" -std=c++20 "${CMAKE_CURRENT_LIST_DIR}/main.cpp" -o "${BINARY_DIR}/consumer" ${flags})
  set(ENV{LD_LIBRARY_PATH} "${PREFIX}/${LIBDIR}")  # for a shared libgort
  run("${BINARY_DIR}/consumer")
elseif(WAY STREQUAL "add_subdirectory")
  run(${configure} "-DGORT_SOURCE_DIR=${GORT_SOURCE_DIR}" -DBUILD_SHARED_LIBS=ON
      "-DCMAKE_CXX_COMPILER_LAUNCHER=${LAUNCHER}")
  run("${CMAKE_COMMAND}" --build "${BINARY_DIR}" --parallel 2 --target consumer)
  run("${BINARY_DIR}/consumer")
else()
  message(FATAL_ERROR "unknown way: ${WAY}")
endif()

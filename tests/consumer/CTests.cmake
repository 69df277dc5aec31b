# The three ways to embed gort, each a build of tests/consumer/ (see run.cmake).

if(NOT GORT_INSTALL OR NOT EXISTS "${PROJECT_SOURCE_DIR}/gort.h")
  return()
endif()

set(consumer_dir "${CMAKE_CURRENT_BINARY_DIR}/consumer")
foreach(way IN ITEMS install find_package pkg_config add_subdirectory)
  add_test(NAME consumer.${way} COMMAND "${CMAKE_COMMAND}"
    "-DWAY=${way}" "-DBINARY_DIR=${consumer_dir}/${way}" "-DPREFIX=${consumer_dir}/prefix"
    "-DLIBDIR=${CMAKE_INSTALL_LIBDIR}" "-DGORT_SOURCE_DIR=${PROJECT_SOURCE_DIR}"
    "-DGORT_BINARY_DIR=${PROJECT_BINARY_DIR}" "-DGENERATOR=${CMAKE_GENERATOR}"
    "-DCXX=${CMAKE_CXX_COMPILER}" "-DLAUNCHER=${CMAKE_CXX_COMPILER_LAUNCHER}"
    -P "${CMAKE_CURRENT_SOURCE_DIR}/consumer/run.cmake")
  set_tests_properties(consumer.${way} PROPERTIES LABELS consumer TIMEOUT 900)
endforeach()
set_tests_properties(consumer.install PROPERTIES FIXTURES_SETUP gort_installed)
set_tests_properties(consumer.find_package consumer.pkg_config PROPERTIES
  FIXTURES_REQUIRED gort_installed)
set_tests_properties(consumer.add_subdirectory PROPERTIES PROCESSORS 2)

# gortstat. Everything but main.cpp is a library of its own, so that tests/tool/ can test it.

file(GLOB GORTSTAT_SOURCES CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/tools/gortstat/*.cpp")
set(GORTSTAT_MAIN "${PROJECT_SOURCE_DIR}/tools/gortstat/main.cpp")
list(REMOVE_ITEM GORTSTAT_SOURCES "${GORTSTAT_MAIN}")

if(GORTSTAT_SOURCES OR EXISTS "${GORTSTAT_MAIN}")
  find_package(CLI11 REQUIRED)
  find_package(nlohmann_json 3 REQUIRED)
endif()

if(GORTSTAT_SOURCES)
  add_library(gortstat_core STATIC ${GORTSTAT_SOURCES})
  gort_compile_options(gortstat_core)
  target_link_libraries(gortstat_core PUBLIC gort::gort nlohmann_json::nlohmann_json CLI11::CLI11)
  target_compile_definitions(gortstat_core PUBLIC GORT_VERSION="${PROJECT_VERSION}")
endif()

if(EXISTS "${GORTSTAT_MAIN}")
  add_executable(gortstat "${GORTSTAT_MAIN}")
  gort_compile_options(gortstat)
  if(TARGET gortstat_core)
    target_link_libraries(gortstat PRIVATE gortstat_core)
  else()
    target_link_libraries(gortstat PRIVATE gort::gort nlohmann_json::nlohmann_json CLI11::CLI11)
  endif()
else()
  message(STATUS "gort: no tools/gortstat/main.cpp, no gortstat")
endif()

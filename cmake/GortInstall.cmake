# cmake --install: library, headers, CMake package, pkg-config file, gortstat.

include(CMakePackageConfigHelpers)

install(TARGETS gort EXPORT gort-targets)
foreach(room IN LISTS GORT_ROOMS)
  if(IS_DIRECTORY "${PROJECT_SOURCE_DIR}/${room}")
    install(DIRECTORY "${PROJECT_SOURCE_DIR}/${room}/"
      DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/gort/${room}" FILES_MATCHING PATTERN "*.h")
  endif()
endforeach()
if(EXISTS "${PROJECT_SOURCE_DIR}/gort.h")
  install(FILES "${PROJECT_SOURCE_DIR}/gort.h" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/gort")
endif()
if(TARGET gortstat)
  install(TARGETS gortstat)
endif()

# Before 1.0 a minor version may break sources, so only the same minor version is compatible.
set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/gort")
install(EXPORT gort-targets NAMESPACE gort:: DESTINATION "${package_dir}")
configure_package_config_file("${PROJECT_SOURCE_DIR}/cmake/gort-config.cmake.in"
  "${PROJECT_BINARY_DIR}/gort-config.cmake" INSTALL_DESTINATION "${package_dir}")
write_basic_package_version_file("${PROJECT_BINARY_DIR}/gort-config-version.cmake"
  COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/gort-config.cmake"
              "${PROJECT_BINARY_DIR}/gort-config-version.cmake" DESTINATION "${package_dir}")

# A static archive has no list of what it needs, so its users must be told.
if(gort_type STREQUAL "SHARED_LIBRARY")
  set(GORT_PC_CFLAGS " -DGORT_SHARED")
  set(GORT_PC_LIBS "")
  set(GORT_PC_LIBS_PRIVATE "-ldl")
else()
  set(GORT_PC_CFLAGS "")
  set(GORT_PC_LIBS " -ldl")
  set(GORT_PC_LIBS_PRIVATE "")
endif()
# The prefix is found from where the file lies, so that the tree can be moved after installation;
# what has an absolute directory of its own stays there.
foreach(directory IN ITEMS LIBDIR INCLUDEDIR)
  if(IS_ABSOLUTE "${CMAKE_INSTALL_${directory}}")
    set(GORT_PC_${directory} "${CMAKE_INSTALL_${directory}}")
  else()
    set(GORT_PC_${directory} "\${prefix}/${CMAKE_INSTALL_${directory}}")
  endif()
endforeach()
if(IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}")
  set(GORT_PC_PREFIX "${CMAKE_INSTALL_PREFIX}")
else()
  file(RELATIVE_PATH GORT_PC_PREFIX "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
  string(REGEX REPLACE "/$" "" GORT_PC_PREFIX "\${pcfiledir}/${GORT_PC_PREFIX}")
endif()
configure_file("${PROJECT_SOURCE_DIR}/gort.pc.in" "${PROJECT_BINARY_DIR}/gort.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/gort.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")

# After a test program is linked: asks it for its test cases and writes them down as ctests.
# Catch2's own catch_discover_tests does this too, but it complains about programs without slow tests
# and takes a program that crashes while listing for one that has tests.
#
#   cmake -DPROGRAM=... -DROOM=... -DOUT=... -P discover_tests.cmake
#
# Tests tagged [.slow] (and all of room `stress`) are written inside `if(DEFINED ENV{GORT_STRESS})`.
# Other hidden tests ([.]) are not registered: they are children that another test starts.

function(list_tests spec result_variable)
  execute_process(COMMAND "${PROGRAM}" "${spec}" --list-test-names-only
    OUTPUT_VARIABLE output ERROR_VARIABLE errors RESULT_VARIABLE status)
  # The status is the number of tests, at most 255; a crash gives words.
  if(NOT status MATCHES "^[0-9]+$" OR (output STREQUAL "" AND NOT status EQUAL 0))
    message(FATAL_ERROR "${PROGRAM} --list-test-names-only failed: ${status}\n${output}${errors}")
  endif()
  string(REPLACE ";" "\\;" output "${output}")
  string(REGEX REPLACE "\n+$" "" output "${output}")
  string(REPLACE "\n" ";" output "${output}")
  set(${result_variable} "${output}" PARENT_SCOPE)
endfunction()

function(write_tests names label timeout)
  foreach(name IN LISTS names)
    string(REGEX REPLACE "([],[\"\\])" "\\\\\\1" pattern "${name}")  # Catch2's own special characters
    file(APPEND "${OUT}" "add_test([==[${ROOM}: ${name}]==] [==[${PROGRAM}]==] [==[${pattern}]==])\n"
      "set_tests_properties([==[${ROOM}: ${name}]==] PROPERTIES LABELS ${label} TIMEOUT ${timeout})\n")
  endforeach()
endfunction()

file(WRITE "${OUT}" "")
if(ROOM STREQUAL "stress")
  list_tests("*" slow)
else()
  list_tests("~[slow]~[.]" quick)
  write_tests("${quick}" ${ROOM} 120)
  list_tests("[slow]" slow)
endif()
file(APPEND "${OUT}" "if(DEFINED ENV{GORT_STRESS})\n")
write_tests("${slow}" stress 1800)
file(APPEND "${OUT}" "endif()\n")

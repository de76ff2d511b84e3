# SPDX-License-Identifier: Apache-2.0
# One helper for libraries, one for programs, one for tests.

add_library(troupe_options INTERFACE)
target_compile_options(troupe_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor>)
target_include_directories(troupe_options INTERFACE "${PROJECT_SOURCE_DIR}")

# troupe_library(name SOURCES ... LINK ... PRIVATE_LINK ...): the library troupe::name from the files listed.
function(troupe_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK;PRIVATE_LINK" ${ARGN})
  add_library(troupe_${name} STATIC ${ARG_SOURCES})
  add_library(troupe::${name} ALIAS troupe_${name})
  target_link_libraries(troupe_${name} PUBLIC troupe_options ${ARG_LINK} PRIVATE ${ARG_PRIVATE_LINK})
endfunction()

# troupe_program(name SOURCES ... LINK ...): an executable at the top of the build folder.
function(troupe_program name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE troupe_options ${ARG_LINK})
endfunction()

# troupe_test(name KIND kind SOURCES ... LINK ... [TIMEOUT seconds]): a Catch2 program run by `./dev test kind`.
function(troupe_test name)
  cmake_parse_arguments(ARG "" "KIND;TIMEOUT" "SOURCES;LINK" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  math(EXPR ARG_TIMEOUT "${ARG_TIMEOUT} * ${troupe_patience}")
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE troupe_options ${ARG_LINK} Catch2::Catch2WithMain)
  target_compile_definitions(${name} PRIVATE TROUPE_SOURCE_DIR="${PROJECT_SOURCE_DIR}" TROUPE_BINARY_DIR="${CMAKE_BINARY_DIR}")
  add_test(NAME ${name} COMMAND ${name} --order decl)
  set_tests_properties(${name} PROPERTIES LABELS "${ARG_KIND}" TIMEOUT ${ARG_TIMEOUT} SKIP_RETURN_CODE 4)
endfunction()

# SPDX-License-Identifier: Apache-2.0
# Language level, the build cache, and where ./dev deps put what Debian does not have.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}")

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # The slop is what lets ccache serve translation units that use a precompiled header.
  set(CMAKE_CXX_COMPILER_LAUNCHER
      "${CMAKE_COMMAND};-E;env;CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime;${CCACHE_PROGRAM}")
  if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
    add_compile_options(-fpch-preprocess)
  endif()
endif()

if(DEFINED ENV{TROUPE_DEPS})
  list(PREPEND CMAKE_PREFIX_PATH "$ENV{TROUPE_DEPS}")
elseif(DEFINED ENV{XDG_CACHE_HOME})
  list(PREPEND CMAKE_PREFIX_PATH "$ENV{XDG_CACHE_HOME}/troupe/deps-1")
else()
  list(PREPEND CMAKE_PREFIX_PATH "$ENV{HOME}/.cache/troupe/deps-1")
endif()

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
  set(troupe_deps "$ENV{TROUPE_DEPS}")
elseif(DEFINED ENV{XDG_CACHE_HOME})
  set(troupe_deps "$ENV{XDG_CACHE_HOME}/troupe/deps-1")
else()
  set(troupe_deps "$ENV{HOME}/.cache/troupe/deps-1")
endif()
list(PREPEND CMAKE_PREFIX_PATH "${troupe_deps}")
if(CMAKE_CXX_FLAGS MATCHES "-fsanitize=thread") # with a CAF of its own: tools/deps.sh tsan
  list(PREPEND CMAKE_PREFIX_PATH "${troupe_deps}-tsan")
endif()

# What a test's time limit is multiplied by: sanitizers are slow.
set(troupe_patience 1)
if(CMAKE_CXX_FLAGS MATCHES "-fsanitize")
  set(troupe_patience 10)
endif()

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

namespace troupe {

/// Raises this process's limit of open files as far as it may, to at most 65,536, and returns it.
std::size_t raise_open_files();

}  // namespace troupe

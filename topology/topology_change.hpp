// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "topology/cluster_file.hpp"

namespace troupe {

enum class change_kind : std::uint8_t {
  add,     ///< nodes, groups and spares come
  remove,  ///< nodes, groups and spares go
};

/// Why a running cluster cannot go over from one topology file to another, in a sentence that says what would be right;
/// empty when it can. Nodes, groups and spares may come or go, not both at once; everything else stays.
std::string find_change_error(const cluster_file& from, const cluster_file& to, change_kind kind);

}  // namespace troupe

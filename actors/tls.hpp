// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "topology/cluster_file.hpp"

namespace troupe {

/// Reads certificate, key and CA and checks that they belong together and are valid now. Throws std::invalid_argument
/// that names the file, what is wrong and what would be right. CAF itself finds out at the first connection, and ends
/// the process.
void check_tls_files(const tls_files& files);

/// From now on, every TLS connection of this process is of version 1.3.
void require_tls_1_3();

}  // namespace troupe

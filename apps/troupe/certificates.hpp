// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace troupe {

/// Makes a certificate authority of one cluster's own: DIR/ca.pem and DIR/ca.key, ECDSA on P-256. The folder is made if
/// it is missing. Throws std::runtime_error, as when one of the files is there already.
void make_authority(const std::filesystem::path& folder, const std::string& cluster, int days);

struct certificate_request {
  std::string name;                    ///< of the node or client, and of the files
  std::vector<std::string> addresses;  ///< IP addresses and host names; empty for clients
  int days = 0;
};

/// DIR/NAME.pem and DIR/NAME.key, signed by the authority in DIR, for both ends of a connection.
void make_certificate(const std::filesystem::path& folder, const certificate_request& request);

}  // namespace troupe

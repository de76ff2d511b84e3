// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string_view>

#include "topology/cluster_file.hpp"

namespace troupe {

/// True for an IPv4 or IPv6 address (without brackets) and for a host name as DNS writes it.
bool is_host(std::string_view text);

/// True for the addresses that mean "every interface" and so name no machine: 0.0.0.0 and ::.
bool is_any_address(std::string_view host);

/// host:port or [IPv6]:port, with a port from 0 to 65535.
std::optional<host_port> parse_host_port(std::string_view text);

}  // namespace troupe

// SPDX-License-Identifier: Apache-2.0
#include "apps/troupe/cluster_address.hpp"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <stdexcept>

#include <fmt/format.h>

namespace troupe {

host_port parse_address(const std::string& text) {
  auto colon = text.rfind(':');
  std::uint16_t port = 0;
  auto digits = colon == std::string::npos ? text.size() : colon + 1;
  auto [end, problem] = std::from_chars(text.data() + digits, text.data() + text.size(), port);
  if (colon == std::string::npos || colon == 0 || problem != std::errc{} || end != text.data() + text.size() ||
      port == 0)
    throw std::invalid_argument(
        fmt::format("'{}' is no node address; write HOST:PORT, for example 127.0.0.1:4242", text));
  return {text.substr(0, colon), port};
}

std::vector<host_port> parse_nodes(const std::string& text) {
  std::vector<host_port> nodes;
  if (std::filesystem::is_regular_file(text)) {
    for (const auto& node : load_cluster_file(text, {true}).nodes)  // to reach it is no risk to it
      nodes.push_back(node.cluster);
    return nodes;
  }
  for (std::size_t begin = 0; begin <= text.size();) {
    auto end = std::min(text.find(',', begin), text.size());
    nodes.push_back(parse_address(text.substr(begin, end - begin)));
    begin = end + 1;
  }
  return nodes;
}

}  // namespace troupe

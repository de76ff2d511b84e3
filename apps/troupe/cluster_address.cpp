// SPDX-License-Identifier: Apache-2.0
#include "apps/troupe/cluster_address.hpp"

#include <charconv>
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

}  // namespace troupe

// SPDX-License-Identifier: Apache-2.0
#include "topology/address.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>

#include <arpa/inet.h>
#include <sys/socket.h>

namespace troupe {

namespace {

bool parse_address(int family, std::string_view text, std::array<unsigned char, 16>& out) {
  return text.size() < INET6_ADDRSTRLEN && inet_pton(family, std::string(text).c_str(), out.data()) == 1;
}

bool is_label_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
}

bool is_label(std::string_view label) {
  return !label.empty() && label.size() <= 63 && label.front() != '-' && label.back() != '-' &&
         std::all_of(label.begin(), label.end(), is_label_char);
}

bool is_host_name(std::string_view text) {
  if (text.empty() || text.size() > 253) return false;
  // What looks like an address must be one: 10.0.0.256 is a slip, not a name.
  if (text.find_first_not_of("0123456789.") == std::string_view::npos) return false;
  while (true) {
    auto dot = text.find('.');
    if (!is_label(text.substr(0, dot))) return false;
    if (dot == std::string_view::npos) return true;
    text.remove_prefix(dot + 1);
  }
}

}  // namespace

bool is_host(std::string_view text) {
  std::array<unsigned char, 16> bytes{};
  return parse_address(AF_INET, text, bytes) || parse_address(AF_INET6, text, bytes) || is_host_name(text);
}

bool is_any_address(std::string_view host) {
  std::array<unsigned char, 16> bytes{};
  if (!parse_address(AF_INET, host, bytes) && !parse_address(AF_INET6, host, bytes)) return false;
  return std::all_of(bytes.begin(), bytes.end(), [](unsigned char byte) { return byte == 0; });
}

bool is_loopback(std::string_view host) {
  std::array<unsigned char, 16> bytes{};
  if (host == "localhost") return true;
  if (parse_address(AF_INET, host, bytes)) return bytes[0] == 127;
  if (!parse_address(AF_INET6, host, bytes)) return false;
  return bytes[15] == 1 && std::all_of(bytes.begin(), bytes.end() - 1, [](unsigned char byte) { return byte == 0; });
}

std::optional<host_port> parse_host_port(std::string_view text) {
  auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  auto host = text.substr(0, colon);
  auto digits = text.substr(colon + 1);
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  else if (host.find(':') != std::string_view::npos)
    return std::nullopt;
  host_port out{std::string(host), 0};
  const auto* end = digits.data() + digits.size();
  auto [rest, error] = std::from_chars(digits.data(), end, out.port);
  if (error != std::errc{} || rest != end || !is_host(host)) return std::nullopt;
  return out;
}

}  // namespace troupe

// SPDX-License-Identifier: Apache-2.0
#include "topology/address.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace troupe;

TEST_CASE("an address or a host name is told from a slip") {
  for (const auto* good : {"127.0.0.1", "10.0.0.1", "::1", "fe80::1", "localhost", "node-7.example.org", "a"})
    CHECK(is_host(good));
  for (const auto* bad : {"", "10.0.0", "10.0.0.256", "a b", "-a", "a-", "a..b", "127.0.0.1:80", "[::1]", "a/b"})
    CHECK_FALSE(is_host(bad));
  CHECK_FALSE(is_host(std::string(64, 'a')));
  CHECK_FALSE(is_host(std::string(1 << 20, 'a')));
}

TEST_CASE("loopback is recognised without a name server") {
  for (const auto* loop : {"127.0.0.1", "127.8.9.10", "::1", "localhost"})
    CHECK(is_loopback(loop));
  for (const auto* other : {"128.0.0.1", "0.0.0.0", "::", "::2", "1::1", "example.org", ""})
    CHECK_FALSE(is_loopback(other));
}

TEST_CASE("host and port are read with or without brackets") {
  CHECK(parse_host_port("127.0.0.1:8080") == host_port{"127.0.0.1", 8080});
  CHECK(parse_host_port("[::1]:0") == host_port{"::1", 0});
  CHECK(parse_host_port("example.org:65535") == host_port{"example.org", 65535});
  for (const auto* bad : {"", ":", "8080", "a:", ":80", "a:65536", "a:-1", "a:8x", "::1:80", "[::1]", "a:80:90"})
    CHECK_FALSE(parse_host_port(bad));
}

TEST_CASE("host and port are written so that they can be read back") {
  for (const auto* text : {"127.0.0.1:8080", "[::1]:80", "example.org:1"})
    CHECK(to_string(parse_host_port(text).value()) == text);
}

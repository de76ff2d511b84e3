// SPDX-License-Identifier: Apache-2.0
#include "apps/troupe/serving.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

using namespace troupe;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::MessageMatches;

namespace {

cluster_file file_with(const std::string& rank, const std::string& group, const std::string& more) {
  return parse_cluster_file("cluster: c\nmodel: m\nnodes: {a: {address: 127.0.0.1, port: 0}}\ngroups:\n  - name: g0\n" +
                                group + "    ranks: [" + rank + "]\n" + more,
                            "test.yaml");
}

}  // namespace

TEST_CASE("what a file may ask and this build does not do is refused by name before anything starts") {
  CHECK_NOTHROW(check_served(file_with("a/cpu:0", "", "")));
  CHECK_THROWS_MATCHES(check_served(file_with("a/cuda:0", "", "")), std::invalid_argument,
                       MessageMatches(ContainsSubstring("a/cuda:0") && ContainsSubstring("a/cpu:0")));
  CHECK_THROWS_MATCHES(check_served(file_with("a/cpu:0", "    mode: replicated\n", "")), std::invalid_argument,
                       MessageMatches(ContainsSubstring("g0") && ContainsSubstring("sharded")));
}

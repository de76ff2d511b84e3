// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include <catch2/catch_tostring.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include "runtime/collective/communicator_options.hpp"
#include "runtime/collective/gloo.hpp"

namespace troupe::test {

inline std::vector<communicator_kind> all_kinds() {
  std::vector kinds{communicator_kind::local, communicator_kind::shared_memory};
  if (gloo_is_available()) kinds.push_back(communicator_kind::gloo);
  return kinds;
}

inline communicator_options options_for(communicator_kind kind, int size) {
  return {.kind = kind, .name = fmt::format("test-{}/{}", getpid(), size), .size = size};
}

}  // namespace troupe::test

template <>
struct Catch::StringMaker<troupe::communicator_kind> {
  static std::string convert(troupe::communicator_kind kind) {
    switch (kind) {
      case troupe::communicator_kind::local:
        return "local";
      case troupe::communicator_kind::shared_memory:
        return "shared_memory";
      case troupe::communicator_kind::gloo:
        return "gloo";
    }
    return "?";
  }
};

// SPDX-License-Identifier: Apache-2.0
#include "topology/epoch_number.hpp"

#include <fmt/format.h>

namespace troupe {

std::string epoch_text(std::uint64_t number) {
  return fmt::format("{}.{}", generation_of(number), number & 0xffff'ffffU);
}

}  // namespace troupe

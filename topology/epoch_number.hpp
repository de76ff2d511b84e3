// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

namespace troupe {

/// An epoch is generation << 32 | counter: a generation is written down before its first epoch is used and never used
/// again, so an epoch is greater than all before it, whatever was restarted meanwhile.
constexpr std::uint64_t make_epoch(std::uint64_t generation, std::uint64_t counter) {
  return generation << 32U | (counter & 0xffff'ffffU);
}
constexpr std::uint64_t generation_of(std::uint64_t number) { return number >> 32U; }

/// "generation.counter", as it is written in logs, status and documents.
std::string epoch_text(std::uint64_t number);

}  // namespace troupe

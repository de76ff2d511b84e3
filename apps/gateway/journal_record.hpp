// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "runtime/generation.hpp"
#include "runtime/request_key.hpp"

namespace troupe {

struct journal_accepted {
  request_key key;
  generation what;
};
struct journal_extended {
  request_key key;
  std::vector<token_id> tokens;
};
struct journal_ended {
  request_key key;
};
using journal_record = std::variant<journal_accepted, journal_extended, journal_ended>;

inline constexpr std::size_t journal_header_bytes = 8;  ///< length and CRC-32, little-endian
inline constexpr std::uint32_t journal_record_bytes_max = 32 << 20;

/// The bytes of a record, with its header.
std::string format_journal_record(const journal_record& record);

/// Takes the first record off `bytes`. Nothing when it is cut off, damaged, or none.
std::optional<journal_record> take_journal_record(std::string_view& bytes);

}  // namespace troupe

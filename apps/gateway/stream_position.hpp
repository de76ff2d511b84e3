// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/generation.hpp"
#include "runtime/request_key.hpp"

namespace troupe {

/// How much of one choice was written to a client.
struct choice_position {
  std::uint32_t tokens = 0;
  std::uint64_t bytes = 0;  ///< of text
  bool finished = false;    ///< with its finish reason

  /// Takes from an event what lies before this position; false when nothing is left of it.
  bool skip(answer_event& event) const;
  void count(const answer_event& event);
};

/// The id of a server-sent event: which request, and how much of each choice the client has with it. Any gateway of the
/// cluster can go on from it when the same body is posted again.
struct stream_position {
  request_key key;
  std::vector<choice_position> choices;
};

/// KEY:TOKENS.BYTES,TOKENS.BYTES,... with f behind a choice that is finished.
std::string to_string(const stream_position& position);
std::optional<stream_position> parse_stream_position(std::string_view text);

}  // namespace troupe

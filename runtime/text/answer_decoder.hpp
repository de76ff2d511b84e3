// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runtime/ids.hpp"
#include "runtime/text/incremental_decoder.hpp"
#include "runtime/text/stop_matcher.hpp"
#include "runtime/text/tokenizer.hpp"

namespace troupe {

/// The text of one answer as its tokens come: whole characters only, up to the first stop string.
class answer_decoder {
 public:
  struct result {
    std::uint32_t tokens = 0;  ///< of those fed, up to and with the one that completed a stop string
    std::string text;          ///< that is final now
    bool stopped = false;      ///< a stop string is complete; nothing may be fed any more
  };

  /// `vocabulary` null: there is no text. `stop_strings` have no stop_matcher::problem_with.
  answer_decoder(std::shared_ptr<const tokenizer> vocabulary, const std::vector<std::string>& stop_strings,
                 bool include_stop);

  /// `last`: nothing follows, so what was held back is given too.
  result feed(std::span<const token_id> tokens, bool last);

 private:
  std::shared_ptr<const tokenizer> vocabulary_;
  std::optional<incremental_decoder> decoder_;
  stop_matcher stops_;
};

}  // namespace troupe

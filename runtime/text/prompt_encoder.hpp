// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ctime>
#include <filesystem>
#include <memory>
#include <vector>

#include "runtime/generation.hpp"
#include "runtime/ids.hpp"
#include "runtime/text/chat_template.hpp"
#include "runtime/text/tokenizer.hpp"

namespace troupe {

/// Everything a model's folder knows about text: its tokenizer and its chat template. Either may be missing (a model
/// with random weights has none); what needs it is then refused. Unchanging: share one between threads.
class prompt_encoder {
 public:
  /// Throws tokenizer_error or chat_template_error for files that are there and wrong. An empty path means no text at
  /// all.
  static prompt_encoder from_folder(const std::filesystem::path& folder);

  /// The ids of a prompt; a conversation ends with the opening of the assistant's turn. `now` is the local time, for
  /// templates that tell the model the date. Throws tokenizer_error or chat_template_error with a sentence for the
  /// client.
  std::vector<token_id> encode(const prompt& what, const std::tm& now) const;

  /// Null when the model has no tokenizer.
  const std::shared_ptr<const tokenizer>& vocabulary() const { return tokenizer_; }

 private:
  std::shared_ptr<const tokenizer> tokenizer_;
  std::shared_ptr<const chat_template> template_;
};

}  // namespace troupe

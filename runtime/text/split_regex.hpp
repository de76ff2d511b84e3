// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string_view>

struct pcre2_real_code_8;

namespace troupe {

/// Receives the parts of a text, in order.
class piece_sink {
 public:
  virtual void piece(std::string_view text) = 0;

 protected:
  ~piece_sink() = default;
};

/// Cuts a text into the matches of a regular expression and what lies between them. Unchanging after construction and
/// safe to share between threads.
class split_regex {
 public:
  /// `pattern` as a tokenizer file has it (Oniguruma). Throws tokenizer_error for one that is not supported.
  explicit split_regex(std::string_view pattern);

  /// `text` is well-formed UTF-8. Throws tokenizer_error where matching costs more than the limits allow.
  void split(std::string_view text, piece_sink& sink) const;

 private:
  struct code_deleter {
    void operator()(pcre2_real_code_8* code) const;
  };
  class search;

  std::unique_ptr<pcre2_real_code_8, code_deleter> code_;
  bool compiled_ = false;  // to machine code
};

}  // namespace troupe

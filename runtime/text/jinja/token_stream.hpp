// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>
#include <vector>

#include "runtime/text/jinja/token.hpp"

namespace troupe::jinja {

/// The tokens of a template with a place in them. The last token is `end` and is never passed.
class token_stream {
 public:
  explicit token_stream(const std::vector<token>& tokens) : tokens_(tokens) {}

  const token& current() const { return tokens_[at_]; }
  const token& ahead() const { return tokens_[at_ + 1 < tokens_.size() ? at_ + 1 : at_]; }
  std::size_t line() const { return current().line; }
  bool is(token_kind kind) const { return current().kind == kind; }
  bool is(token_kind kind, std::string_view text) const { return is(kind) && current().value == text; }
  bool is_symbol(std::string_view text) const { return is(token_kind::symbol, text); }
  bool is_name(std::string_view text) const { return is(token_kind::name, text); }

  /// Passes the current token and returns it.
  const token& take();
  bool take_if(token_kind kind, std::string_view text);
  bool take_symbol(std::string_view text) { return take_if(token_kind::symbol, text); }
  bool take_name(std::string_view text) { return take_if(token_kind::name, text); }

  /// These throw chat_template_error when something else stands there.
  void expect_symbol(std::string_view text);
  void expect(token_kind kind, std::string_view what);
  std::string expect_name(std::string_view what);

  [[noreturn]] void unexpected(std::string_view wanted) const;

 private:
  const std::vector<token>& tokens_;
  std::size_t at_ = 0;
};

}  // namespace troupe::jinja

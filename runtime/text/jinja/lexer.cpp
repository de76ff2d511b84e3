// SPDX-License-Identifier: Apache-2.0
#include "runtime/text/jinja/lexer.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <string>

#include "runtime/text/jinja/error.hpp"
#include "runtime/text/jinja/python_text.hpp"
#include "runtime/text/jinja/string_literal.hpp"

namespace troupe::jinja {
namespace {

// Line ends become \n, and one at the very end is dropped.
std::string with_plain_line_ends(std::string_view source) {
  std::string result;
  result.reserve(source.size());
  for (std::size_t i = 0; i < source.size(); ++i) {
    const bool pair = source[i] == '\r' && i + 1 < source.size() && source[i + 1] == '\n';
    if (pair) ++i;
    result.push_back(source[i] == '\r' ? '\n' : source[i]);
  }
  if (result.ends_with('\n')) result.pop_back();
  return result;
}

constexpr std::array<std::string_view, 6> two_character_symbols = {"//", "**", "==", "!=", ">=", "<="};
constexpr std::string_view one_character_symbols = "+-*/%~<>=.,:|()[]{}";

bool begins_name(char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0 || c == '_'; }
bool is_digit(char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; }

class lexer {
 public:
  explicit lexer(std::string_view source) : source_(source) {}

  std::vector<token> run() {
    while (at_ < source_.size())
      text_and_tag();
    add(token_kind::end, "");
    return std::move(tokens_);
  }

 private:
  bool follows(std::string_view text) const { return source_.substr(at_, text.size()) == text; }
  void add(token_kind kind, std::string value) { tokens_.push_back({kind, std::move(value), line_}); }
  void advance(std::size_t bytes) {
    const std::string_view passed = source_.substr(at_, bytes);
    line_ += static_cast<std::size_t>(std::count(passed.begin(), passed.end(), '\n'));
    at_ += bytes;
  }

  // The text up to the next tag, then the tag.
  void text_and_tag() {
    std::size_t tag = at_;
    while (tag < source_.size() && !is_tag(tag))
      ++tag;
    std::string_view text = source_.substr(at_, tag - at_);
    if (tag < source_.size()) text = without_space_before_tag(text, tag);
    if (!text.empty()) add(token_kind::text, std::string(text));
    advance(tag - at_);
    if (at_ == source_.size()) return;
    const char kind = source_[at_ + 1];
    const char control = at_ + 2 < source_.size() ? source_[at_ + 2] : '\0';
    const std::size_t opening = control == '-' || control == '+' ? 3 : 2;
    if (kind == '#') {
      comment(opening);
    } else if (kind == '%') {
      inside(token_kind::block_begin, token_kind::block_end, opening);
    } else {
      inside(token_kind::output_begin, token_kind::output_end, opening);
    }
  }

  bool is_tag(std::size_t at) const {
    return source_[at] == '{' && at + 1 < source_.size() &&
           (source_[at + 1] == '{' || source_[at + 1] == '%' || source_[at + 1] == '#');
  }

  std::string_view without_space_before_tag(std::string_view text, std::size_t tag) const {
    const char control = tag + 2 < source_.size() ? source_[tag + 2] : '\0';
    if (control == '-') return strip_right(text);
    if (control == '+' || source_[tag + 1] == '{') return text;
    // lstrip_blocks: a block's or comment's indentation does not count.
    const std::size_t newline = text.rfind('\n');
    const std::size_t line_begin = newline == std::string_view::npos ? 0 : newline + 1;
    const bool starts_line = newline != std::string_view::npos || at_line_start_;
    return starts_line && strip(text.substr(line_begin)).empty() ? text.substr(0, line_begin) : text;
  }

  void comment(std::size_t opening) {
    const std::size_t end = source_.find("#}", at_ + opening);
    if (end == std::string_view::npos) fail(line_, "a comment {# has no #}");
    const char control = end > at_ + opening ? source_[end - 1] : '\0';
    advance(end - at_);
    close(control, true);
  }

  // At the two characters that end a tag: what white space behind it goes with it.
  void close(char control, bool trims_newline) {
    const std::size_t begin = at_;
    advance(2);
    if (control == '-') {
      const std::string_view rest = source_.substr(at_);
      advance(rest.size() - strip_left(rest).size());
    } else if (control != '+' && trims_newline && follows("\n")) {
      advance(1);
    }
    at_line_start_ = source_.substr(begin, at_ - begin).ends_with('\n');
  }

  void inside(token_kind begin, token_kind end, std::size_t opening) {
    const bool block = begin == token_kind::block_begin;
    const std::string closing = block ? "%}" : "}}";
    add(begin, "");
    advance(opening);
    brackets_.clear();
    while (true) {
      skip_space();
      if (at_ == source_.size()) fail(line_, std::string("a tag has no ") + closing);
      const bool controlled = follows("-" + closing) || (block && follows("+" + closing));
      if (brackets_.empty() && (controlled || follows(closing))) {
        const char control = controlled ? source_[at_] : '\0';
        if (controlled) advance(1);
        add(end, "");
        close(control, block);
        return;
      }
      expression_token();
    }
  }

  void skip_space() {
    const std::string_view rest = source_.substr(at_);
    advance(rest.size() - strip_left(rest).size());
  }

  void expression_token() {
    const char c = source_[at_];
    if (begins_name(c)) {
      name();
    } else if (is_digit(c)) {
      number();
    } else if (c == '"' || c == '\'') {
      string();
    } else {
      symbol();
    }
  }

  void name() {
    std::size_t end = at_;
    while (end < source_.size() && (begins_name(source_[end]) || is_digit(source_[end])))
      ++end;
    add(token_kind::name, std::string(source_.substr(at_, end - at_)));
    advance(end - at_);
  }

  void number() {
    std::size_t end = at_;
    while (end < source_.size() && is_digit(source_[end]))
      ++end;
    const bool fraction = end + 1 < source_.size() && source_[end] == '.' && is_digit(source_[end + 1]);
    const bool other_form = end < source_.size() && (begins_name(source_[end]));
    if (fraction || other_form || end - at_ > 18)
      fail(line_, "only plain integers below 10^18 are supported as numbers");
    add(token_kind::integer, std::string(source_.substr(at_, end - at_)));
    advance(end - at_);
  }

  void string() {
    const char quote = source_[at_];
    std::size_t end = at_ + 1;
    while (end < source_.size() && source_[end] != quote)
      end += source_[end] == '\\' ? 2 : 1;
    if (end >= source_.size()) fail(line_, "a string has no end");
    add(token_kind::string, unescape_string_literal(source_.substr(at_ + 1, end - at_ - 1), line_));
    advance(end + 1 - at_);
  }

  void symbol() {
    std::size_t length = 1;
    for (const std::string_view two : two_character_symbols)
      if (follows(two)) length = 2;
    const char c = source_[at_];
    if (length == 1 && one_character_symbols.find(c) == std::string_view::npos)
      fail(line_, fmt::format("unexpected character '{}'", c));
    track_bracket(c);
    add(token_kind::symbol, std::string(source_.substr(at_, length)));
    advance(length);
  }

  // "}}" inside a mapping literal does not end the tag.
  void track_bracket(char c) {
    if (c == '(' || c == '[' || c == '{') brackets_.push_back(c == '(' ? ')' : c == '[' ? ']' : '}');
    if (c != ')' && c != ']' && c != '}') return;
    if (brackets_.empty() || brackets_.back() != c) fail(line_, fmt::format("unexpected '{}'", c));
    brackets_.pop_back();
  }

  std::string_view source_;
  std::size_t at_ = 0;
  std::size_t line_ = 1;
  bool at_line_start_ = true;  // the last tag, with what it took along, ended a line
  std::string brackets_;       // the closing brackets that are awaited
  std::vector<token> tokens_;
};

}  // namespace

std::vector<token> tokenize(std::string_view source) {
  const std::string plain = with_plain_line_ends(source);
  return lexer(plain).run();
}

}  // namespace troupe::jinja

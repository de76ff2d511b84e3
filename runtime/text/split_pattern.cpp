// SPDX-License-Identifier: Apache-2.0
#include "runtime/text/split_pattern.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdint>
#include <vector>

#include <fmt/format.h>

#include "runtime/text/tokenizer_error.hpp"

namespace troupe {
namespace {

constexpr std::size_t pattern_bytes_max = 4096;

// PCRE2's \s takes U+180E with it, Oniguruma's does not.
constexpr std::string_view white_space =
    R"(\x{9}-\x{d}\x{20}\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000})";
constexpr std::string_view not_white_space =
    R"(\x{0}-\x{8}\x{e}-\x{1f}\x{21}-\x{84}\x{86}-\x{9f}\x{a1}-\x{167f}\x{1681}-\x{1fff}\x{200b}-\x{2027})"
    R"(\x{202a}-\x{202e}\x{2030}-\x{205e}\x{2060}-\x{2fff}\x{3001}-\x{10ffff})";

constexpr std::array<std::string_view, 36> categories = {
    "L",  "Lu", "Ll", "Lt", "Lm", "Lo", "M",  "Mn", "Mc", "Me", "N",  "Nd", "Nl", "No", "P",  "Pc", "Pd", "Ps",
    "Pe", "Pi", "Pf", "Po", "S",  "Sm", "Sc", "Sk", "So", "Z",  "Zs", "Zl", "Zp", "C",  "Cc", "Cf", "Cn", "Co"};

// Two letters that Oniguruma, ignoring case, also finds as one ligature; PCRE2 does not.
constexpr std::array<std::string_view, 5> ligatures = {"ff", "fi", "fl", "ss", "st"};

class translator {
 public:
  explicit translator(std::string_view pattern) : pattern_(pattern) {}

  std::string run() {
    if (pattern_.size() > pattern_bytes_max)
      throw tokenizer_error(fmt::format("a regular expression of {} bytes is not supported; {} are the most",
                                        pattern_.size(), pattern_bytes_max));
    while (at_ < pattern_.size())
      one();
    return std::move(out_);
  }

 private:
  [[noreturn]] void refuse(std::string_view construct) const {
    throw tokenizer_error(fmt::format("the regular expression has '{}' at byte {}, which is not supported: {}",
                                      construct, at_, pattern_));
  }

  char peek(std::size_t ahead = 0) const { return at_ + ahead < pattern_.size() ? pattern_[at_ + ahead] : '\0'; }
  bool follows(std::string_view text) const { return pattern_.substr(at_, text.size()) == text; }
  void copy(std::size_t bytes) {
    out_ += pattern_.substr(at_, bytes);
    at_ += bytes;
  }

  // What a quantifier may stand behind.
  enum class atom : std::uint8_t { nothing, single, group };

  void one() {
    switch (peek()) {
      case '\\':
        escape(false);
        break;
      case '[':
        character_class();
        break;
      case '(':
        open_group();
        break;
      case ')':
        close_group();
        break;
      case '|':
        copy(1);
        last_ = atom::nothing;
        break;
      case '*':
      case '+':
      case '?':
      case '{':
        quantifier();
        break;
      case '^':
      case '$':
      case '.':
        refuse(pattern_.substr(at_, 1));
        break;
      default:
        literal();
        break;
    }
  }

  void literal() {
    if (ignoring_case()) {
      const auto lower = [](char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); };
      const std::array<char, 2> two = {lower(peek()), lower(peek(1))};
      const bool ligature =
          std::find(ligatures.begin(), ligatures.end(), std::string_view(two.data(), 2)) != ligatures.end();
      if (ligature || static_cast<unsigned char>(peek()) >= 0x80) refuse(pattern_.substr(at_, 2));
    }
    copy(1);
    last_ = atom::single;
  }

  void escape(bool in_class) {
    const char c = peek(1);
    if (c == 's' || c == 'S') {
      const std::string_view set = c == 's' ? white_space : not_white_space;
      out_ += in_class ? std::string(set) : fmt::format("[{}]", set);
      at_ += 2;
    } else if (c == 'p' || c == 'P') {
      property();
    } else if (c == 'x') {
      hexadecimal();
    } else if (c == 'd') {
      out_ += R"(\p{Nd})";
      at_ += 2;
    } else if (c == 'r' || c == 'n' || c == 't' || c == 'f' ||
               (c != '\0' && std::ispunct(static_cast<unsigned char>(c)) != 0)) {
      copy(2);
    } else {
      refuse(pattern_.substr(at_, 2));
    }
    last_ = atom::single;
  }

  void property() {
    const std::size_t end = pattern_.find('}', at_);
    if (peek(2) != '{' || end == std::string_view::npos) refuse(pattern_.substr(at_, 3));
    std::string_view name = pattern_.substr(at_ + 3, end - at_ - 3);
    if (!name.empty() && name[0] == '^') name.remove_prefix(1);
    if (std::find(categories.begin(), categories.end(), name) == categories.end())
      refuse(pattern_.substr(at_, end + 1 - at_));
    copy(end + 1 - at_);
  }

  void hexadecimal() {
    const std::size_t end = pattern_.find('}', at_);
    if (peek(2) != '{' || end == std::string_view::npos || end - at_ > 9) refuse(pattern_.substr(at_, 3));
    for (std::size_t i = at_ + 3; i < end; ++i)
      if (std::isxdigit(static_cast<unsigned char>(pattern_[i])) == 0) refuse(pattern_.substr(at_, end + 1 - at_));
    copy(end + 1 - at_);
  }

  void character_class() {
    copy(1);
    if (peek() == '^') copy(1);
    if (peek() == ']') refuse("[]");
    while (peek() != ']') {
      if (at_ >= pattern_.size()) refuse("[ without ]");
      if (peek() == '[' || follows("&&")) refuse(pattern_.substr(at_, 2));
      if (peek() == '\\') {
        escape(true);
      } else {
        if (ignoring_case() && static_cast<unsigned char>(peek()) >= 0x80) refuse(pattern_.substr(at_, 1));
        copy(1);
      }
    }
    copy(1);
    last_ = atom::single;
  }

  void open_group() {
    bool ignores_case = ignoring_case();
    if (peek(1) != '?') {
      out_ += "(?:";
      at_ += 1;
    } else if (follows("(?:") || follows("(?=") || follows("(?!") || follows("(?>")) {
      copy(3);
    } else if (follows("(?<=") || follows("(?<!")) {
      copy(4);
    } else if (follows("(?i:")) {
      copy(4);
      ignores_case = true;
    } else {
      refuse(pattern_.substr(at_, 4));
    }
    groups_.push_back(ignores_case);
    last_ = atom::nothing;
  }

  void close_group() {
    if (groups_.empty()) refuse(")");
    groups_.pop_back();
    copy(1);
    last_ = atom::group;
  }

  // A group may be optional but not repeated: repeats inside repeats are what makes backtracking explode.
  void quantifier() {
    if (last_ == atom::nothing || (last_ == atom::group && peek() != '?')) refuse(pattern_.substr(at_, 1));
    if (peek() == '{') {
      counted_quantifier();
    } else {
      copy(1);
      if (peek() == '?' || peek() == '+') copy(1);
    }
    last_ = atom::nothing;
  }

  void counted_quantifier() {
    std::size_t i = at_ + 1;
    const auto digits = [&] {
      const std::size_t first = i;
      while (i < pattern_.size() && std::isdigit(static_cast<unsigned char>(pattern_[i])) != 0)
        ++i;
      return i - first;
    };
    const std::size_t low = digits();
    if (i < pattern_.size() && pattern_[i] == ',') {
      ++i;
      if (digits() > 3) refuse(pattern_.substr(at_, i - at_));
    }
    if (low == 0 || low > 3 || i >= pattern_.size() || pattern_[i] != '}') refuse(pattern_.substr(at_, i + 1 - at_));
    copy(i + 1 - at_);
    if (peek() == '?' || peek() == '+') refuse(pattern_.substr(at_, 1));  // Oniguruma means another thing by it
  }

  bool ignoring_case() const { return !groups_.empty() && groups_.back(); }

  std::string_view pattern_;
  std::size_t at_ = 0;
  std::string out_;
  std::vector<bool> groups_;  // of the open groups: whether they ignore case
  atom last_ = atom::nothing;
};

}  // namespace

std::string to_pcre2(std::string_view oniguruma_pattern) { return translator(oniguruma_pattern).run(); }

}  // namespace troupe

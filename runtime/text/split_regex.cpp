// SPDX-License-Identifier: Apache-2.0
#define PCRE2_CODE_UNIT_WIDTH 8
#include "runtime/text/split_regex.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <new>
#include <string>

#include <fmt/format.h>
#include <pcre2.h>

#include "runtime/text/split_pattern.hpp"
#include "runtime/text/tokenizer_error.hpp"
#include "runtime/text/utf8.hpp"

namespace troupe {
namespace {

// Steps of backtracking for one match: a run of white space may be stepped through a few times, not again and again.
constexpr std::uint64_t match_limit_base = 1'000'000;
constexpr std::uint64_t match_limit_a_byte = 8;
constexpr std::uint32_t heap_limit_kib = 64 * 1024;

std::string message_of(int error) {
  std::array<PCRE2_UCHAR, 256> text{};
  pcre2_get_error_message(error, text.data(), text.size());
  return reinterpret_cast<const char*>(text.data());
}

}  // namespace

void split_regex::code_deleter::operator()(pcre2_real_code_8* code) const { pcre2_code_free(code); }

split_regex::split_regex(std::string_view pattern) {
  const std::string translated = to_pcre2(pattern);
  int error = 0;
  PCRE2_SIZE offset = 0;
  code_.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(),
                            PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C, &error, &offset, nullptr));
  if (!code_)
    throw tokenizer_error(fmt::format("the regular expression '{}' is not valid: {}", pattern, message_of(error)));
  compiled_ = pcre2_jit_compile(code_.get(), PCRE2_JIT_COMPLETE) == 0;
}

// The searches through one text, with the memory they need.
class split_regex::search {
 public:
  search(const split_regex& regex, std::string_view text)
      : regex_(regex),
        text_(text),
        data_(pcre2_match_data_create(1, nullptr)),
        limits_(pcre2_match_context_create(nullptr)) {
    if (!data_ || !limits_) throw std::bad_alloc();
    const std::uint64_t steps = match_limit_base + match_limit_a_byte * text.size();
    pcre2_set_match_limit(limits_.get(), static_cast<std::uint32_t>(std::min<std::uint64_t>(steps, UINT32_MAX)));
    pcre2_set_heap_limit(limits_.get(), heap_limit_kib);
  }

  // The next match at or behind `from`; false when there is none.
  bool find(std::size_t from) {
    const int found = match(from);
    if (found == PCRE2_ERROR_NOMATCH) return false;
    if (found < 0) throw tokenizer_error("splitting the text into words failed: " + message_of(found));
    return true;
  }

  std::size_t begin() const { return pcre2_get_ovector_pointer(data_.get())[0]; }
  std::size_t end() const { return pcre2_get_ovector_pointer(data_.get())[1]; }

 private:
  int match(std::size_t from) {
    const auto* subject = reinterpret_cast<PCRE2_SPTR>(text_.data());
    const auto* code = regex_.code_.get();
    if (regex_.compiled_) {
      const int found = pcre2_jit_match(code, subject, text_.size(), from, 0, data_.get(), limits_.get());
      if (found != PCRE2_ERROR_JIT_STACKLIMIT) return found;
    }
    const std::uint32_t interpreted = PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT;
    return pcre2_match(code, subject, text_.size(), from, interpreted, data_.get(), limits_.get());
  }

  struct free_data {
    void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
  };
  struct free_limits {
    void operator()(pcre2_match_context* limits) const { pcre2_match_context_free(limits); }
  };

  const split_regex& regex_;
  std::string_view text_;
  std::unique_ptr<pcre2_match_data, free_data> data_;
  std::unique_ptr<pcre2_match_context, free_limits> limits_;
};

void split_regex::split(std::string_view text, piece_sink& sink) const {
  search matches(*this, text);
  std::size_t done = 0;  // end of the last piece
  std::size_t from = 0;  // where the next search begins
  bool matched_here = false;
  while (from <= text.size() && matches.find(from)) {
    const std::size_t begin = matches.begin();
    const std::size_t end = matches.end();
    // An empty match right behind another match does not count; the search goes on one character later.
    if (begin == end && matched_here && end == done) {
      from += from < text.size() ? next_utf8(text.substr(from)).length : 1;
      continue;
    }
    if (done < begin) sink.piece(text.substr(done, begin - done));
    if (begin < end) sink.piece(text.substr(begin, end - begin));
    done = from = end;
    matched_here = true;
  }
  if (done < text.size()) sink.piece(text.substr(done));
}

}  // namespace troupe

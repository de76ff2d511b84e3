// SPDX-License-Identifier: Apache-2.0
#define PCRE2_CODE_UNIT_WIDTH 8
#include "runtime/text/split_regex.hpp"

#include <array>
#include <string>

#include <fmt/format.h>
#include <pcre2.h>

#include "runtime/text/split_pattern.hpp"
#include "runtime/text/tokenizer_error.hpp"
#include "runtime/text/utf8.hpp"

namespace troupe {
namespace {

constexpr std::uint32_t match_limit = 10'000'000;  // steps of backtracking for one match
constexpr std::uint32_t heap_limit_kib = 64 * 1024;

std::string message_of(int error) {
  std::array<PCRE2_UCHAR, 256> text{};
  pcre2_get_error_message(error, text.data(), text.size());
  return reinterpret_cast<const char*>(text.data());
}

struct match_data_deleter {
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
};

}  // namespace

void split_regex::code_deleter::operator()(pcre2_real_code_8* code) const { pcre2_code_free(code); }
void split_regex::match_context_deleter::operator()(pcre2_real_match_context_8* c) const {
  pcre2_match_context_free(c);
}

split_regex::split_regex(std::string_view pattern) {
  const std::string translated = to_pcre2(pattern);
  int error = 0;
  PCRE2_SIZE offset = 0;
  code_.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(),
                            PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C, &error, &offset, nullptr));
  if (!code_)
    throw tokenizer_error(fmt::format("the regular expression '{}' is not valid: {}", pattern, message_of(error)));
  limits_.reset(pcre2_match_context_create(nullptr));
  pcre2_set_match_limit(limits_.get(), match_limit);
  pcre2_set_heap_limit(limits_.get(), heap_limit_kib);
  compiled_ = pcre2_jit_compile(code_.get(), PCRE2_JIT_COMPLETE) == 0;
}

int split_regex::match(std::string_view text, std::size_t from, pcre2_real_match_data_8* data) const {
  const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
  if (compiled_) {
    const int found = pcre2_jit_match(code_.get(), subject, text.size(), from, 0, data, limits_.get());
    if (found != PCRE2_ERROR_JIT_STACKLIMIT) return found;
  }
  return pcre2_match(code_.get(), subject, text.size(), from, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, data, limits_.get());
}

void split_regex::split(std::string_view text, piece_sink& sink) const {
  const std::unique_ptr<pcre2_match_data, match_data_deleter> data(pcre2_match_data_create(1, nullptr));
  std::size_t done = 0;  // end of the last piece
  std::size_t from = 0;  // where the next search begins
  bool matched_here = false;
  while (from <= text.size()) {
    const int found = match(text, from, data.get());
    if (found == PCRE2_ERROR_NOMATCH) break;
    if (found < 0) throw tokenizer_error("splitting the text into words failed: " + message_of(found));
    const PCRE2_SIZE* range = pcre2_get_ovector_pointer(data.get());
    const std::size_t begin = range[0];
    const std::size_t end = range[1];
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

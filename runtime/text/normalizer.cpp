// SPDX-License-Identifier: Apache-2.0
#include "runtime/text/normalizer.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <vector>

#include <utf8proc.h>

#include "runtime/text/late_composition.hpp"
#include "runtime/text/tokenizer_error.hpp"
#include "runtime/text/utf8.hpp"

namespace troupe {
namespace {

// Every character in these ranges has combining class 0, is normal by itself, and composes with nothing before it.
bool surely_stable(char32_t c) {
  if (c < 0x300) return true;
  if (c >= 0x388 && c < 0x483) return true;    // Greek, Cyrillic
  if (c >= 0x48A && c < 0x591) return true;    // Cyrillic, Armenian
  if (c >= 0x5D0 && c < 0x5F5) return true;    // Hebrew letters
  if (c >= 0x61B && c < 0x64B) return true;    // Arabic letters
  if (c >= 0x904 && c < 0x93A) return true;    // Devanagari letters
  if (c >= 0xE01 && c < 0xE38) return true;    // Thai letters
  if (c >= 0x10A0 && c < 0x1100) return true;  // Georgian
  if (c >= 0x1E00 && c < 0x1F00) return true;  // Latin with marks
  if (c >= 0x2002 && c < 0x20D0) return true;  // punctuation, currencies
  if (c >= 0x2190 && c < 0x2329) return true;  // arrows, operators, technical
  if (c >= 0x232B && c < 0x2ADC) return true;  // technical, boxes, symbols, dingbats
  if (c >= 0x2C00 && c < 0x2CEF) return true;  // Glagolitic, Coptic
  if (c >= 0x3000 && c < 0x302A) return true;  // CJK punctuation
  if (c >= 0x3030 && c < 0x3099) return true;  // Hiragana
  if (c >= 0x309B && c < 0xA66F) return true;  // Katakana, CJK, Yi
  if (c >= 0xAC00 && c < 0xD7A4) return true;  // Hangul syllables
  if (c >= 0xE000 && c < 0xF900) return true;  // private use
  if (c >= 0xFF00 && c < 0xFFF0) return true;  // full-width forms
  return c >= 0x1F000 && c < 0x1FB00;          // emoji
}

struct free_deleter {
  void operator()(utf8proc_uint8_t* memory) const { std::free(memory); }
};

struct mark {
  std::string_view bytes;
  std::uint8_t combining_class;
};

// utf8proc puts marks in order by swapping neighbours, which takes for ever on a long run of them. Runs that are in
// order already cost it nothing.
std::string with_ordered_marks(std::string_view text) {
  std::string ordered;
  std::vector<mark> run;
  const auto flush = [&] {
    std::stable_sort(run.begin(), run.end(),
                     [](const mark& a, const mark& b) { return a.combining_class < b.combining_class; });
    for (const mark& m : run)
      ordered += m.bytes;
    run.clear();
  };
  for (std::size_t i = 0; i < text.size();) {
    const utf8_step step = next_utf8(text.substr(i));
    const auto* property = utf8proc_get_property(static_cast<utf8proc_int32_t>(step.code_point));
    const mark m{text.substr(i, step.length), static_cast<std::uint8_t>(property->combining_class)};
    if (m.combining_class == 0) flush();
    run.push_back(m);
    if (m.combining_class == 0) flush();
    i += step.length;
  }
  flush();
  return ordered;
}

void append_nfc(std::string_view part, std::string& out) {
  if (part.empty()) return;
  const std::string text = with_ordered_marks(part);
  utf8proc_uint8_t* mapped = nullptr;
  const utf8proc_ssize_t length =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()), static_cast<utf8proc_ssize_t>(text.size()),
                   &mapped, static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  const std::unique_ptr<utf8proc_uint8_t, free_deleter> owner(mapped);
  if (length < 0) throw tokenizer_error(std::string("cannot normalize a text to NFC: ") + utf8proc_errmsg(length));
  out.append(reinterpret_cast<const char*>(mapped), static_cast<std::size_t>(length));
}

struct stable_run {
  std::size_t length;  // bytes
  std::size_t last;    // where its last character begins
};

// The stable characters that a text begins with.
stable_run stable_prefix(std::string_view text) {
  stable_run run{0, 0};
  while (run.length < text.size()) {
    if (static_cast<std::uint8_t>(text[run.length]) < 0x80) {
      run.last = run.length++;
      continue;
    }
    const utf8_step step = next_utf8(text.substr(run.length));
    if (!surely_stable(step.code_point)) break;
    run.last = run.length;
    run.length += step.length;
  }
  return run;
}

// A character that neither moves nor composes keeps what is before it apart from what is behind it.
void append_nfc_of_unstable(std::string_view text, std::string& out) {
  std::size_t done = 0;
  for (std::size_t i = 0; i < text.size();) {
    const utf8_step step = next_utf8(text.substr(i));
    if (composes_since_unicode_9(step.code_point)) {
      append_nfc(text.substr(done, i - done), out);
      out += text.substr(i, step.length);
      done = i + step.length;
    }
    i += step.length;
  }
  append_nfc(text.substr(done), out);
}

}  // namespace

bool is_plainly_nfc(std::string_view text) { return stable_prefix(text).length == text.size(); }

// A stable character may take part in what follows it, so it is normalized with the unstable ones behind it.
std::string to_nfc(std::string_view text) {
  std::string normal;
  while (!text.empty()) {
    const stable_run run = stable_prefix(text);
    const std::size_t begin = run.length == text.size() ? run.length : run.last;
    normal += text.substr(0, begin);
    std::size_t end = run.length;
    while (end < text.size()) {
      const utf8_step step = next_utf8(text.substr(end));
      if (surely_stable(step.code_point)) break;
      end += step.length;
    }
    append_nfc_of_unstable(text.substr(begin, end - begin), normal);
    text.remove_prefix(end);
  }
  return normal;
}

}  // namespace troupe
